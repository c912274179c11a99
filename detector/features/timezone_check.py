"""Whether the setting ``timezone`` is that of the people whose activity a log shows.

Two witnesses. *Clock changes*: people keep their own clock, so in UTC everyone's day moves by an
hour when that clock is changed, on dates that differ between Europe, North America and Australia,
and never where clocks are not changed. *The daily rhythm*: most people work around the middle of
the day. Neither proves a country; both can contradict a setting, which is then said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from detector.features.robust_stats import Floats

#: One zone of each kind: how far from UTC, and when the clocks change. Those that change them on
#: nights of their own, by one country, are left out: too near to others, they would hide these.
ZONES: Final = (
    "Europe/Paris", "Europe/London", "Europe/Helsinki", "America/New_York", "America/Chicago",
    "America/Denver", "America/Los_Angeles", "America/Halifax", "America/Anchorage",
    "America/Santiago", "Australia/Sydney", "Australia/Adelaide", "Pacific/Auckland", "UTC",
    "Africa/Lagos", "Africa/Johannesburg",
    "Europe/Istanbul", "Asia/Dubai", "Asia/Karachi", "Asia/Kolkata", "Asia/Dhaka", "Asia/Bangkok",
    "Asia/Shanghai", "Asia/Tokyo", "Australia/Brisbane", "Pacific/Noumea", "Atlantic/Azores",
    "Atlantic/South_Georgia", "America/Sao_Paulo", "America/La_Paz", "America/Bogota",
    "America/Mexico_City", "America/Phoenix", "Pacific/Honolulu",
)  # fmt: skip
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
HOURS: Final = 24
#: Days looked at on each side of a change of the clocks, and working days needed there.
NEARBY_DAYS: Final = 14
#: Days before the first scored one that are looked at with it.
LOOKBACK_DAYS: Final = 28
MIN_WORKDAYS: Final = 2
#: A move (or none) is clear when it leaves at most this share of the squared difference that is
#: left by the others, and when a move would show as this share of what the day has.
MAX_RESIDUAL_SHARE: Final = 0.35
MIN_SIGNAL_SHARE: Final = 0.03
#: Active hours of accounts a day below which an organisation is too small to say anything of.
MIN_ACTIVE_HOURS: Final = 25.0
#: Days of the week in which less than this share of the busiest day's happens are no workdays.
MIN_WORKDAY_SHARE: Final = 0.5
#: In the people's zone the middle of the day's activity lies around MIDDLE, closer than this.
TYPICAL_MIDDAY: Final = 12.75
MAX_MIDDAY_DISTANCE: Final = 3.5
#: How far a day gathers around its middle, 0 to 1; below, people work around the clock.
MIN_CONCENTRATION: Final = 0.35
#: Working days needed to tell the daily rhythm.
MIN_PROFILE_DAYS: Final = 5
#: Zones that are named as fitting.
MAX_SHOWN: Final = 2


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A night in which the clocks change somewhere, and by how many hours the day moved in UTC.

    ``move`` is null where it cannot be told; -1 is an hour earlier.
    """

    day: date
    shift: int | None


