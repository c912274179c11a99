"""CSV with a header: plain, gzip or zstd; comma, semicolon, tab or |."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from detector.core.errors import InputError
from detector.core.schema import EVENTS, empty
from detector.core.settings import Settings
from detector.normalize import rejects
from detector.normalize.events import conform
from detector.normalize.source import HEADER, Batch, Growing, Sample, Source, Tail, nothing
from detector.normalize.time_formats import Form
from detector.readers import blocks, column_names, csv_dialect, plain_text
from detector.readers.blocks import Block, csv_blocks
from detector.readers.csv_table import Rows, parse


def accepts(sample: Sample, settings: Settings) -> bool:
    """A text whose first line names columns for time and account."""
    if sample.head.lstrip()[:1] in {b"{", b"["}:
        return False
    header = csv_dialect.sniff(sample.head, settings)
    return header is not None and column_names.complete(column_names.find(header.names, settings))


def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """A batch per block of some 16 MiB. Raises InputError."""
    del tail  # a CSV record stands alone
    reader = yield from _read(path, settings, None)
    if reader is None:
        raise InputError("holds no CSV header", where=path, hint="is it empty, or cut off?")


def follow(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """Batches of one piece of a file; the tail is the header. Raises InputError."""
    kept = tail.get(HEADER)
    known = None if kept is None else _Reader.of(kept.encode(), path, settings)
    reader = yield from _read(path, settings, known)
    yield nothing({} if reader is None else {HEADER: reader.text})


def _read(
    path: Path, settings: Settings, reader: _Reader | None
) -> Generator[Batch, None, _Reader | None]:
    """The batches of a file, or of what follows the header that ``reader`` has."""
    for block in csv_blocks(path):
        here = block
        if reader is None:
            if not block.data or block.data.isspace():
                if block.rejects:
                    yield Batch(*_nothing(path, block))
                continue
            reader = _Reader.of(block.data, path, settings)
            here = Block(
                block.data[reader.header.size :],
                block.first_line + reader.header.lines,
                block.raw_bytes,
                block.rejects,
                block.recoded,
            )
        yield reader.batch(here)
    return reader


def mapping(path: Path, settings: Settings) -> dict[str, str]:
    """Which column is which. Raises InputError."""
    _, found = csv_dialect.demand(plain_text.head(path), settings, path)
    return column_names.phrases(found, settings)


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    settings: Settings
    header: csv_dialect.Header
    found: column_names.Columns
    text: str
    form: Form

    @classmethod
    def of(cls, data: bytes, path: Path, settings: Settings) -> Self:
        """Of the header that ``data`` begins with. Raises InputError."""
        header, found = csv_dialect.demand(data, settings, path)
        text = data[: header.size].decode("utf-8", "replace")
        return cls(path, settings, header, found, text, Form(settings.timestamp_format or ""))

    def batch(self, block: Block) -> Batch:
        rows: Rows = parse(block, self.header, self.found)
        result = conform(rows.table, self.found, self.settings, form=self.form)
        bad: list[tuple[int | None, str]] = [*block.rejects, *rows.broken]
        if rows.invalid or len(result.rejected):
            lines = rows.lines()
            bad += lines.invalid
            bad += [(lines.valid(row), reason) for row, reason in result.rejected.iter_rows()]
        noted = {**block.notes, **result.notes}
        bad_ = rejects.frame(self.path, bad)
        return Batch(result.events, bad_, bytes_read=block.raw_bytes, notes=noted)


def _nothing(path: Path, block: Block) -> tuple[pl.DataFrame, pl.DataFrame, int, int]:
    return empty(EVENTS), rejects.frame(path, block.rejects), 0, block.raw_bytes


SOURCE = Source(
    "csv",
    "CSV with a header line",
    accepts,
    read,
    mapping,
    general=True,
    growing=Growing(blocks.quoted_end, follow),
)
