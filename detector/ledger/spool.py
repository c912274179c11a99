"""Collects the folded batches of one input, by day, in memory that does not grow with it.

Logs are mostly in order of time, so a day is complete once the batches have passed it: it is
merged and written once. A log in any other order costs more files, not more memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from detector.ledger import manifest
from detector.schema import Schema, empty

#: Rows held in memory per table before days are written: about 100 MB.
HELD: Final = 1_000_000


@dataclass(slots=True)
class Spool:
    """One table of one part, on its way to disk.

    ``place`` says where the file of a day goes, ``merge`` sums rows of equal keys, ``order``
    sorts a file so that it compresses well.
    """

    schema: Schema
    place: Callable[[date], Path]
    merge: Callable[[pl.DataFrame], pl.DataFrame]
    order: tuple[str, ...]
    limit: int = HELD
    _held: dict[date, list[pl.DataFrame]] = field(default_factory=dict)
    _written: dict[date, list[Path]] = field(default_factory=dict)
    _rows: int = 0

    def add(self, rows: pl.DataFrame, days: pl.Series) -> None:
        """Takes in one batch's fold; ``days`` is the ledger's day of each row."""
        present = set()
        keyed = rows.with_columns(days.alias("__day"))
        for key, piece in keyed.partition_by("__day", as_dict=True, include_key=False).items():
            present.add(key[0])
            self._held.setdefault(key[0], []).append(piece)
        self._rows += rows.height
        if self._rows > self.limit:
            for day in [day for day in self._held if day not in present]:
                self._write(day)
        if self._rows > self.limit:
            for day in list(self._held):
                self._write(day)

    def finish(self, days: set[date]) -> None:
        """Leaves exactly one file, on disk for good, for each of ``days``."""
        for day in list(self._held):
            self._write(day)
        for day in days:
            files = self._written.get(day, [])
            if not files:
                self._save(empty(self.schema), self.place(day))
            elif len(files) > 1:
                pieces = [pl.read_parquet(path, hive_partitioning=False) for path in files]
                self._save(self._merged(pieces), files[0])
                for path in files[1:]:
                    path.unlink()
            manifest.sync(self.place(day))
            manifest.sync(self.place(day).parent)

    def days(self) -> set[date]:
        """The days seen so far."""
        return {*self._held, *self._written}

    def _write(self, day: date) -> None:
        """Moves what is held of a day to disk; the first such file is the day's own."""
        pieces = self._held.pop(day)
        self._rows -= sum(piece.height for piece in pieces)
        files = self._written.setdefault(day, [])
        path = self.place(day)
        if files:
            path = path.with_name(f"{path.stem}.{len(files)}.parquet")
        self._save(self._merged(pieces), path)
        files.append(path)

    def _merged(self, pieces: list[pl.DataFrame]) -> pl.DataFrame:
        """One frame of several; a single one stays as the fold left it, in order enough."""
        if len(pieces) == 1:
            return pieces[0]
        return self.merge(pl.concat(pieces)).sort(self.order)

    def _save(self, frame: pl.DataFrame, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path, compression="zstd", compression_level=1)
