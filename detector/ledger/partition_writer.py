"""Collects the events of one input by day, sums them, and writes the sums of each day.

Logs are mostly in order of time, so a day is complete once the events have passed it: it is
summed and written once. A log in any other order costs more files, not more memory.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
import polars.selectors as cs

from detector.core.files import naming, sync_all
from detector.core.schema import HOURLY_SUMS, TOUCHED_VALUES
from detector.ledger.aggregate import (
    decode_sums,
    encoded_hourly_sums,
    encoded_touched_values,
    merge_hourly_lazy,
    merge_touched_lazy,
)

#: Events held in memory before days are written: about 60 MB.
MAX_BUFFERED: Final = 1_000_000

#: Days that are sorted and written at once: each keeps about one core busy.
WRITE_THREADS: Final = 4

_SCHEMAS: Final = {"hours": HOURLY_SUMS, "touched": TOUCHED_VALUES}
_SUMS: Final = {"hours": merge_hourly_lazy, "touched": merge_touched_lazy}


@dataclass(slots=True)
class PartitionWriter:
    """Both tables of one part, on their way to disk. ``path_of_day`` is where a table's day
    goes.
    """

    path_of_day: Callable[[str, date], Path]
    limit: int = MAX_BUFFERED
    _buffer: list[pl.DataFrame] = field(default_factory=list)
    _buffered_rows: int = 0
    _file_counts: dict[date, int] = field(default_factory=dict)

    def add(self, events: pl.DataFrame) -> None:
        """Takes in some ``coded`` events."""
        self._buffer.append(events)
        self._buffered_rows += events.height
        if self._buffered_rows > self.limit:
            self._write(pl.col("day") < events["day"].max())
        if self._buffered_rows > self.limit:
            self._write(pl.lit(value=True))

    def finish(self) -> list[date]:
        """Leaves exactly one file of each table, on disk for good, for each day; the days."""
        if self._buffered_rows:
            self._write(pl.lit(value=True))
        for day in self._file_counts:
            for table in _SCHEMAS:
                self._merge_files(table, day)
        sync_all(self.path_of_day(table, day) for table in _SCHEMAS for day in self._file_counts)
        return sorted(self._file_counts)

    def _write(self, ready: pl.Expr) -> None:
        """Sums what is held of the days that are ``ready``, and moves the sums to disk."""
        held = pl.concat(self._buffer)
        events, later = held.filter(ready), held.filter(~ready)
        self._buffer, self._buffered_rows = [later], later.height
        tables = pl.collect_all(
            [encoded_hourly_sums(events), encoded_touched_values(events)], engine="streaming"
        )
        days = events["day"].unique().to_list()
        saving = []
        with ThreadPoolExecutor(WRITE_THREADS) as pool:
            for table, sums in zip(_SCHEMAS, tables, strict=True):
                pieces = sums.partition_by("day", as_dict=True)
                for day in days:
                    piece = pieces.get((day,), sums.clear())
                    path = self._numbered_path(table, day, self._file_counts.get(day, 0))
                    saving.append(pool.submit(self._save, piece, table, path))
        for saved in saving:
            saved.result()
        for day in days:
            self._file_counts[day] = self._file_counts.get(day, 0) + 1

    def _merge_files(self, table: str, day: date) -> None:
        """One file of several."""
        files = [
            self._numbered_path(table, day, number) for number in range(self._file_counts[day])
        ]
        if len(files) == 1:
            return
        frame = pl.scan_parquet(files, hive_partitioning=False)
        few = cs.string() - cs.by_name("value", require_all=False)
        whole = _SUMS[table](frame.with_columns(few.cast(pl.Categorical)))
        self._save(whole.collect(engine="streaming"), table, files[0])
        for path in files[1:]:
            path.unlink()

    def _numbered_path(self, table: str, day: date, number: int) -> Path:
        """The first file is the day's own; later ones are joined to it at the end."""
        path = self.path_of_day(table, day)
        return path.with_name(f"{path.stem}.{number}.parquet") if number else path

    def _save(self, sums: pl.DataFrame, table: str, path: Path) -> None:
        """``sums`` (text as codes) as text. Rows of an account side by side make small files."""
        path.parent.mkdir(parents=True, exist_ok=True)
        ordered = sums.sort(pl.col("account").to_physical(), maintain_order=True)
        with naming(path):
            decode_sums(ordered, _SCHEMAS[table], table).write_parquet(
                path, compression="zstd", compression_level=1, statistics=False
            )
