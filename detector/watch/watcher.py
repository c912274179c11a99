"""One watcher: reads, counts, scores and raises, a micro-batch at a time.

What a micro-batch changes is one transaction: positions, sums, rejects, days to be scored, and
alerts with their messages. Killed before it, the next start comes to the same alerts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from detector.alerts import episode_store, feature_drift, ongoing, writer
from detector.alerts.alert import Alert
from detector.core import public_holidays
from detector.detection import batch
from detector.detection.pipeline import Pipeline
from detector.detection.results import DetectionResult
from detector.ledger.store import Ledger
from detector.watch import commit, state
from detector.watch.batch_changes import BatchChanges
from detector.watch.day_schedule import MAX_CLOCK_SKEW, DaySchedule, latest_plausible
from detector.watch.duplicate_statements import DuplicateFilter
from detector.watch.intraday_scoring import SHARD_ACCOUNTS, IntradayScorer
from detector.watch.log_places import Places
from detector.watch.log_tracker import LogTracker
from detector.watch.micro_batch import Chunk, MicroBatchReader
from detector.watch.new_accounts import NewAccounts
from detector.watch.open_days import LedgerView, OpenDays
from detector.watch.pending_statements import PendingStatements
from detector.watch.state import State

#: Rows of open days beyond which days that are over are sealed at once; else every so many seconds.
MAX_OPEN_ROWS: Final = 3_000_000
COMMIT_SECONDS: Final = 600.0
#: Rejects that are put into the ledger at once.
MAX_REJECTS: Final = 10_000
#: Seconds of silence after which the wall clock says which days are over, and how far it is
#: behind then.
SILENCE_SECONDS: Final = 60.0
WATERMARK_DELAY: Final = timedelta(minutes=15)
#: Seconds before a day that was scored is scored anew for late events.
RESCORE_SECONDS: Final = 60.0
#: Scored days whose features are held against training.
DRIFT_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one turn did."""

    chunks: int = 0
    events: int = 0
    bytes: int = 0
    backlog: int = 0
    alerts: tuple[Alert, ...] = ()
    scored_days: tuple[date, ...] = ()

    @property
    def is_idle(self) -> bool:
        """Whether nothing was read or scored."""
        return not (self.chunks or self.backlog or self.scored_days)


