"""NDJSON: one JSON object a line; plain, gzip or zstd; nested objects reached with dots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from detector.core.errors import InputError
from detector.core.prefetch import read_ahead
from detector.core.settings import Settings
from detector.normalize import rejects
from detector.normalize.events import normalize
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Sample, Source, empty_batch
from detector.normalize.time_formats import TimeFormat
from detector.readers import blocks as records
from detector.readers import column_names, json_lines, json_shape, plain_text
from detector.readers.compression import MIB
from detector.readers.log_input import LogInput

#: How much of a log is looked at to learn its keys: rare ones may come late.
PROBE_BYTES: Final = MIB
#: Keys of a server's own log (PostgreSQL's jsonlog): it names users and times too, but its
#: records are not accesses.
SERVER_LOG_KEYS: Final = frozenset({"error_severity", "backend_type"})


def accepts(sample: Sample, settings: Settings) -> bool:
    """A text of JSON objects with keys for time and account."""
    data = sample.head.removeprefix(records.BOM).lstrip()
    if not data.startswith(b"{"):
        return False
    names = json_lines.infer_shape(data).names
    if SERVER_LOG_KEYS.intersection(names):
        return False
    return column_names.is_complete(column_names.find(names, settings))


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """A batch per block of some 32 MiB. Raises InputError."""
    del tail  # a line stands alone
    yield from _read_blocks(log, settings, *_probe_columns(log, settings))


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file. The tail is the shape of the file's beginning, and how much
    of that was seen. Raises InputError.
    """
    at = tail.sample_size
    seen = json_shape.decode(tail.shape) if tail.shape else json_lines.Shape({}, {}, {})
    if at < PROBE_BYTES:
        head = plain_text.head(log, PROBE_BYTES - at)
        at += len(head)
        seen = json_shape.merge(seen, json_lines.infer_shape(head.removeprefix(records.BOM)))
    yield from _read_blocks(
        log, settings, seen, column_names.require(seen.names, settings, log.name)
    )
    yield empty_batch(ReaderState(shape=json_shape.encode(seen), sample_size=at))


def _read_blocks(
    log: LogInput, settings: Settings, seen: json_lines.Shape, found: column_names.Columns
) -> Iterator[Batch]:
    blocks = ((block, json_lines.parse(block, found, seen)) for block in records.line_blocks(log))
    form = TimeFormat(settings.timestamp_format or "")
    for block, objects in read_ahead(blocks):
        result = normalize(objects.table, found, settings, form=form)
        bad: list[tuple[int | None, str]] = [*block.rejects, *objects.invalid]
        if len(result.rejects):
            lines = json_lines.row_lines(objects, block)
            bad += [(lines[row], reason) for row, reason in result.rejects.iter_rows()]
        noted = {**block.notes, **result.notes}
        yield Batch(
            result.events, rejects.frame(log.name, bad), bytes_read=block.raw_bytes, notes=noted
        )


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:
    """Which key is which. Raises InputError."""
    return column_names.descriptions(_probe_columns(log, settings)[1], settings)


def _probe_columns(
    log: LogInput, settings: Settings
) -> tuple[json_lines.Shape, column_names.Columns]:
    head = plain_text.head(log, PROBE_BYTES).removeprefix(records.BOM)
    seen = json_lines.infer_shape(head)
    if not seen.names:
        what = "holds no JSON object" if head.strip() else "is empty"
        raise InputError(what, where=log.name, hint="an NDJSON log has one JSON object a line")
    return seen, column_names.require(seen.names, settings, log.name)


SOURCE = Source(
    "ndjson",
    "NDJSON, one JSON object a line",
    accepts,
    read,
    mapping,
    is_general=True,
    follow_reader=FollowReader(records.last_line_end, follow),
)