@dataclass(frozen=True, slots=True)
class TimezoneEvidence:
    """What activity says of the clock that people keep.

    ``midday`` is the hour of UTC around which the first days gather, null where they do not;
    ``days`` are the first and the last that were looked at.
    """

    changes: tuple[ClockChange, ...]
    midday: float | None
    days: tuple[date, date] | None

    @classmethod
    def from_activity(cls, activity: pl.DataFrame, timezone: str) -> TimezoneEvidence:
        """From ``hour`` (UTC) and ``accounts``, how many were active in it.

        Looks at the clock changes of all ZONES, and of ``timezone``.
        """
        frame = activity.drop_nulls("hour").filter(pl.col("accounts") > 0)
        if frame.is_empty():
            return cls((), None, None)
        first, grid = _activity_grid(frame)
        working = _is_workday(grid)
        last = first + (len(grid) - 1) * DAY
        nights = _change_days((*ZONES, timezone), first, last)
        places = [(night - first).days for night in nights]
        moves = [_observed_shift(grid, working, place, places) for place in places]
        changes = tuple(ClockChange(night, move) for night, move in zip(nights, moves, strict=True))
        return cls(changes, _find_midday(grid, working), (first, last))

    def contradictions(self, zone: str) -> list[ClockChange]:
        """The clear changes, or absences of one, that are not those of ``zone``."""
        return [
            change
            for change in self.changes
            if change.shift is not None and change.shift != _expected_shift(zone, change.day)
        ]

    def matching_zones(self) -> list[str]:
        """Zones that nothing contradicts, those in which the day lies best first."""
        found = [zone for zone in ZONES if not self.contradictions(zone)]
        near = {zone: self.midday_distance(zone) for zone in found}
        if self.midday is not None:
            found = [zone for zone in found if near[zone] <= MAX_MIDDAY_DISTANCE]
        return sorted(found, key=lambda zone: round(near[zone], 1))

    def midday_distance(self, zone: str) -> float:
        """How many hours the middle of the day lies from MIDDLE by the clock of ``zone``."""
        if self.midday is None or self.days is None:
            return 0.0
        apart = (self.midday + _utc_offset(zone, self.days[0]) - TYPICAL_MIDDAY) % HOURS
        return min(apart, HOURS - apart)


def activity_warning(activity: pl.DataFrame, timezone: str, log_timezone: str) -> str:
    """``evidence_warning`` what ``activity`` shows (see ``Evidence.from_activity``)."""
    return evidence_warning(
        TimezoneEvidence.from_activity(activity, timezone), timezone, log_timezone
    )


def evidence_warning(evidence: TimezoneEvidence, timezone: str, log_timezone: str) -> str:
    """What to say where the setting ``timezone`` contradicts the ``evidence``, else nothing."""
    against = evidence.contradictions(timezone)
    lies_off = evidence.midday_distance(timezone)
    if not against and lies_off <= MAX_MIDDAY_DISTANCE:
        return ""
    why = _change_reason(against, timezone) if against else _midday_reason(evidence, timezone)
    others = [zone for zone in evidence.matching_zones() if zone != timezone]
    mend = f"; {_zone_hint(others)}" if others else ""
    if against and all(change.shift == 0 for change in against):
        mend += (
            f"; or the log's times are local ones that name no zone: then set log_timezone, now "
            f"{log_timezone!r}, to the server's"
        )
    return (
        f"timezone = {timezone!r} is doubtful: {why}{mend}. A ledger keeps its zone: with another "
        "one, name another folder for --ledger, take the logs in again and train again"
    )


def _change_reason(against: Sequence[ClockChange], timezone: str) -> str:
    change = against[-1]
    if change.shift == 0:
        return (
            f"on {change.day} the clocks there change, and the day of those who are in the log did "
            "not move with them"
        )
    earlier = "earlier" if change.shift == -1 else "later"
    return (
        f"on {change.day} everyone's day moved an hour {earlier} in UTC, as where the clocks "
        f"change that night, and in {timezone} they do not change so"
    )


def _midday_reason(evidence: TimezoneEvidence, timezone: str) -> str:
    assert evidence.midday is not None
    assert evidence.days is not None
    local = (evidence.midday + _utc_offset(timezone, evidence.days[0])) % HOURS
    return f"by it, the middle of most people's working day is at {_clock_text(local)}"


