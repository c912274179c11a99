"""What one micro-batch changes, from its first event to its last alert: on disk together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from detector.alerts.alert import Alert
from detector.watch import state
from detector.watch.log_position import Log
from detector.watch.state import State, Sums


@dataclass(slots=True)
class Turn:
    """``sums`` are new, by number; ``dropped`` are on disk and no longer wanted there."""

    sums: dict[int, Sums] = field(default_factory=dict)
    dropped: list[Sums] = field(default_factory=list)
    rejects: list[pl.DataFrame] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    def add(self, sums: Iterable[Sums]) -> None:
        """Sums that came in, or were made of others."""
        self.sums |= {each.seq: each for each in sums}

    def drop(self, sums: Iterable[Sums]) -> None:
        """Sums that others were made of. What came in just now never goes to disk."""
        self.dropped += [each for each in sums if self.sums.pop(each.seq, None) is None]

    def keep(
        self,
        kept: State,
        names: Sequence[str],
        logs: Collection[Log],
        facts: Mapping[str, str],
    ) -> None:
        """All of it in one transaction, with ``logs`` and ``facts``; alerts for sinks ``names``.

        Raises sqlite3.Error.
        """
        if not (logs or facts or self.sums or self.dropped or self.rejects or self.alerts):
            return
        with kept.transaction() as rows:
            for log in logs:
                state.keep_log(rows, log)
            state.drop_sums(rows, self.dropped)
            for each in self.sums.values():
                state.keep_sums(rows, each)
            if self.rejects:
                state.keep_rejects(rows, pl.concat(self.rejects))
            state.keep(rows, facts)
            kept.box(tuple(names)).keep(rows, self.alerts)