@dataclass(slots=True)
class Watcher:
    """Everything a watcher has at hand. ``wall_clock`` is the wall's, ``steady_clock`` one that is
    never set back; ``sink_names`` are the sinks'.

    The final scores of each day are written to ``out``.
    """

    state: State
    ledger: Ledger
    pipeline: Pipeline
    tracker: LogTracker
    output_folder: Path
    sink_names: tuple[str, ...]
    wall_clock: Callable[[], float]
    scan_interval: float = 1.0
    steady_clock: Callable[[], float] = time.monotonic
    batch_reader: MicroBatchReader = field(init=False)
    open_days: OpenDays = field(init=False)
    schedule: DaySchedule = field(init=False)
    newest_event: datetime | None = None
    drift_counts: dict[date, pl.DataFrame] = field(default_factory=dict)
    unscored_accounts: list[str] = field(default_factory=list)
    folded: dict[date, int] = field(default_factory=dict)
    alerts: list[Alert] = field(init=False)
    intraday: IntradayScorer = field(init=False)
    pending: PendingStatements = field(init=False)
    new_accounts: NewAccounts = field(init=False)
    places: Places = field(init=False)
    duplicate_filter: DuplicateFilter = field(init=False)
    _changes: BatchChanges = field(default_factory=BatchChanges)
    _has_new_events: bool = True
    _alert_ids: set[str] = field(init=False)
    _facts: dict[str, str] = field(init=False)
    _reject_count: int = 0
    _scan_time: float = float("-inf")
    _commit_time: float = field(init=False)
    _progress_time: float = field(init=False)
    _rescore_time: float = float("-inf")

    def __post_init__(self) -> None:
        self._facts = self.state.facts()
        self.open_days = OpenDays.from_sums(self.state.sums())
        self._reject_count = self.state.rejects().height
        self.schedule = DaySchedule.from_facts(self._facts, self.ledger.timezone)
        parts = self.ledger.parts()
        self.duplicate_filter = DuplicateFilter(parts, self.tracker.logs, lambda: self.ledger_view)
        zone, twice = self.ledger.timezone, self.duplicate_filter.counted_keys
        self.batch_reader = MicroBatchReader(self.tracker, parts, zone, twice)
        self.places = Places(self.schedule.local_day, self._is_holiday)
        self.places.load(self._facts, self.tracker.logs.values())
        self.alerts = self.state.alerts()
        self._alert_ids = self.state.outbox().ids()
        self._load_history(self.pipeline)
        self.pending = PendingStatements(self.tracker, self.ledger.timezone)
        self._commit_time = self._progress_time = self.steady_clock()
        self.new_accounts = NewAccounts(set(self.pipeline.model.baselines.groups["account"]))
        self._reconcile()
        self._update_newest()

    @property
    def ledger_view(self) -> LedgerView:
        """The ledger, with the days that are still open."""
        return LedgerView(self.ledger, self.open_days)

    def run_cycle(self, *, finish: bool = False) -> Cycle:
        """One turn. With ``finish``, what is at its end has ended, and its days are over.

        Raises DetectorError, and sqlite3.Error where the state cannot be written.
        """
        now = self.steady_clock()
        if finish or now - self._scan_time >= self.scan_interval:
            self.tracker.scan(now, self.wall_clock(), finish=finish)
            self._scan_time = now
        before = {log.id: (log.events, log.position) for log in self.tracker.logs.values()}
        pieces = self.batch_reader.next_chunks(now, finish=finish)
        self._add_chunks(pieces)
        if pieces:
            self._progress_time = now
        scored = self._score_days(now, finish=finish and not pieces)
        alerts = [alert for some in scored for alert in some[1]]
        if not finish:
            alerts += self._score_today(now)
        self._save_changes()
        self._commit_days(now)
        return Cycle(
            len(pieces),
            sum(piece.log.events - before.get(piece.log.id, (0, 0))[0] for piece in pieces),
            sum(piece.log.position - before.get(piece.log.id, (0, 0))[1] for piece in pieces),
            len(self.batch_reader.backlog),
            tuple(alerts),
            tuple(day for some in scored for day in some[0].days),
        )

    def close(self) -> None:
        """Ends what goes on beside."""
        self.intraday.close()
        self.batch_reader.hash_queue.close()

    def finish(self) -> list[Alert]:
        """Reads and scores all there is, and puts it into the ledger; the alerts it raised."""
        found: list[Alert] = []
        while not (done := self.run_cycle(finish=True)).is_idle:
            found += done.alerts
        self._commit_to_ledger(sorted(self.open_days.parts))
        return found

    def _add_chunks(self, pieces: Sequence[Chunk]) -> None:
        """Takes the pieces in."""
        pieces, days = self.duplicate_filter.drop_counted(pieces)
        batches = [batch for piece in pieces for batch in piece.batches]
        sums = [self.open_days.new_sums(day, *tables) for day, tables in sorted(days.items())]
        rejects = [batch.rejects for batch in batches if batch.rejects.height]
        rejects += [each for piece in pieces for each in piece.rejects]
        self.schedule.mark_dirty(each.day for each in sums)
        for piece in pieces:
            self.tracker.update_log(piece.log)
            self.places.add(piece.log, self.wall_clock())
        self.open_days.add(sums)
        self._changes.add_sums(sums)
        self._changes.rejects += rejects
        self._has_new_events = self._has_new_events or bool(sums)
        for day, tables in days.items():
            self.intraday.add_events(day, tables)
            self.new_accounts.add(day, tables[0]["account"].unique().cast(pl.String))
        self._reject_count += sum(each.height for each in rejects)
        self._update_newest()
        self._merge_sums()

    def _save_changes(self) -> None:
        """All that changed since the last time, in one transaction."""
        # First: killed after it, the next start raises the same once more. The other way round, it
        # would not know of episodes that were told.
        if self.pipeline.history is not None:
            episode_store.save(self.ledger.path, self.pipeline.history)
        facts = {**self.schedule.facts(), **self.places.facts()}
        new = {key: value for key, value in facts.items() if self._facts.get(key) != value}
        logs = [self.tracker.logs[number] for number in sorted(self.tracker.changed_logs)]
        self._changes.commit(self.state, self.sink_names, logs, new)
        self._changes = BatchChanges()
        self._facts |= new
        self.tracker.changed_logs.clear()

    def _merge_sums(self) -> None:
        """Small sums become larger ones."""
        for sums in self.open_days.mergeable():
            whole = self.open_days.merge(sums)
            self.open_days.remove(sums)
            self.open_days.add([whole])
            self._changes.drop_sums(sums)
            self._changes.add_sums([whole])

    def _update_newest(self) -> None:
        times = [log.last for log in self.tracker.logs.values() if log.last is not None]
        self.newest_event = latest_plausible(times, self.wall_clock())

    def _days_to_score(self, now: float, *, finish: bool) -> list[date]:
        """Days to be scored for good: no log that is behind can add to them any more."""
        if finish:
            return sorted(self.schedule.days_to_score)
        low = self.batch_reader.low_watermark
        if low is None:
            low = self.newest_event
            if now - self._progress_time >= SILENCE_SECONDS:
                late = datetime.fromtimestamp(self.wall_clock(), UTC) - WATERMARK_DELAY
                low = late if low is None else max(low, late)
        if low is None:
            return []
        days = self.schedule.complete_days(low)
        if now - self._rescore_time < RESCORE_SECONDS:
            days = [day for day in days if day not in self.schedule.scored_days]
        return days

    def _score_days(self, now: float, *, finish: bool) -> list[tuple[DetectionResult, list[Alert]]]:
        """The final word on the first of the days that are over."""
        days = self._days_to_score(now, finish=finish)
        # What lies before two days would be held at once: the one that runs is soon prepared.
        if not days or (self.intraday.is_gathering and not finish):
            return []
        self.intraday.discard_days(days)
        if any(day in self.schedule.scored_days for day in days):
            self._rescore_time = now
        some = next(batch.score_by_week(self.pipeline, self.ledger_view, days, SHARD_ACCOUNTS))
        return [(some, self._publish(some, self.wall_clock()))]

    def _score_today(self, now: float) -> list[Alert]:
        """The day so far, where it is today's and events came in, or are held back by a log."""
        if (day := self._today(self.wall_clock())) is None:
            return []
        found: list[Alert] = []
        if self._has_new_events:
            found = self.intraday.score(self.ledger_view, day, now)
            self._has_new_events = self.intraday.is_preparing
            self._fold(day, self.intraday.folded)
        began = time.monotonic()
        if (held := self.pending.tables_for(day, now)) is not None:
            found += self.intraday.score_pending(self.ledger_view, day, held)
            self.pending.add_cost(time.monotonic() - began)
            if self.intraday.context is not None and not self.intraday.is_preparing:
                self.pending.mark_scored(day)
        if not found:
            return []
        new = self.pipeline.new_alerts(found, self.alerts, self._alert_ids, self.wall_clock())
        self._record_alerts(new)
        return new

    def _today(self, now: float) -> date | None:
        """The day that runs, if what is read is of it."""
        low = self.batch_reader.low_watermark or self.newest_event
        if low is None or abs(datetime.fromtimestamp(now, UTC) - low) > MAX_CLOCK_SKEW:
            return None
        day = self.schedule.local_day(low)
        return day if day in self.schedule.days_to_score else None

    def add_alerts(self, alerts: Sequence[Alert]) -> None:
        """Keeps alerts for the sinks that do not come of a micro-batch."""
        self._record_alerts(alerts)
        self._save_changes()

    def _record_alerts(self, alerts: Sequence[Alert]) -> None:
        self._changes.alerts += alerts
        self.alerts += alerts
        self._alert_ids |= {alert["id"] for alert in alerts}

    def _load_history(self, judging: Pipeline) -> None:
        """Judges by what was raised from the ledger, be it by ``score``."""
        first = min([*self.schedule.days_to_score, *self.schedule.scored_days], default=None)
        memory = episode_store.load(self.ledger.path, first, judging.model, judging.settings)
        self.pipeline = replace(judging, history=memory)
        self.intraday = IntradayScorer(self.pipeline)

    @property
    def open_episodes(self) -> list[dict[str, Any]]:
        """The episodes that go on, as JSON (``alerts.ongoing``)."""
        memory = self.pipeline.history
        if memory is None or self.newest_event is None:
            return []
        standing = memory.open_episodes(self.schedule.local_day(self.newest_event))
        return [ongoing.to_dict(each, memory.last_message(each)) for each in standing]

    def use_pipeline(self, judging: Pipeline) -> None:
        """From now on."""
        self.drift_counts = {}  # against the other model's training
        self.intraday.close()
        self._load_history(judging)
        self.pending = PendingStatements(self.tracker, self.ledger.timezone)
        self._has_new_events = True

    def _publish(self, some: DetectionResult, now: float) -> list[Alert]:
        """Puts scores on disk; alerts, and that the days are done, go there with the batch."""
        new = self.pipeline.new_alerts(some.alerts, self.alerts, self._alert_ids, now)
        for day in some.days:
            writer.write_day_scores(
                self.output_folder, day, some.scores.filter(pl.col("date") == day)
            )
            counts = some.drift_counts.filter(pl.col("day") == day)
            latest = {**self.drift_counts, day: counts}
            self.drift_counts = feature_drift.latest_counts(latest, DRIFT_DAYS)
            self._fold(day, some.folded)
        self.unscored_accounts = some.unscored_accounts
        self.schedule.mark_scored(some.days)
        self._record_alerts(new)
        return new

    def _is_holiday(self, day: date) -> bool:
        return bool(public_holidays.holidays_among(self.pipeline.settings.holidays, [day]))

    def _fold(self, day: date, number: int) -> None:
        """So many accounts of a day are judged as one."""
        kept = {**self.folded, day: max(number, self.folded.get(day, 0))}
        self.folded = {day: kept[day] for day in sorted(kept)[-DRIFT_DAYS:] if kept[day]}

    def _commit_days(self, now: float) -> None:
        """Days that are over go into the ledger."""
        if self.newest_event is None:
            return
        many = self.open_days.row_count > MAX_OPEN_ROWS or self._reject_count > MAX_REJECTS
        if many or now - self._commit_time >= COMMIT_SECONDS:
            self._commit_time = now
            days = self.schedule.committable_days(self.open_days.parts, self.newest_event)
            if days or self._reject_count > MAX_REJECTS:
                self._commit_to_ledger(days)

    def _commit_to_ledger(self, days: Sequence[date]) -> None:
        """Into the ledger, then out of the state."""
        contents = {
            log.content: (0 if log.form == "whole" else log.position, log.events, log.rejects)
            for log in self.tracker.logs.values() if log.content and not log.listed
        }  # fmt: skip
        if not days and not self._reject_count and not contents:
            return
        known = {part.id for part in self.batch_reader.parts}
        seal = commit.LedgerCommit(self.ledger, self._next_part_id())
        new = {content: counts for content, counts in contents.items() if content not in known}
        seal.write(self.open_days, days, self.state.rejects(), new)
        self._drop_committed(days, contents)

    def _next_part_id(self) -> str:
        return commit.part_id(self._facts["id"], int(self._facts.get("seals", "0")))

    def _drop_committed(self, days: Sequence[date], contents: Collection[str]) -> None:
        """What a sealed part holds."""
        logs = [log for log in self.tracker.logs.values() if log.content in contents]
        seals = {"seals": str(int(self._facts.get("seals", "0")) + 1)}
        sums = [each for day in days for each in self.open_days.parts.get(day, [])]
        with self.state.transaction() as rows:
            state.drop_sums(rows, sums)
            state.drop_rejects(rows)
            state.save_facts(rows, seals)
            for log in logs:
                self.tracker.logs[log.id] = replace(log, listed=True)
                state.save_log(rows, self.tracker.logs[log.id])
        self._facts |= seals
        self.open_days.remove(sums)
        self._reject_count = 0

    def _reconcile(self) -> None:
        """A part whose manifest is there was sealed just before a kill."""
        own = self._next_part_id()
        part = next((part for part in self.batch_reader.parts if part.id == own), None)
        if part is not None:
            self._drop_committed(part.days, part.replaced_ids)
