"""The day so far, scored while it runs.

Accounts and groups ring as soon as their day so far crosses; addresses and tables when the day is
over, as in batch, since only then a day's sums of theirs are whole. An hour that is not over may
cross and, once all of it is known, no longer do so: such an alert stays raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from detector.alerts.batch import Scored, told
from detector.features.measures import ACCOUNT, GROUP
from detector.features.table import DIMENSIONS
from detector.forests.scoring import LOOKBACK
from detector.watch.judging import Judging
from detector.watch.sums import Books


@dataclass(slots=True)
class Live:
    """Keeps what lies before ``day`` at hand; ``forget`` when any of it changes."""

    judging: Judging
    day: date | None = None
    _hours: pl.DataFrame | None = None
    _touched: pl.DataFrame | None = None

    def forget(self, days: Sequence[date]) -> None:
        """Events came in on ``days``."""
        if self.day is not None and any(day < self.day for day in days):
            self.day = None

    def score(self, books: Books, day: date) -> Scored:
        """The alerts and scores of the day so far."""
        if self.day != day or self._hours is None or self._touched is None:
            since, until = day - timedelta(days=LOOKBACK), day - timedelta(days=1)
            self._hours = books.hours(since, until)
            self._touched = books.touched(since, until, DIMENSIONS)
            self.day = day
        hours = pl.concat([self._hours, books.hours(day, day)])
        touched = pl.concat([self._touched, books.touched(day, day, DIMENSIONS)])
        scorer = self.judging.scorer
        scored = scorer.score(hours, touched, [day])
        if not scored.is_empty():
            scored = scored.filter(pl.col("entity_kind").is_in([ACCOUNT, GROUP]))
        return told(scorer, scored, hours, touched, [day], self.judging.hush)
