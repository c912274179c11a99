"""NDJSON: one JSON object a line; plain, gzip or zstd; nested objects reached with dots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from detector.core.errors import InputError
from detector.core.prefetch import ahead
from detector.core.settings import Settings
from detector.normalize import rejects
from detector.normalize.events import conform
from detector.normalize.source import SEEN, SHAPE, Batch, Growing, Sample, Source, Tail, nothing
from detector.normalize.time_formats import Form
from detector.readers import blocks as records
from detector.readers import column_names, json_lines, json_shape, plain_text
from detector.readers.compression import MIB

#: How much of a log is looked at to learn its keys: rare ones may come late.
HEAD: Final = MIB
#: Keys of a server's own log (PostgreSQL's jsonlog): it names users and times too, but its
#: records are not accesses.
SERVER_LOG: Final = frozenset({"error_severity", "backend_type"})


def accepts(sample: Sample, settings: Settings) -> bool:
    """A text of JSON objects with keys for time and account."""
    data = sample.head.removeprefix(records.BOM).lstrip()
    if not data.startswith(b"{"):
        return False
    names = json_lines.shape(data).names
    if SERVER_LOG.intersection(names):
        return False
    return column_names.complete(column_names.find(names, settings))


def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """A batch per block of some 32 MiB. Raises InputError."""
    del tail  # a line stands alone
    yield from _read(path, settings, *_columns(path, settings))


def follow(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """Batches of one piece of a file. The tail is the shape of the file's beginning, and how much
    of that was seen. Raises InputError.
    """
    at = int(tail.get(SEEN, "0"))
    seen = json_shape.decode(tail[SHAPE]) if SHAPE in tail else json_lines.Shape({}, {}, {})
    if at < HEAD:
        head = plain_text.head(path, HEAD - at)
        at += len(head)
        seen = json_shape.joined(seen, json_lines.shape(head.removeprefix(records.BOM)))
    yield from _read(path, settings, seen, column_names.demand(seen.names, settings, path))
    yield nothing({SEEN: str(at), SHAPE: json_shape.encode(seen)})


def _read(
    path: Path, settings: Settings, seen: json_lines.Shape, found: column_names.Columns
) -> Iterator[Batch]:
    blocks = ((block, json_lines.parse(block, found, seen)) for block in records.line_blocks(path))
    form = Form(settings.timestamp_format or "")
    for block, objects in ahead(blocks):
        result = conform(objects.table, found, settings, form=form)
        bad: list[tuple[int | None, str]] = [*block.rejects, *objects.invalid]
        if len(result.rejected):
            lines = json_lines.line_of(objects, block)
            bad += [(lines[row], reason) for row, reason in result.rejected.iter_rows()]
        noted = {**block.notes, **result.notes}
        yield Batch(
            result.events, rejects.frame(path, bad), bytes_read=block.raw_bytes, notes=noted
        )


def mapping(path: Path, settings: Settings) -> dict[str, str]:
    """Which key is which. Raises InputError."""
    return column_names.phrases(_columns(path, settings)[1], settings)


def _columns(path: Path, settings: Settings) -> tuple[json_lines.Shape, column_names.Columns]:
    head = plain_text.head(path, HEAD).removeprefix(records.BOM)
    seen = json_lines.shape(head)
    if not seen.names:
        what = "holds no JSON object" if head.strip() else "is empty"
        raise InputError(what, where=path, hint="an NDJSON log has one JSON object a line")
    return seen, column_names.demand(seen.names, settings, path)


SOURCE = Source(
    "ndjson",
    "NDJSON, one JSON object a line",
    accepts,
    read,
    mapping,
    general=True,
    growing=Growing(records.lines_end, follow),
)
