"""One watcher: reads, counts, scores and raises, a micro-batch at a time.

What a micro-batch changes is one transaction: positions, sums, rejects, days to be scored, and
alerts with their messages. Killed before it, the next start comes to the same alerts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from detector.alerts.alert import Alert
from detector.core import public_holidays
from detector.detection.pipeline import Pipeline
from detector.ledger.store import Ledger
from detector.normalize.source import Source
from detector.watch.batch_changes import BatchChanges
from detector.watch.day_schedule import MAX_CLOCK_SKEW, DaySchedule, latest_plausible
from detector.watch.day_scoring import DayScorer
from detector.watch.duplicate_statements import DuplicateFilter
from detector.watch.ledger_commits import LedgerCommits
from detector.watch.log_places import Places
from detector.watch.log_position import Log
from detector.watch.log_tracker import LogTracker
from detector.watch.micro_batch import Chunk, MicroBatchReader
from detector.watch.new_accounts import NewAccounts
from detector.watch.open_days import LedgerView, OpenDays
from detector.watch.raised_alerts import RaisedAlerts
from detector.watch.state import State

#: Seconds of silence after which the wall clock says which days are over, and how far it is
#: behind then.
SILENCE_SECONDS: Final = 60.0
WATERMARK_DELAY: Final = timedelta(minutes=15)


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
    """The rooms of a watcher, and the order in which a turn goes through them. ``wall_clock`` is
    the wall's, ``steady_clock`` one that is never set back; ``sink_names`` are the sinks'.

    Logs come in through ``tracker`` and ``batch_reader``, are summed up in ``open_days``, judged
    by ``scorer``, whose scores are written to ``output_folder``, and leave through ``commits``.
    """

    state: State
    ledger: Ledger
    pipeline: InitVar[Pipeline]
    tracker: LogTracker
    output_folder: InitVar[Path]
    sink_names: tuple[str, ...]
    wall_clock: Callable[[], float]
    scan_interval: float = 1.0
    steady_clock: Callable[[], float] = time.monotonic
    batch_reader: MicroBatchReader = field(init=False)
    open_days: OpenDays = field(init=False)
    schedule: DaySchedule = field(init=False)
    newest_event: datetime | None = None
    new_accounts: NewAccounts = field(init=False)
    places: Places = field(init=False)
    duplicate_filter: DuplicateFilter = field(init=False)
    raised: RaisedAlerts = field(init=False)
    scorer: DayScorer = field(init=False)
    commits: LedgerCommits = field(init=False)
    _changes: BatchChanges = field(default_factory=BatchChanges)
    _facts: dict[str, str] = field(init=False)
    _scan_time: float = float("-inf")
    _progress_time: float = field(init=False)

    def __post_init__(self, pipeline: Pipeline, output_folder: Path) -> None:
        self._facts = self.state.facts()
        self.open_days = OpenDays.from_sums(self.state.sums())
        self.schedule = DaySchedule.from_facts(self._facts, self.ledger.timezone)
        parts = self.ledger.parts()
        self.duplicate_filter = DuplicateFilter(parts, self.tracker.logs, lambda: self.ledger_view)
        zone, twice = self.ledger.timezone, self.duplicate_filter.counted_keys
        self.batch_reader = MicroBatchReader(self.tracker, parts, zone, twice)
        self.places = Places(self.schedule.local_day, self._is_holiday)
        self.raised = RaisedAlerts.from_state(self.state)
        self.scorer = DayScorer(
            pipeline, self.ledger_view, self.tracker, self.schedule, self.raised, output_folder,
            self.wall_clock,
        )  # fmt: skip
        self.places.load(self._facts, self.tracker.logs.values())
        self._progress_time = self.steady_clock()
        self.commits = LedgerCommits(
            self.state, self.ledger, parts, self.open_days, self.tracker, self.schedule,
            self._facts, self.state.rejects().height, self._progress_time,
        )  # fmt: skip
        self.new_accounts = NewAccounts(set(pipeline.model.baselines.groups["account"]))
        self.commits.reconcile()
        self._update_newest()

    @property
    def ledger_view(self) -> LedgerView:
        """The ledger, with the days that are still open."""
        return LedgerView(self.ledger, self.open_days)

    @property
    def alerts(self) -> list[Alert]:
        """All that were raised and not forgotten, in order."""
        return self.raised.alerts

    @property
    def logs(self) -> Sequence[Log]:
        """All that were ever followed."""
        return list(self.tracker.logs.values())

    @property
    def open_episodes(self) -> list[dict[str, Any]]:
        """The episodes that go on, as JSON (``alerts.ongoing``)."""
        return self.scorer.open_episodes(self.newest_event)

    @property
    def is_over(self) -> bool:
        """Whether all that was asked for came in by itself, and has come."""
        return self.tracker.is_over

    def take_notices(self) -> list[str]:
        """What there is to tell people of the logs, once."""
        return self.tracker.take_notices()

    def update_inputs(self, sources: Mapping[str, Source], sink_names: tuple[str, ...]) -> None:
        """How logs are read and where alerts go, from now on."""
        self.tracker.use_sources(sources)
        self.sink_names = sink_names

    def stop_streams(self) -> bool:
        """What came in by itself ends; whether some of it is still to be read."""
        self.tracker.streams.stop()
        return any(log.form == "pipe" for log in self.tracker.open_logs())

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
        low = self._low_watermark(now)
        scored = self.scorer.score_complete(low, now, finish=finish and not pieces)
        alerts = [alert for some in scored for alert in some[1]]
        if not finish:
            alerts += self.scorer.score_running(self._running_day(), now)
        self._save_changes()
        self.commits.commit_due(now, self.newest_event)
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
        self.scorer.close()
        self.batch_reader.hash_queue.close()

    def finish(self) -> list[Alert]:
        """Reads and scores all there is, and puts it into the ledger; the alerts it raised."""
        found: list[Alert] = []
        while not (done := self.run_cycle(finish=True)).is_idle:
            found += done.alerts
        self.commits.commit_all()
        return found

    def add_alerts(self, alerts: Sequence[Alert]) -> None:
        """Keeps alerts for the sinks that do not come of a micro-batch."""
        self.raised.add(alerts)
        self._save_changes()

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
        self.scorer.add_events(days)
        for day, tables in days.items():
            self.new_accounts.add(day, tables[0]["account"].unique().cast(pl.String))
        self.commits.reject_count += sum(each.height for each in rejects)
        self._update_newest()
        self._merge_sums()

    def _save_changes(self) -> None:
        """All that changed since the last time, in one transaction."""
        # First: killed after it, the next start raises the same once more. The other way round, it
        # would not know of episodes that were told.
        self.scorer.save_history()
        facts = {**self.schedule.facts(), **self.places.facts()}
        new = {key: value for key, value in facts.items() if self._facts.get(key) != value}
        logs = [self.tracker.logs[number] for number in sorted(self.tracker.changed_logs)]
        self._changes.alerts += self.raised.take_unsaved()
        self._changes.commit(self.state, self.sink_names, logs, new)
        self._changes = BatchChanges()
        self._facts.update(new)
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

    def _low_watermark(self, now: float) -> datetime | None:
        """The time that all logs have reached: in silence, the wall clock goes on for them."""
        low = self.batch_reader.low_watermark
        if low is None:
            low = self.newest_event
            if now - self._progress_time >= SILENCE_SECONDS:
                late = datetime.fromtimestamp(self.wall_clock(), UTC) - WATERMARK_DELAY
                low = late if low is None else max(low, late)
        return low

    def _running_day(self) -> date | None:
        """The day that runs, if what is read is of it."""
        low = self.batch_reader.low_watermark or self.newest_event
        now = datetime.fromtimestamp(self.wall_clock(), UTC)
        if low is None or abs(now - low) > MAX_CLOCK_SKEW:
            return None
        day = self.schedule.local_day(low)
        return day if day in self.schedule.days_to_score else None

    def _is_holiday(self, day: date) -> bool:
        holidays = self.scorer.pipeline.settings.holidays
        return bool(public_holidays.holidays_among(holidays, [day]))
