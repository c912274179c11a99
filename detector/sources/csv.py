"""CSV with a header: plain, gzip or zstd; comma, semicolon, tab or |."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from detector.errors import InputError
from detector.reading import columns, dialect, opening, rejects
from detector.reading.conform import conform
from detector.reading.records import Block, csv_blocks
from detector.reading.rows import Rows, parse
from detector.reading.source import Batch, Sample, Source, Tail
from detector.settings import Settings


def accepts(sample: Sample, settings: Settings) -> bool:
    """A text whose first line names columns for time and account."""
    if sample.head.lstrip()[:1] in {b"{", b"["}:
        return False
    header = dialect.sniff(sample.head, settings)
    return header is not None and columns.complete(columns.find(header.names, settings))


def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """A batch per block of some 16 MiB. Raises InputError."""
    del tail  # a CSV record stands alone
    reader: _Reader | None = None
    for block in csv_blocks(path):
        here = block
        if reader is None:
            if not block.data or block.data.isspace():
                if block.rejects:
                    yield Batch(*_nothing(path, block))
                continue
            header, found = dialect.demand(block.data, settings, path)
            reader = _Reader(path, settings, header, found)
            here = Block(
                block.data[header.size :],
                block.first_line + header.lines,
                block.raw_bytes,
                block.rejects,
            )
        yield reader.batch(here)
    if reader is None:
        raise InputError("holds no CSV header", where=path, hint="is it empty, or cut off?")


def mapping(path: Path, settings: Settings) -> dict[str, str]:
    """Which column is which. Raises InputError."""
    _, found = dialect.demand(opening.head(path), settings, path)
    return columns.phrases(found, settings)


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    settings: Settings
    header: dialect.Header
    found: columns.Columns

    def batch(self, block: Block) -> Batch:
        rows: Rows = parse(block, self.header, self.found)
        result = conform(rows.table, self.found, self.settings)
        bad: list[tuple[int | None, str]] = [*block.rejects]
        if rows.invalid or len(result.rejected):
            lines = rows.lines()
            bad += lines.invalid
            bad += [(lines.valid(row), reason) for row, reason in result.rejected.iter_rows()]
        return Batch(result.events, rejects.frame(self.path, bad), bytes_read=block.raw_bytes)


def _nothing(path: Path, block: Block) -> tuple[pl.DataFrame, pl.DataFrame, int, int]:
    from detector.schema import EVENTS, empty

    return empty(EVENTS), rejects.frame(path, block.rejects), 0, block.raw_bytes


SOURCE = Source("csv", "CSV with a header line", accepts, read, mapping, general=True)
