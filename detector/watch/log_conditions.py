"""What is wrong with the logs together: gone without a successor, changed, denied, or too fast."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from detector.watch.copies import CHANGED_REASON
from detector.watch.log_position import Log

#: Seconds in which a lag grows by so many bytes where the watcher does not keep up.
LAG_WINDOW: Final = 600.0
LAG_GROWTH: Final = 64 << 20
#: What an alert is named that is of no log by itself.
ALL_LOGS: Final = "all logs"


class Condition(NamedTuple):
    """``name`` of a log and ``what`` is wrong with it. The same ``once`` is told once for good."""

    name: str
    what: str
    words: str
    once: str = ""


@dataclass(slots=True)
class LogConditions:
    """``now`` is what was wrong at the last look. ``steady_clock`` is a clock that is never set
    back.
    """

    steady_clock: Callable[[], float] = time.monotonic
    current: list[Condition] = field(default_factory=list)
    _event_counts: dict[int, int] = field(default_factory=dict)
    _last_event_times: dict[tuple[str, str], float] = field(default_factory=dict)
    _lags: deque[tuple[float, int]] = field(default_factory=deque)
    _reported: set[tuple[str, str, str]] = field(default_factory=set)

    def new_conditions(
        self,
        logs: Collection[Log],
        silent_after: float,
        behind: int,
        denied: Mapping[str, str],
        others: Collection[Condition] = (),
    ) -> list[Condition]:
        """Those that were not there before. ``behind`` are bytes that were not read yet, ``denied``
        files that cannot be read, and why; a place without a log is silent for ``silent_after``
        seconds before it is told. ``others`` are those of what was read.
        """
        ticks = self.steady_clock()
        self.current = [
            *self._missing_successors(logs, silent_after, ticks),
            *(Condition(log.path, "changed", log.reason, f"{log.id}") for log in logs
              if log.stage in {"open", "ended"} and log.reason.startswith(CHANGED_REASON)),
            *(Condition(log.path, "lost", log.reason) for log in logs if log.lost),
            *(Condition(path, "denied", f"cannot be read ({why})") for path, why in denied.items()),
            *self._lag_conditions(behind, ticks),
            *others,
        ]  # fmt: skip
        keys = {(each.name, each.what, each.once) for each in self.current}
        # A log's own health tells what was lost.
        fresh = [
            each
            for each in self.current
            if (each.name, each.what, each.once) not in self._reported and each.what != "lost"
        ]
        self._reported = keys
        return fresh

    def _missing_successors(
        self, logs: Collection[Log], silent_after: float, now: float
    ) -> list[Condition]:
        """Folders in which a log was followed that has ended, and none came after it."""
        last: dict[tuple[str, str], Log] = {}
        going = set()
        for log in logs:
            if log.form != "growing" or log.stage == "copy" or not log.source:
                continue
            place = (log.path.rpartition("/")[0], log.source)
            if self._event_counts.get(log.id) != log.events:
                self._event_counts[log.id] = log.events
                self._last_event_times[place] = now
            if log.stage == "open":
                going.add(place)
            elif log.stage == "ended" and log.events:
                last[place] = log
        return [
            Condition(
                log.path,
                "gone",
                "was deleted or rotated, and no log came after it: no event for "
                f"{(now - self._last_event_times[place]) / 60:.0f} minutes",
            )
            for place, log in last.items()
            if place not in going and 0 < silent_after <= now - self._last_event_times[place]
        ]

    def _lag_conditions(self, behind: int, now: float) -> list[Condition]:
        """Whether what was not read yet grows."""
        self._lags.append((now, behind))
        while len(self._lags) > 1 and self._lags[1][0] <= now - LAG_WINDOW:
            self._lags.popleft()
        since, before = self._lags[0]
        if now - since < LAG_WINDOW or behind - before < LAG_GROWTH:
            return []
        words = (
            f"{behind:,} bytes were not read yet, {behind - before:,} more than "
            f"{(now - since) / 60:.0f} minutes ago: alerts come late"
        )
        return [Condition(ALL_LOGS, "lag", words)]
