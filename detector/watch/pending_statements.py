"""What logs hold back: statements that count once the log has gone on, since more may yet be told
of them.

They are neither in the state's sums nor in the ledger. But a thief's last statement would wait for
the log's next lines, so the day that runs is looked at as if they counted already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from detector.normalize.source import HELD
from detector.watch.log_position import Log
from detector.watch.log_tracker import Shelf
from detector.watch.open_days import Days, Tables, fold, stacked

#: Seconds between two looks, and the most of the time that they take: what counts comes first.
EVERY: Final = 1.0
SHARE: Final = 1 / 5


@dataclass(slots=True)
class Held:
    """By log, the position at which it was looked at, and the sums of what it held back there."""

    shelf: Shelf
    timezone: str
    _sums: dict[int, tuple[int, Days]] = field(default_factory=dict)
    _next: float = float("-inf")
    _told: date | None = None

    def of(self, day: date, now: float) -> Tables | None:
        """HOURS and TOUCHED of ``day``; None where they are as when they were last ``done``."""
        if now < self._next:
            return None
        self._next = now + EVERY
        logs = {log.id: log for log in self.shelf.open_logs() if HELD in log.tail}
        for gone in self._sums.keys() - logs.keys():
            del self._sums[gone]
        for log in logs.values():
            if self._sums.get(log.id, (-1,))[0] != log.position:
                self._sums[log.id] = (log.position, self._closed(log))
                self._told = None
        found = [days[day] for _, days in self._sums.values() if day in days]
        return stacked(found) if found and self._told != day else None

    def took(self, seconds: float) -> None:
        """So long does a look take."""
        self._next += seconds / SHARE

    def done(self, day: date) -> None:
        """They were looked at."""
        self._told = day

    def _closed(self, log: Log) -> Days:
        growing = self.shelf.source(log).growing
        if growing is None or growing.close is None:
            return {}
        return fold([growing.close(self.shelf.looks.settings, log.tail)], self.timezone)
