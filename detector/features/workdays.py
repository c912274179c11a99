"""Which days are workdays: those of the week that are, without public holidays."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import polars as pl

from detector.core import public_holidays
from detector.core.settings import Settings


def days_off(days: Iterable[date], settings: Settings) -> frozenset[date]:
    """Those of ``days`` that are no workdays."""
    some = frozenset(days)
    weekend = frozenset(day for day in some if day.isoweekday() not in settings.workdays)
    return weekend | public_holidays.holidays_among(settings.holidays, some - weekend)


def is_workday(frame: pl.DataFrame, column: str, settings: Settings) -> pl.Expr:
    """Whether a date in ``column`` is a workday; it is among those that ``frame`` has there."""
    free = days_off(frame[column].drop_nulls().unique(), settings)
    return ~pl.col(column).is_in(pl.Series(sorted(free), dtype=pl.Date).implode())
