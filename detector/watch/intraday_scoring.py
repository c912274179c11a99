"""The day so far, scored while it runs, for the accounts that were touched.

Accounts and groups fire as soon as their day so far crosses; addresses and tables when the day is
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
from detector.detection.day_context import (
    DayContext,
    build_context,
    gather_past,
    names_by_kind,
    select_firing_columns,
)
from detector.detection.day_state import PartialDay
from detector.detection.new_accounts import NO_FOLDING, Folding
from detector.detection.pipeline import Pipeline
from detector.features.aggregates import ACCOUNT
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.watch.open_days import DayTables, LedgerView, OpenDays, merge_base

#: Accounts whose past a watcher holds at a time.
SHARD_ACCOUNTS: Final = 500
#: Seconds before what lies behind the day is prepared anew for late events and new accounts.
PREPARE_SECONDS: Final = 30.0
#: Times the records, and factors of ten of surprise, from which a day that was told is told anew.
RECORDS_FACTOR: Final = 1.1
SURPRISE_STEP: Final = 0.5


@dataclass(frozen=True, slots=True)
class EntityState:
    """How an entity's day stood when its messages were last told."""

    hour: datetime
    rows: float
    unknown: float
    surprise: float

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> EntityState:
        """As a scored row has it."""
        return cls(row["hour"], row["rows"], row["unknown"] or 0.0, row["surprise"])

    def is_news(self, before: EntityState | None) -> bool:
        """Whether there may be more to tell than ``before``: all is told anew then, which takes
        longer than to look.
        """
        return (
            before is None
            or self.hour != before.hour
            or self.rows >= RECORDS_FACTOR * before.rows
            or self.unknown > before.unknown
            or self.surprise >= before.surprise + SURPRISE_STEP
        )


