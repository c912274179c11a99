"""Moves days that are over from the state into the ledger, once and for all.

A sealed part is named by the state and a number. Its manifest is on disk before the state forgets
what is in it; after a kill between the two, the next start finds the manifest and forgets then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import polars as pl

from detector.core.files import naming, sync_all
from detector.core.schema import HOURLY_SUMS, REJECTS, TOUCHED_VALUES, Schema, check
from detector.ledger.manifest import Part
from detector.ledger.store import Ledger
from detector.watch.open_days import OpenDays, sum_tables

#: What the manifests of sealed parts name as their source and their file.
SOURCE: Final = "watch"
FILE: Final = "detector watch"
_READING: Final = "0" * 16


def part_id(state: str, number: int) -> str:
    """The id of the ``number``-th part that a state seals."""
    return hashlib.sha256(f"detector watch\0{state}\0{number}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LedgerCommit:
    """Days and rejects on their way into the ledger."""

    ledger: Ledger
    id: str

    def write(
        self,
        open_days: OpenDays,
        days: Sequence[date],
        rejects: pl.DataFrame,
        contents: Mapping[str, tuple[int, int, int]],
    ) -> None:
        """All on disk, and in the ledger. ``contents`` are those of logs that have ended, with
        their size (0 where they cannot grow), events and rejects.

        Raises LedgerError.
        """
        part = self._manifest_part(open_days, days, rejects, contents)
        try:
            made = [
                path
                for day in days
                for path in self._write_day(
                    part.stem, day, *sum_tables(open_days.parts.get(day, []))
                )
            ]
            if rejects.height:
                path = self.ledger.path / "rejects" / f"{part.stem}.parquet"
                made.append(write_table(rejects, REJECTS, path))
            sync_all(made)
        except OSError as error:
            raise self.ledger.write_error(error) from error
        self.ledger.commit(part)

    def _write_day(
        self, stem: str, day: date, hours: pl.DataFrame, touched: pl.DataFrame
    ) -> list[Path]:
        places = [self.ledger.data_path(table, day, stem) for table in ("hours", "touched")]
        return [
            write_table(hours.sort("account", maintain_order=True), HOURLY_SUMS, places[0]),
            write_table(touched.sort("account", maintain_order=True), TOUCHED_VALUES, places[1]),
        ]

    def _manifest_part(
        self,
        open_days: OpenDays,
        days: Sequence[date],
        rejects: pl.DataFrame,
        contents: Mapping[str, tuple[int, int, int]],
    ) -> Part:
        hours = [each.hours for day in days for each in open_days.parts.get(day, [])]
        first, last = _span(hours)
        return Part(
            id=self.id,
            settings_fingerprint=_READING,
            file=FILE,
            source=SOURCE,
            size=0,
            events=sum(int(each["statements"].sum()) for each in hours),
            rejects=rejects.height,
            skipped=0,
            first=first,
            last=last,
            days=tuple(days),
            replaced_ids=tuple(sorted(contents)),
            watched={content: counts for content, counts in contents.items() if counts[0]},
            # No log begins so: its sums stand for no file of their own. Of the contents that it
            # stands for nobody knows how they begin: every file is to be compared with them.
            head_digest="" if contents else self.id,
        )


def _span(hours: Sequence[pl.DataFrame]) -> tuple[datetime | None, datetime | None]:
    """The first and last hour of HOURS."""
    if not hours:
        return None, None
    times = pl.concat(hours)["hour"]
    first, last = times.min(), times.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return first, last


def write_table(frame: pl.DataFrame, schema: Schema, path: Path) -> Path:
    """Writes a table as Parquet. Raises OSError, also where polars has an error of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        check(frame, schema, path.name).write_parquet(
            path, compression="zstd", compression_level=1, statistics=False
        )
    return path