def _clock_text(hour: float) -> str:
    minutes = round(hour * 4) * 15 % (HOURS * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _zone_hint(zones: Sequence[str]) -> str:
    shown = " or ".join(repr(zone) for zone in zones[:MAX_SHOWN])
    return f"what fits is a zone like {shown}"


def _activity_grid(frame: pl.DataFrame) -> tuple[date, Floats]:
    """The first day, and accounts by day and hour of UTC: (days, HOURS)."""
    days = frame["hour"].dt.date()
    first, last = days.min(), days.max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    grid = np.zeros(((last - first).days + 1, HOURS))
    at = (days - pl.Series([first])).dt.total_days().to_numpy(), frame["hour"].dt.hour().to_numpy()
    np.add.at(grid, at, frame["accounts"].cast(pl.Float64).to_numpy())
    return first, grid


def _is_workday(grid: Floats) -> np.ndarray:
    """Which days are as busy as most working days: no weekends, holidays, or holes in the log."""
    total = grid.sum(axis=1)
    if not (total >= MIN_ACTIVE_HOURS).any():
        return np.zeros(len(grid), dtype=bool)
    usual = float(np.quantile(total[total > 0], 0.75))
    return np.asarray((total >= MIN_WORKDAY_SHARE * usual) & (total >= MIN_ACTIVE_HOURS))


def _change_days(zones: Sequence[str], first: date, last: date) -> list[date]:
    """The days in whose early hours the clocks of any of the ``zones`` change."""
    days = [first + n * DAY for n in range((last - first).days + 1)]
    return [
        day
        for day in days
        if any(_utc_offset(zone, day - DAY) != _utc_offset(zone, day) for zone in zones)
    ]


@cache
def _utc_offset(zone: str, day: date) -> float:
    """Hours by which a zone's clock is ahead of UTC at noon, UTC, of a day."""
    noon = datetime.combine(day, time(12), UTC)
    ahead = noon.astimezone(ZoneInfo(zone)).utcoffset()
    assert ahead is not None
    return ahead / HOUR


def _expected_shift(zone: str, day: date) -> int:
    """By how many hours the day of people in ``zone`` moves in UTC at a change on ``day``."""
    return round(_utc_offset(zone, day - DAY) - _utc_offset(zone, day))


def _observed_shift(
    grid: Floats, working: np.ndarray, place: int, others: Sequence[int]
) -> int | None:
    """By how many hours the working days after a change moved against those before it.

    Days beyond ``others``, the places of other changes, are left out.
    """
    since = max([place - NEARBY_DAYS, *(other for other in others if other < place)])
    until = min([place + NEARBY_DAYS, *(other for other in others if other > place)])
    before = _profile(grid, working, since, place)
    after = _profile(grid, working, place, until)
    if before is None or after is None:
        return None
    shows = ((before - np.roll(before, 1)) ** 2).sum()
    if shows < MIN_SIGNAL_SHARE * (before**2).sum():
        return None
    left = {move: float(((after - np.roll(before, move)) ** 2).sum()) for move in (-1, 0, 1)}
    best, second = sorted(left, key=lambda move: left[move])[:2]
    return best if left[best] <= MAX_RESIDUAL_SHARE * left[second] else None


def _profile(grid: Floats, working: np.ndarray, since: int, until: int) -> Floats | None:
    """The share of each hour in the working days from ``since`` to before ``until``."""
    since, until = max(since, 0), min(until, len(grid))
    days = since + np.flatnonzero(working[since:until])
    if len(days) < MIN_WORKDAYS:
        return None
    each = grid[days] / grid[days].sum(axis=1, keepdims=True)
    found: Floats = np.median(each, axis=0)
    return found / found.sum() if found.sum() else None


def _find_midday(grid: Floats, working: np.ndarray) -> float | None:
    """The circular mean of a working day, in UTC, as it was at the beginning."""
    days = np.flatnonzero(working)[:NEARBY_DAYS]
    if len(days) < MIN_PROFILE_DAYS:
        return None
    profile = _profile(grid, working, 0, int(days[-1]) + 1)
    if profile is None:
        return None
    turned = (profile * np.exp(2j * np.pi * (np.arange(HOURS) + 0.5) / HOURS)).sum()
    if abs(turned) < MIN_CONCENTRATION:
        return None
    return float(np.angle(turned) / (2 * np.pi) * HOURS % HOURS)