@dataclass(slots=True)
class IntradayScorer:
    """Prepares beside the watcher's own thread, and scores with what is prepared meanwhile."""

    pipeline: Pipeline
    context: DayContext | None = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _ledger_tables: DayTables | None = None
    _preparation: Future[Prepared | None] | None = None
    _preparation_time: float = float("-inf")
    _has_late_events: bool = False
    _unknown_accounts: set[str] = field(default_factory=set)
    _partial_day: PartialDay | None = None
    _new_tables: list[DayTables] = field(default_factory=list)
    _touched_accounts: set[str] = field(default_factory=set)
    _last_states: dict[tuple[str, str], EntityState] = field(default_factory=dict)
    _folding: Folding = NO_FOLDING

    def add_events(self, day: date, tables: DayTables) -> None:
        """Events of a day came in."""
        if self.context is not None and day < self.context.today.day:
            self._has_late_events = True
        if self._partial_day is not None and day == self._partial_day.today.day:
            self._touched_accounts |= set(tables[0]["account"].unique())
            self._new_tables.append(tables)

    @property
    def is_preparing(self) -> bool:
        """Whether scores will change without an event coming in."""
        return self._preparation is not None

    @property
    def is_gathering(self) -> bool:
        """Whether what lies before a day is read this very moment."""
        return self._preparation is not None and not self._preparation.done()

    def discard_days(self, days: Collection[date]) -> None:
        """``days`` are over: what lies before them makes room."""
        if self.context is not None and self.context.today.day in days:
            self._reset()

    def _reset(self) -> None:
        """Of all that was prepared."""
        self.context = self._ledger_tables = self._partial_day = None
        self._last_states.clear()
        self._folding = NO_FOLDING

    @property
    def folded(self) -> int:
        """Accounts of the day that are judged as one."""
        return len(self._folding)

    def close(self) -> None:
        """Nothing more is prepared."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def score(self, books: LedgerView, day: date, now: float, *, wait: bool = False) -> list[Alert]:
        """The alerts of the day so far, those of before among them."""
        self._update_context(books, day, now, wait=wait)
        if self.context is None or self.context.today.day != day:
            return []
        running = self._update_partial_day(books.open_days, day)
        touched, self._touched_accounts = self._folding.fold_names(self._touched_accounts), set()
        return self._firing_alerts(running, touched, books.open_days)

    def score_pending(self, books: LedgerView, day: date, pending: DayTables) -> list[Alert]:
        """The alerts of the day so far of whom ``pending``, which does not count yet, is of."""
        if self.context is None or self.context.today.day != day:
            return []
        open_days = books.open_days.with_tables(day, pending)
        pending = self._folding.fold_frames(*pending)
        running = self._update_partial_day(books.open_days, day).copy_with([pending])
        if running is None:
            today = self.context.today
            running = PartialDay.from_day(today, self._day_tables(open_days, day, today.members))
        return self._firing_alerts(running, set(pending[0]["account"].unique()), open_days)

    def _firing_alerts(
        self, running: PartialDay, touched: set[str], open_days: OpenDays
    ) -> list[Alert]:
        """The alerts of accounts that were ``touched``, and of groups, that fire now."""
        assert self.context is not None
        today = running.today
        self._unknown_accounts |= touched - today.members
        asked = {kind: touched if kind == ACCOUNT else None for kind in today.kinds}
        scored = self.pipeline.scorer.score_table(
            today.table(running.hourly, running.new_values, asked)
        )
        if scored.is_empty():
            return []
        anomalous = (
            self.pipeline.scorer_for(today.day)
            .add_anomalous(select_firing_columns(scored))
            .filter("anomalous")
        )
        found = []
        for row in anomalous.iter_rows(named=True):
            who, seen = (row["entity_kind"], row["entity"]), EntityState.from_row(row)
            if seen.is_news(self._last_states.get(who)):
                self._last_states[who] = seen
                found.append(who)
        return self._entity_alerts(running, found, open_days) if found else []

    def _update_partial_day(self, open_days: OpenDays, day: date) -> PartialDay:
        """The day so far, with what came in lately."""
        assert self.context is not None
        running, fresh = self._partial_day, self._new_tables
        self._new_tables = []
        same = running is not None and running.today is self.context.today
        fresh = [self._folding.fold_frames(*tables) for tables in fresh] if same else []
        if running is not None and same and (not fresh or running.add(fresh)):
            return running
        for each in open_days.parts.get(day, []):
            self._touched_accounts |= set(each.hours["account"].unique())
        members = self.context.today.members
        self._partial_day = PartialDay.from_day(
            self.context.today, self._day_tables(open_days, day, members)
        )
        return self._partial_day

    def _update_context(self, books: LedgerView, day: date, now: float, *, wait: bool) -> None:
        if self.context is not None and self.context.today.day != day:
            self._reset()  # what is made next needs the room
        other = self.context is None
        stale = self._has_late_events or bool(self._unknown_accounts)
        if self._preparation is None and (
            other or (stale and now - self._preparation_time >= PREPARE_SECONDS)
        ):
            # A copy: the watcher goes on while this is read.
            still = LedgerView(
                books.ledger, OpenDays({d: list(p) for d, p in books.open_days.parts.items()})
            )
            self._preparation = self._pool.submit(prepare, self.pipeline, still, day)
            self._preparation_time, self._has_late_events = now, False
        if self._preparation is not None and (wait or self._preparation.done()):
            prepared = self._preparation.result()
            self._preparation = None
            self.context = prepared.ready if prepared else None
            self._ledger_tables = prepared.base if prepared else None
            self._folding = prepared.folding if prepared else NO_FOLDING
            if self.context is not None:
                members = self.context.today.members
                # Who was folded is no stranger either, and is one of those touched.
                self._unknown_accounts = self._folding.fold_names(self._unknown_accounts) - members
                self._touched_accounts |= members

    def _day_tables(self, open_days: OpenDays, day: date, members: Collection[str]) -> DayTables:
        """HOURS and TOUCHED of the day so far, of some accounts."""
        assert self._ledger_tables is not None
        theirs = pl.col("account").is_in(list(members))
        sums = open_days.parts.get(day, [])
        return merge_base(
            self._ledger_tables, sums, FEATURE_DIMENSIONS, theirs, self._folding.fold_frames
        )

    def _entity_alerts(
        self, running: PartialDay, found: Collection[tuple[str, str]], open_days: OpenDays
    ) -> list[Alert]:
        """The messages of entities that fire, built from all their hours of the day."""
        assert self.context is not None
        today = running.today
        asked = names_by_kind(found)
        table = today.table(running.hourly, running.new_values, asked, ends=False)
        members = today.group_accounts(asked)
        day = self._day_tables(open_days, today.day, members)
        scored = self.pipeline.scorer.score_table(table)
        return self.context.day_messages(self.pipeline, scored, day, members)[0]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What lies before a day, ``base`` what the ledger has of the day itself, and who is folded."""

    ready: DayContext
    base: DayTables
    folding: Folding = NO_FOLDING


def prepare(judging: Pipeline, books: LedgerView, day: date) -> Prepared | None:
    """What lies before ``day``, and what the ledger has of the day itself.

    Takes seconds: what follows takes less than one. None where there is nobody to score.
    """
    folding = new_accounts.choose_folding(judging, books, day)
    tables = new_accounts.fold_tables(books, folding)
    ready = build_context(judging, tables, gather_past(judging, tables, day, SHARD_ACCOUNTS))
    if ready is None:
        return None
    base = books.ledger.hours(day, day), books.ledger.touched(day, day, FEATURE_DIMENSIONS)
    return Prepared(ready, folding.fold_frames(*base), folding)
