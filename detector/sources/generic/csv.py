"""CSV with a header: plain, gzip or zstd; comma, semicolon, tab or |."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Self

import polars as pl

from detector.core.errors import InputError
from detector.core.schema import EVENTS, empty
from detector.core.settings import Settings
from detector.normalize import rejects
from detector.normalize.events import normalize
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Sample, Source, empty_batch
from detector.normalize.time_formats import TimeFormat
from detector.readers import blocks, column_names, csv_dialect, plain_text
from detector.readers.blocks import Block, csv_blocks
from detector.readers.csv_table import ParsedBlock, parse
from detector.readers.log_input import LogInput


def accepts(sample: Sample, settings: Settings) -> bool:
    """A text whose first line names columns for time and account."""
    if sample.head.lstrip()[:1] in {b"{", b"["}:
        return False
    header = csv_dialect.sniff(sample.head, settings)
    return header is not None and column_names.is_complete(
        column_names.find(header.names, settings)
    )


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """A batch per block of some 16 MiB. Raises InputError."""
    del tail  # a CSV record stands alone
    reader = yield from _read_blocks(log, settings, None)
    if reader is None:
        raise InputError("holds no CSV header", where=log.name, hint="is it empty, or cut off?")


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file; the tail is the header. Raises InputError."""
    kept = tail.header
    known = _Reader.from_header(kept.encode(), log, settings) if kept else None
    reader = yield from _read_blocks(log, settings, known)
    yield empty_batch(ReaderState(header=reader.header_text if reader is not None else ""))


def _read_blocks(
    log: LogInput, settings: Settings, reader: _Reader | None
) -> Generator[Batch, None, _Reader | None]:
    """The batches of a file, or of what follows the header that ``reader`` has."""
    for block in csv_blocks(log):
        here = block
        if reader is None:
            if not block.data or block.data.isspace():
                if block.rejects:
                    yield Batch(*_empty_frames(log, block))
                continue
            reader = _Reader.from_header(block.data, log, settings)
            here = Block(
                block.data[reader.header.byte_count :],
                block.first_line + reader.header.line_count,
                block.raw_bytes,
                block.rejects,
                block.recoded_count,
            )
        yield reader.batch(here)
    return reader


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:
    """Which column is which. Raises InputError."""
    _, found = csv_dialect.require_header(plain_text.head(log), settings, log.name)
    return column_names.descriptions(found, settings)


@dataclass(frozen=True, slots=True)
class _Reader:
    log: LogInput
    settings: Settings
    header: csv_dialect.Header
    columns: column_names.Columns
    header_text: str
    time_format: TimeFormat

    @classmethod
    def from_header(cls, data: bytes, log: LogInput, settings: Settings) -> Self:
        """Of the header that ``data`` begins with. Raises InputError."""
        header, found = csv_dialect.require_header(data, settings, log.name)
        text = data[: header.byte_count].decode("utf-8", "replace")
        return cls(log, settings, header, found, text, TimeFormat(settings.timestamp_format or ""))

    def batch(self, block: Block) -> Batch:
        rows: ParsedBlock = parse(block, self.header, self.columns)
        result = normalize(rows.table, self.columns, self.settings, form=self.time_format)
        bad: list[tuple[int | None, str]] = [*block.rejects, *rows.unclosed_quotes]
        if rows.invalid or len(result.rejects):
            lines = rows.record_lines()
            bad += lines.invalid
            bad += [(lines.row_line(row), reason) for row, reason in result.rejects.iter_rows()]
        noted = {**block.notes, **result.notes}
        bad_ = rejects.frame(self.log.name, bad)
        return Batch(result.events, bad_, bytes_read=block.raw_bytes, notes=noted)


def _empty_frames(log: LogInput, block: Block) -> tuple[pl.DataFrame, pl.DataFrame, int, int]:
    return empty(EVENTS), rejects.frame(log.name, block.rejects), 0, block.raw_bytes


SOURCE = Source(
    "csv",
    "CSV with a header line",
    accepts,
    read,
    mapping,
    is_general=True,
    follow_reader=FollowReader(blocks.last_record_end, follow),
)
