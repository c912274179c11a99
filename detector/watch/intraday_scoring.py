"""The day so far, scored while it runs, for the accounts that were touched.

Accounts and groups ring as soon as their day so far crosses; addresses and tables when the day is
over, as in batch, since only then a day's sums of theirs are whole. An hour that is not over may
cross and, once all of it is known, no longer do so: such an alert stays raised.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from detector.alerts.alert import Alert
from detector.detection import new_accounts
from detector.detection.day_context import Ready, by_kind, gathered, ready_of, slim
from detector.detection.day_state import Running
from detector.detection.new_accounts import NOBODY, Folding
from detector.detection.pipeline import Judging
from detector.features.aggregates import ACCOUNT
from detector.features.feature_table import DIMENSIONS
from detector.watch.open_days import Books, OpenDays, Tables, merged

#: Accounts whose past a watcher holds at a time.
SHARD: Final = 500
#: Seconds before what lies behind the day is prepared anew for late events and new accounts.
ANEW: Final = 30.0
#: Times the records, and factors of ten of surprise, from which a day that was told is told anew.
MORE: Final = 1.1
ODDER: Final = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """How an entity's day stood when its messages were last told."""

    hour: datetime
    rows: float
    unknown: float
    surprise: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Seen:
        """Of a judged row."""
        return cls(row["hour"], row["rows"], row["unknown"] or 0.0, row["surprise"])

    def is_news(self, before: Seen | None) -> bool:
        """Whether there may be more to tell than ``before``: all is told anew then, which takes
        longer than to look.
        """
        return (
            before is None
            or self.hour != before.hour
            or self.rows >= MORE * before.rows
            or self.unknown > before.unknown
            or self.surprise >= before.surprise + ODDER
        )


