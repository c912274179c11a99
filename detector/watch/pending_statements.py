"""What logs hold back: statements that count once the log has gone on, since more may yet be told
of them.

They are neither in the state's sums nor in the ledger. But a thief's last statement would wait for
the log's next lines, so the day that runs is looked at as if they counted already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from detector.watch.log_position import Log
from detector.watch.log_tracker import LogTracker
from detector.watch.open_days import DayTables, TablesByDay, aggregate_batches, merge_tables

#: Seconds between two looks, and the most of the time that they take: what counts comes first.
LOOK_SECONDS: Final = 1.0
MAX_TIME_SHARE: Final = 1 / 5


@dataclass(slots=True)
class PendingStatements:
    """By log, the position at which it was looked at, and the sums of what it held back there."""

    tracker: LogTracker
    timezone: str
    _sums: dict[int, tuple[int, TablesByDay]] = field(default_factory=dict)
    _next_look: float = float("-inf")
    _scored_day: date | None = None

    def tables_for(self, day: date, now: float) -> DayTables | None:
        """HOURS and TOUCHED of ``day``; None where they are as when they were last
        ``mark_scored``.
        """
        if now < self._next_look:
            return None
        self._next_look = now + LOOK_SECONDS
        logs = {log.id: log for log in self.tracker.open_logs() if log.tail.pending}
        for gone in self._sums.keys() - logs.keys():
            del self._sums[gone]
        for log in logs.values():
            if self._sums.get(log.id, (-1,))[0] != log.position:
                self._sums[log.id] = (log.position, self._pending_tables(log))
                self._scored_day = None
        found = [days[day] for _, days in self._sums.values() if day in days]
        return merge_tables(found) if found and self._scored_day != day else None

    def add_cost(self, seconds: float) -> None:
        """So long does a look take."""
        self._next_look += seconds / MAX_TIME_SHARE

    def mark_scored(self, day: date) -> None:
        """They were looked at."""
        self._scored_day = day

    def _pending_tables(self, log: Log) -> TablesByDay:
        growing = self.tracker.source_for(log).follow_reader
        if growing is None or growing.close is None:
            return {}
        return aggregate_batches(
            [growing.close(self.tracker.search.settings, log.tail)], self.timezone
        )
