"""The day so far, scored while it runs, for the accounts that were touched.

Accounts and groups ring as soon as their day so far crosses; addresses and tables when the day is
over, as in batch, since only then a day's sums of theirs are whole. An hour that is not over may
cross and, once all of it is known, no longer do so: such an alert stays raised.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import polars as pl

from detector.alerts.alert import Alert, alert_id
from detector.alerts.batch import told
from detector.features.table import DIMENSIONS
from detector.features.today import Today
from detector.forests.budget import RUN_DAYS
from detector.forests.scoring import LOOKBACK
from detector.watch.judging import Judging
from detector.watch.sums import Books, OpenDays, merged

#: Seconds before what lies behind the day is prepared anew for late events and new accounts.
ANEW: Final = 30.0
KEYS: Final = ["entity_kind", "entity"]


@dataclass(frozen=True, slots=True)
class Ready:
    """What lies before ``today.day``: the days that may have begun runs (``earlier``), HOURS and
    TOUCHED of the week before, and what the ledger has of the day itself.
    """

    today: Today
    earlier: pl.DataFrame
    week: tuple[pl.DataFrame, pl.DataFrame]
    base: tuple[pl.DataFrame, pl.DataFrame]


def prepare(judging: Judging, books: Books, day: date) -> Ready | None:
    """Takes seconds: what follows takes less than one. None where there is nobody to score."""
    since = day - timedelta(days=LOOKBACK)
    hours, touched = books.hours(since, day), books.touched(since, day, DIMENSIONS)
    today = Today.of(
        hours, touched, day, judging.model.learned, judging.people, judging.settings,
        judging.families,
    )  # fmt: skip
    if today is None:
        return None
    before = day - timedelta(days=RUN_DAYS)
    until = day - timedelta(days=1)
    return Ready(
        today,
        judging.scorer.earlier(hours, touched, [day]),
        (books.hours(before, until), books.touched(before, until, DIMENSIONS)),
        (books.ledger.hours(day, day), books.ledger.touched(day, day, DIMENSIONS)),
    )


@dataclass(slots=True)
class Live:
    """Prepares beside the watcher's own thread, and scores with what is prepared meanwhile."""

    judging: Judging
    ready: Ready | None = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _coming: Future[Ready | None] | None = None
    _asked: float = float("-inf")
    _stale: bool = True
    _touched: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)

    def touch(self, day: date, accounts: Collection[str]) -> None:
        """Events of ``accounts`` came in on ``day``."""
        self._touched |= set(accounts)
        if self.ready is not None and day < self.ready.today.day:
            self._stale = True

    @property
    def is_preparing(self) -> bool:
        """Whether scores will change without an event coming in."""
        return self._coming is not None

    def close(self) -> None:
        """Nothing more is prepared."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def score(self, books: Books, day: date, now: float, *, wait: bool = False) -> list[Alert]:
        """The alerts of the day so far, those of before among them."""
        self._make_ready(books, day, now, wait=wait)
        if self.ready is None or self.ready.today.day != day:
            return []
        today = self.ready.today
        names = self._touched
        if not names <= today.members:
            self._stale = True
        hours, touched = self._day(books.open, day)
        new = today.new(touched)
        scored = self._scored(today.table(hours, touched, new, names))
        self._touched = set()
        if scored.is_empty():
            return []
        rings = scored.filter(pl.col("alarming") | pl.col("held"))
        found = [
            (kind, name)
            for kind, name in rings.select("entity_kind", "entity").iter_rows()
            if alert_id(kind, name, day) not in self._told
        ]
        return self._whole(found, hours, touched, new) if found else []

    def _make_ready(self, books: Books, day: date, now: float, *, wait: bool) -> None:
        other = self.ready is None or self.ready.today.day != day
        if self._coming is None and (other or (self._stale and now - self._asked >= ANEW)):
            # A copy: the watcher goes on while this is read.
            still = Books(books.ledger, OpenDays({d: list(p) for d, p in books.open.parts.items()}))
            self._coming = self._pool.submit(prepare, self.judging, still, day)
            self._asked, self._stale = now, False
        if self._coming is not None and (wait or self._coming.done()):
            self.ready, self._coming = self._coming.result(), None
            if self.ready is not None:
                self._touched |= self.ready.today.members

    def _day(self, open_days: OpenDays, day: date) -> tuple[pl.DataFrame, pl.DataFrame]:
        """HOURS and TOUCHED of the day so far, of all accounts that were prepared for."""
        assert self.ready is not None
        known = pl.col("account").is_in(list(self.ready.today.members))
        hours, touched = merged(self.ready.base, open_days.parts.get(day, []), DIMENSIONS)
        return hours.filter(known), touched.filter(known)

    def _scored(self, frame: pl.DataFrame) -> pl.DataFrame:
        assert self.ready is not None
        scorer = self.judging.scorer
        judged = scorer.judge(frame)
        if judged.is_empty():
            return judged
        theirs = judged.select(KEYS).unique()
        return scorer.ring(judged, self.ready.earlier.join(theirs, on=KEYS, how="semi"))

    def _whole(
        self,
        found: Collection[tuple[str, str]],
        hours: pl.DataFrame,
        touched: pl.DataFrame,
        new: pl.DataFrame,
    ) -> list[Alert]:
        """The alerts of entities that ring, told from all their hours of the day."""
        assert self.ready is not None
        day = self.ready.today.day
        self._told |= {alert_id(kind, name, day) for kind, name in found}
        names = {name for _, name in found}
        frame = self.ready.today.table(hours, touched, new, names, ends=False)
        asked = pl.DataFrame(
            list(found), schema={"entity_kind": pl.String, "entity": pl.String}, orient="row"
        )
        scored = self._scored(frame.join(asked, on=["entity_kind", "entity"], how="semi"))
        whole = tuple(
            pl.concat([week, today])
            for week, today in zip(self.ready.week, (hours, touched), strict=True)
        )
        return told(
            self.judging.scorer, scored, whole[0], whole[1], [day], self.judging.hush
        ).alerts