@dataclass(slots=True)
class Live:
    """Prepares beside the watcher's own thread, and scores with what is prepared meanwhile."""

    judging: Judging
    ready: Ready | None = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _base: Tables | None = None
    _coming: Future[Prepared | None] | None = None
    _asked: float = float("-inf")
    _late: bool = False
    _strangers: set[str] = field(default_factory=set)
    _running: Running | None = None
    _fresh: list[Tables] = field(default_factory=list)
    _touched: set[str] = field(default_factory=set)
    _told: dict[tuple[str, str], Seen] = field(default_factory=dict)
    _folding: Folding = NOBODY

    def touch(self, day: date, tables: Tables) -> None:
        """Events of a day came in."""
        if self.ready is not None and day < self.ready.today.day:
            self._late = True
        if self._running is not None and day == self._running.today.day:
            self._touched |= set(tables[0]["account"].unique())
            self._fresh.append(tables)

    @property
    def is_preparing(self) -> bool:
        """Whether scores will change without an event coming in."""
        return self._coming is not None

    @property
    def is_gathering(self) -> bool:
        """Whether what lies before a day is read this very moment."""
        return self._coming is not None and not self._coming.done()

    def forget(self, days: Collection[date]) -> None:
        """``days`` are over: what lies before them makes room."""
        if self.ready is not None and self.ready.today.day in days:
            self._let_go()

    def _let_go(self) -> None:
        """Of all that was prepared."""
        self.ready = self._base = self._running = None
        self._told.clear()
        self._folding = NOBODY

    @property
    def folded(self) -> int:
        """Accounts of the day that are judged as one."""
        return len(self._folding)

    def close(self) -> None:
        """Nothing more is prepared."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def score(self, books: Books, day: date, now: float, *, wait: bool = False) -> list[Alert]:
        """The alerts of the day so far, those of before among them."""
        self._make_ready(books, day, now, wait=wait)
        if self.ready is None or self.ready.today.day != day:
            return []
        running = self._up_to_date(books.open, day)
        touched, self._touched = self._folding.of(self._touched), set()
        return self._rung(running, touched, books.open)

    def foresee(self, books: Books, day: date, held: Tables) -> list[Alert]:
        """The alerts of the day so far of whom ``held``, which does not count yet, is of."""
        if self.ready is None or self.ready.today.day != day:
            return []
        open_days = books.open.beside(day, held)
        held = self._folding.frames(*held)
        running = self._up_to_date(books.open, day).beside([held])
        if running is None:
            today = self.ready.today
            running = Running.of(today, self._day(open_days, day, today.members))
        return self._rung(running, set(held[0]["account"].unique()), open_days)

    def _rung(self, running: Running, touched: set[str], open_days: OpenDays) -> list[Alert]:
        """The alerts of accounts that were ``touched``, and of groups, that ring now."""
        assert self.ready is not None
        today = running.today
        self._strangers |= touched - today.members
        asked = {kind: touched if kind == ACCOUNT else None for kind in today.kinds}
        judged = self.judging.scorer.judge(today.table(running.each, running.new, asked))
        if judged.is_empty():
            return []
        loud = self.judging.scorer_of(today.day).anomalous(slim(judged)).filter("anomalous")
        found = []
        for row in loud.iter_rows(named=True):
            who, seen = (row["entity_kind"], row["entity"]), Seen.of(row)
            if seen.is_news(self._told.get(who)):
                self._told[who] = seen
                found.append(who)
        return self._whole(running, found, open_days) if found else []

    def _up_to_date(self, open_days: OpenDays, day: date) -> Running:
        """The day so far, with what came in lately."""
        assert self.ready is not None
        running, fresh = self._running, self._fresh
        self._fresh = []
        same = running is not None and running.today is self.ready.today
        fresh = [self._folding.frames(*tables) for tables in fresh] if same else []
        if running is not None and same and (not fresh or running.add(fresh)):
            return running
        for each in open_days.parts.get(day, []):
            self._touched |= set(each.hours["account"].unique())
        members = self.ready.today.members
        self._running = Running.of(self.ready.today, self._day(open_days, day, members))
        return self._running

    def _make_ready(self, books: Books, day: date, now: float, *, wait: bool) -> None:
        if self.ready is not None and self.ready.today.day != day:
            self._let_go()  # what is made next needs the room
        other = self.ready is None
        stale = self._late or bool(self._strangers)
        if self._coming is None and (other or (stale and now - self._asked >= ANEW)):
            # A copy: the watcher goes on while this is read.
            still = Books(books.ledger, OpenDays({d: list(p) for d, p in books.open.parts.items()}))
            self._coming = self._pool.submit(prepare, self.judging, still, day)
            self._asked, self._late = now, False
        if self._coming is not None and (wait or self._coming.done()):
            prepared = self._coming.result()
            self._coming = None
            self.ready = prepared.ready if prepared else None
            self._base = prepared.base if prepared else None
            self._folding = prepared.folding if prepared else NOBODY
            if self.ready is not None:
                members = self.ready.today.members
                # Who was folded is no stranger either, and is one of those touched.
                self._strangers = self._folding.of(self._strangers) - members
                self._touched |= members

    def _day(self, open_days: OpenDays, day: date, members: Collection[str]) -> Tables:
        """HOURS and TOUCHED of the day so far, of some accounts."""
        assert self._base is not None
        theirs = pl.col("account").is_in(list(members))
        sums = open_days.parts.get(day, [])
        return merged(self._base, sums, DIMENSIONS, theirs, self._folding.frames)

    def _whole(
        self, running: Running, found: Collection[tuple[str, str]], open_days: OpenDays
    ) -> list[Alert]:
        """The alerts of entities that ring, told from all their hours of the day."""
        assert self.ready is not None
        today = running.today
        asked = by_kind(found)
        table = today.table(running.each, running.new, asked, ends=False)
        members = today.members_of(asked)
        day = self._day(open_days, today.day, members)
        judged = self.judging.scorer.judge(table)
        return self.ready.told(self.judging, judged, day, members).alerts


@dataclass(frozen=True, slots=True)
class Prepared:
    """What lies before a day, ``base`` what the ledger has of the day itself, and who is folded."""

    ready: Ready
    base: Tables
    folding: Folding = NOBODY


def prepare(judging: Judging, books: Books, day: date) -> Prepared | None:
    """What lies before ``day``, and what the ledger has of the day itself.

    Takes seconds: what follows takes less than one. None where there is nobody to score.
    """
    folding = new_accounts.bounded(judging, books, day)
    tables = new_accounts.folded(books, folding)
    ready = ready_of(judging, tables, gathered(judging, tables, day, SHARD))
    if ready is None:
        return None
    base = books.ledger.hours(day, day), books.ledger.touched(day, day, DIMENSIONS)
    return Prepared(ready, folding.frames(*base), folding)
