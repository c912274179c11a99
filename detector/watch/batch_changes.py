"""What one micro-batch changes, from its first event to its last alert: on disk together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from detector.alerts.alert import Alert
from detector.watch import state
from detector.watch.log_position import Log
from detector.watch.state import DaySums, State


@dataclass(slots=True)
class BatchChanges:
    """``sums`` are new, by number; ``obsolete_sums`` are on disk and no longer wanted there."""

    sums: dict[int, DaySums] = field(default_factory=dict)
    obsolete_sums: list[DaySums] = field(default_factory=list)
    rejects: list[pl.DataFrame] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    def add_sums(self, sums: Iterable[DaySums]) -> None:
        """Sums that came in, or were made of others."""
        self.sums |= {each.seq: each for each in sums}

    def drop_sums(self, sums: Iterable[DaySums]) -> None:
        """Sums that others were made of. What came in just now never goes to disk."""
        self.obsolete_sums += [each for each in sums if self.sums.pop(each.seq, None) is None]

    def commit(
        self,
        kept: State,
        names: Sequence[str],
        logs: Collection[Log],
        facts: Mapping[str, str],
    ) -> None:
        """All of it in one transaction, with ``logs`` and ``facts``; alerts for sinks ``names``.

        Raises sqlite3.Error.
        """
        if not (logs or facts or self.sums or self.obsolete_sums or self.rejects or self.alerts):
            return
        with kept.transaction() as rows:
            for log in logs:
                state.save_log(rows, log)
            state.drop_sums(rows, self.obsolete_sums)
            for each in self.sums.values():
                state.save_sums(rows, each)
            if self.rejects:
                state.save_rejects(rows, pl.concat(self.rejects))
            state.save_facts(rows, facts)
            kept.outbox(tuple(names)).insert(rows, self.alerts)
