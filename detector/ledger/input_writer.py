"""One file's events on their way into the ledger's folders."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from detector.core.files import naming, sync
from detector.core.schema import REJECTS, check
from detector.ledger.aggregate import encode_events
from detector.ledger.overlap import drop_keys
from detector.ledger.partition_writer import PartitionWriter
from detector.ledger.store import Ledger
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch


@dataclass(slots=True)
class InputWriter:
    """Folds the batches of one file and puts them under ``stem()`` in the ledger's folders.

    What another file had before, by ``known_keys`` hours, accounts and actions, is skipped, and so
    are the events and rejects, by their numbers in the file, which the ledger has of the same log
    (``counted``).
    """

    ledger: Ledger
    stem: Callable[[], str]
    known_keys: pl.DataFrame | None = None
    counted: tuple[range, range] = (range(0), range(0))
    duplicate_count: int = 0
    events: int = 0
    rejects: int = 0
    skipped: int = 0
    first: datetime | None = None
    last: datetime | None = None
    tail: ReaderState = field(default_factory=ReaderState)
    days: list[date] = field(default_factory=list)
    _seen: tuple[int, int] = (0, 0)
    _partitions: PartitionWriter = field(init=False)
    _rejects_writer: pq.ParquetWriter | None = None

    def __post_init__(self) -> None:
        self._partitions = PartitionWriter(
            lambda table, day: self.ledger.data_path(table, day, self.stem())
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rejects_writer is not None:
            # A disk that is full was told, and is so still.
            with suppress(OSError):
                self._rejects_writer.close()
            self._rejects_writer = None

    def add(self, batch: Batch) -> None:
        """Takes in one batch of the file."""
        self.skipped += batch.skipped
        self.tail = batch.tail
        batch = self._behind(batch)
        self._write_rejects(batch.rejects)
        batch = self._drop_duplicates(batch)
        events = batch.events
        if events.is_empty():
            return
        self.events += events.height
        first, last = batch.span
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)
        try:
            self._partitions.add(encode_events(events, self.ledger.timezone))
        except OSError as error:
            raise self.ledger.write_error(error) from error

    def _behind(self, batch: Batch) -> Batch:
        """Without what the ledger has of the same log."""
        if not any(self.counted):
            return batch
        events = _without(batch.events, self._seen[0], self.counted[0])
        rejects = _without(batch.rejects, self._seen[1], self.counted[1])
        self._seen = self._seen[0] + batch.events.height, self._seen[1] + batch.rejects.height
        self.duplicate_count += batch.events.height - events.height
        self.skipped += batch.events.height - events.height + batch.rejects.height - rejects.height
        return replace(batch, events=events, rejects=rejects)

    def _drop_duplicates(self, batch: Batch) -> Batch:
        """Without what another file had."""
        if self.known_keys is None or batch.events.is_empty():
            return batch
        fresh = drop_keys(batch, self.known_keys)
        doubled = batch.events.height - fresh.events.height
        self.duplicate_count += doubled
        self.skipped += doubled
        return fresh

    def finish(self) -> None:
        """Everything on disk, for good."""
        try:
            self.days = self._partitions.finish()
            if self._rejects_writer is not None:
                with naming(self._rejects_path):
                    self._rejects_writer.close()
                self._rejects_writer = None
                sync(self._rejects_path)
        except OSError as error:
            raise self.ledger.write_error(error) from error

    @property
    def _rejects_path(self) -> Path:
        return self.ledger.path / "rejects" / f"{self.stem()}.parquet"

    def _write_rejects(self, rejects: pl.DataFrame) -> None:
        if rejects.is_empty():
            return
        self.rejects += rejects.height
        data = check(rejects, REJECTS, "rejects").to_arrow(compat_level=pl.CompatLevel.oldest())
        try:
            with naming(self._rejects_path):
                if self._rejects_writer is None:
                    path = self._rejects_path
                    self._rejects_writer = pq.ParquetWriter(path, data.schema, compression="zstd")
                self._rejects_writer.write_table(data.cast(pa.schema(self._rejects_writer.schema)))
        except OSError as error:
            raise self.ledger.write_error(error) from error


def _without(frame: pl.DataFrame, first: int, numbers: range) -> pl.DataFrame:
    """``frame``, whose first row has the number ``first``, without the rows of some numbers."""
    low, high = (min(max(each - first, 0), frame.height) for each in (numbers.start, numbers.stop))
    return pl.concat([frame[:low], frame[high:]]) if high > low else frame
