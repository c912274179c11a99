"""Judges a watcher's days: the last word on those that are over, and the day that runs so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from detector.alerts import episode_store, feature_drift, ongoing, writer
from detector.alerts.alert import Alert
from detector.detection import batch
from detector.detection.pipeline import Pipeline
from detector.detection.results import DetectionResult
from detector.watch.day_schedule import DaySchedule
from detector.watch.intraday_scoring import SHARD_ACCOUNTS, IntradayScorer
from detector.watch.log_tracker import LogTracker
from detector.watch.open_days import DayTables, LedgerView
from detector.watch.pending_statements import PendingStatements
from detector.watch.raised_alerts import RaisedAlerts

#: Seconds before a day that was scored is scored anew for late events.
RESCORE_SECONDS: Final = 60.0
#: Scored days whose features are pending against training.
DRIFT_DAYS: Final = 14


@dataclass(slots=True)
class DayScorer:
    """Judges the days of ``ledger`` by ``pipeline``, with what the logs of ``tracker`` hold back.
    What it raises joins ``raised``; final scores are written to ``output_folder``.

    ``drift_counts`` and ``folded`` are of the latest scored days: how their features lie, and how
    many accounts were judged as one.
    """

    pipeline: Pipeline
    ledger: LedgerView
    tracker: LogTracker
    schedule: DaySchedule
    raised: RaisedAlerts
    output_folder: Path
    wall_clock: Callable[[], float]
    drift_counts: dict[date, pl.DataFrame] = field(default_factory=dict)
    unscored_accounts: list[str] = field(default_factory=list)
    folded: dict[date, int] = field(default_factory=dict)
    intraday: IntradayScorer = field(init=False)
    pending: PendingStatements = field(init=False)
    _has_new_events: bool = True
    _rescore_time: float = float("-inf")

    def __post_init__(self) -> None:
        self._load_history(self.pipeline)

    def _load_history(self, pipeline: Pipeline) -> None:
        """Judges by what was raised from the ledger, be it by ``score``."""
        first = min([*self.schedule.days_to_score, *self.schedule.scored_days], default=None)
        path = self.ledger.ledger.path
        history = episode_store.load(path, first, pipeline.model, pipeline.settings)
        self.pipeline = replace(pipeline, history=history)
        self.intraday = IntradayScorer(self.pipeline)
        self.pending = PendingStatements(self.tracker, self.ledger.ledger.timezone)

    def use_pipeline(self, pipeline: Pipeline) -> None:
        """From now on."""
        self.drift_counts = {}  # against the other model's training
        self.intraday.close()
        self._load_history(pipeline)
        self._has_new_events = True

    def close(self) -> None:
        """Ends what goes on beside."""
        self.intraday.close()

    def save_history(self) -> None:
        """What was told of episodes, on disk. Raises LedgerError."""
        episode_store.save(self.ledger.ledger.path, self.pipeline.history)

    def open_episodes(self, newest: datetime | None) -> list[dict[str, Any]]:
        """The episodes that go on at the ``newest`` event, as JSON (``alerts.ongoing``)."""
        history = self.pipeline.history
        if newest is None:
            return []
        standing = history.open_episodes(self.schedule.local_day(newest))
        return [ongoing.to_dict(each, history.last_message(each)) for each in standing]

    def add_events(self, days: Mapping[date, DayTables]) -> None:
        """Events that came in: the day that runs is to be looked at again."""
        for day, tables in days.items():
            self.intraday.add_events(day, tables)
        self._has_new_events = self._has_new_events or bool(days)

    def score_complete(
        self, low: datetime | None, now: float, *, finish: bool
    ) -> list[tuple[DetectionResult, list[Alert]]]:
        """The final word on the first of the days that are over: no log that is behind ``low`` can
        add to them any more. With ``finish``, all days are over.
        """
        days = self._days_to_score(low, now, finish=finish)
        # What lies before two days would be pending at once: the one that runs is soon prepared.
        if not days or (self.intraday.is_gathering and not finish):
            return []
        self.intraday.discard_days(days)
        if any(day in self.schedule.scored_days for day in days):
            self._rescore_time = now
        some = next(batch.score_by_week(self.pipeline, self.ledger, days, SHARD_ACCOUNTS))
        return [(some, self._publish(some))]

    def _days_to_score(self, low: datetime | None, now: float, *, finish: bool) -> list[date]:
        if finish:
            return sorted(self.schedule.days_to_score)
        if low is None:
            return []
        days = self.schedule.complete_days(low)
        if now - self._rescore_time < RESCORE_SECONDS:
            days = [day for day in days if day not in self.schedule.scored_days]
        return days

    def score_running(self, day: date | None, now: float) -> list[Alert]:
        """The ``day`` that runs so far, where events came in, or are pending back by a log."""
        if day is None:
            return []
        found: list[Alert] = []
        if self._has_new_events:
            found = self.intraday.score(self.ledger, day, now)
            self._has_new_events = self.intraday.is_preparing
            self._fold(day, self.intraday.folded)
        began = time.monotonic()
        if (pending := self.pending.tables_for(day, now)) is not None:
            found += self.intraday.score_pending(self.ledger, day, pending)
            self.pending.add_cost(time.monotonic() - began)
            if self.intraday.context is not None and not self.intraday.is_preparing:
                self.pending.mark_scored(day)
        return self.raised.raise_new(self.pipeline, found, self.wall_clock()) if found else []

    def _publish(self, some: DetectionResult) -> list[Alert]:
        """Puts scores on disk; alerts, and that the days are done, go there with the batch."""
        for day in some.days:
            scores = some.scores.filter(pl.col("date") == day)
            writer.write_day_scores(self.output_folder, day, scores)
            counts = some.drift_counts.filter(pl.col("day") == day)
            latest = {**self.drift_counts, day: counts}
            self.drift_counts = feature_drift.latest_counts(latest, DRIFT_DAYS)
            self._fold(day, some.folded)
        self.unscored_accounts = some.unscored_accounts
        self.schedule.mark_scored(some.days)
        return self.raised.raise_new(self.pipeline, some.alerts, self.wall_clock())

    def _fold(self, day: date, number: int) -> None:
        """So many accounts of a day are judged as one."""
        kept = {**self.folded, day: max(number, self.folded.get(day, 0))}
        self.folded = {day: kept[day] for day in sorted(kept)[-DRIFT_DAYS:] if kept[day]}
