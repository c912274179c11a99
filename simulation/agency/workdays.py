"""The calendar: weekdays, French public holidays, month ends, daylight saving."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from simulation.agency.plan import Plan

PARIS = ZoneInfo("Europe/Paris")
#: The eleven holidays: those of fixed date (month, day), and days after Easter Sunday.
FIXED_HOLIDAYS = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
AFTER_EASTER = (1, 39, 50)


def easter(year: int) -> date:
    """Easter Sunday in the Gregorian calendar (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def holidays(year: int) -> set[date]:
    """French public holidays of a year."""
    movable = {easter(year) + timedelta(days=days) for days in AFTER_EASTER}
    return {date(year, month, day) for month, day in FIXED_HOLIDAYS} | movable


def weekday(plan: Plan) -> NDArray[np.int64]:
    """By day: Monday 0 to Sunday 6."""
    return (plan.start.weekday() + np.arange(plan.days)) % 7


def closed(plan: Plan) -> NDArray[np.bool_]:
    """By day: is it a public holiday?"""
    return np.array([day in holidays(day.year) for day in plan.dates()])


def month_end(plan: Plan) -> NDArray[np.float64]:
    """By day, 0 to 1: how far month-end work presses (28th to 3rd, as monthly claims are due)."""
    pressure = {27: 0.4, 28: 0.8, 29: 1.0, 30: 1.0, 31: 1.0, 1: 0.8, 2: 0.5, 3: 0.3}
    return np.array([pressure.get(day.day, 0.0) for day in plan.dates()])


def quarter_end(plan: Plan) -> NDArray[np.float64]:
    """By day, 0 to 1: how far quarter-end work presses: the reports of the last weeks before it,
    and of the first after it.
    """
    pressure = []
    for day in plan.dates():
        ends, begins = day.month % 3 == 0 and day.day >= 18, day.month % 3 == 1 and day.day <= 7
        pressure.append(1.0 if ends else 0.5 if begins else 0.0)
    return np.array(pressure)


def utc_hours(plan: Plan) -> NDArray[np.int64]:
    """Seconds since 1970 at which each local hour begins, day by day (days * 24 values).

    An hour that daylight saving skips counts as the one after it.
    """
    starts = [
        datetime(day.year, day.month, day.day, hour, tzinfo=PARIS).timestamp()
        for day in plan.dates()
        for hour in range(24)
    ]
    return np.array(starts, dtype=np.int64)
