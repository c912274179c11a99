"""What a source makes of a whole log, in one piece."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch


@dataclass(frozen=True)
class Read:
    events: pl.DataFrame
    rejects: pl.DataFrame
    skipped: int
    tail: ReaderState

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> Read:
        every = list(batches)
        return cls(
            pl.concat([batch.events for batch in every]),
            pl.concat([batch.rejects for batch in every]),
            sum(batch.skipped for batch in every),
            every[-1].tail,
        )

    @property
    def told(self) -> int:
        """All entries that were accounted for."""
        return self.events.height + self.rejects.height + self.skipped
