"""When what a state holds goes into the ledger, and out of the state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from detector.ledger.manifest import Part
from detector.ledger.store import Ledger
from detector.watch import commit, state
from detector.watch.day_schedule import DaySchedule
from detector.watch.log_tracker import LogTracker
from detector.watch.open_days import OpenDays
from detector.watch.state import State

#: Rows of open days beyond which days that are over are sealed at once; else every so many seconds.
MAX_OPEN_ROWS: Final = 3_000_000
COMMIT_SECONDS: Final = 600.0
#: Rejects that are put into the ledger at once.
MAX_REJECTS: Final = 10_000


@dataclass(slots=True)
class LedgerCommits:
    """Of one state into one ledger, which had ``parts`` at the start. ``facts`` are the state's.

    ``reject_count`` are the rejects that the state holds, ``time`` is when it was looked at last.
    """

    state: State
    ledger: Ledger
    parts: Sequence[Part]
    open_days: OpenDays
    tracker: LogTracker
    schedule: DaySchedule
    facts: dict[str, str]
    reject_count: int
    time: float

    def reconcile(self) -> None:
        """A part whose manifest is there was sealed just before a kill."""
        own = self._next_part_id()
        part = next((part for part in self.parts if part.id == own), None)
        if part is not None:
            self._drop_committed(part.days, part.replaced_ids)

    def commit_due(self, now: float, newest: datetime | None) -> None:
        """Days that are over go into the ledger, if it is time. Raises LedgerError."""
        if newest is None:
            return
        many = self.open_days.row_count > MAX_OPEN_ROWS or self.reject_count > MAX_REJECTS
        if many or now - self.time >= COMMIT_SECONDS:
            self.time = now
            days = self.schedule.committable_days(self.open_days.parts, newest)
            if days or self.reject_count > MAX_REJECTS:
                self.commit(days)

    def commit_all(self) -> None:
        """All days go into the ledger. Raises LedgerError."""
        self.commit(sorted(self.open_days.parts))

    def commit(self, days: Sequence[date]) -> None:
        """Into the ledger, then out of the state. Raises LedgerError."""
        contents = {
            log.content: (0 if log.form == "whole" else log.position, log.events, log.rejects)
            for log in self.tracker.logs.values() if log.content and not log.listed
        }  # fmt: skip
        if not days and not self.reject_count and not contents:
            return
        known = {part.id for part in self.parts}
        seal = commit.LedgerCommit(self.ledger, self._next_part_id())
        new = {content: counts for content, counts in contents.items() if content not in known}
        seal.write(self.open_days, days, self.state.rejects(), new)
        self._drop_committed(days, contents)

    def _next_part_id(self) -> str:
        return commit.part_id(self.facts["id"], int(self.facts.get("seals", "0")))

    def _drop_committed(self, days: Sequence[date], contents: Collection[str]) -> None:
        """What a sealed part holds."""
        logs = [log for log in self.tracker.logs.values() if log.content in contents]
        seals = {"seals": str(int(self.facts.get("seals", "0")) + 1)}
        sums = [each for day in days for each in self.open_days.parts.get(day, [])]
        with self.state.transaction() as rows:
            state.drop_sums(rows, sums)
            state.drop_rejects(rows)
            state.save_facts(rows, seals)
            for log in logs:
                self.tracker.logs[log.id] = replace(log, listed=True)
                state.save_log(rows, self.tracker.logs[log.id])
        self.facts.update(seals)
        self.open_days.remove(sums)
        self.reject_count = 0
