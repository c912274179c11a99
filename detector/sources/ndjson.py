"""NDJSON: one JSON object a line; plain, gzip or zstd; nested objects reached with dots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from detector.errors import InputError
from detector.reading import columns, nested, plain, records, rejects, shape_kept
from detector.reading.ahead import ahead
from detector.reading.conform import conform
from detector.reading.opening import MIB
from detector.reading.source import SEEN, SHAPE, Batch, Growing, Sample, Source, Tail, nothing
from detector.reading.time_forms import Form
from detector.settings import Settings

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
    names = nested.shape(data).names
    if SERVER_LOG.intersection(names):
        return False
    return columns.complete(columns.find(names, settings))


def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """A batch per block of some 32 MiB. Raises InputError."""
    del tail  # a line stands alone
    yield from _read(path, settings, *_columns(path, settings))


def follow(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """Batches of one piece of a file. The tail is the shape of the file's beginning, and how much
    of that was seen. Raises InputError.
    """
    at = int(tail.get(SEEN, "0"))
    seen = shape_kept.decode(tail[SHAPE]) if SHAPE in tail else nested.Shape({}, {}, {})
    if at < HEAD:
        head = plain.head(path, HEAD - at)
        at += len(head)
        seen = shape_kept.joined(seen, nested.shape(head.removeprefix(records.BOM)))
    yield from _read(path, settings, seen, columns.demand(seen.names, settings, path))
    yield nothing({SEEN: str(at), SHAPE: shape_kept.encode(seen)})


def _read(
    path: Path, settings: Settings, seen: nested.Shape, found: columns.Columns
) -> Iterator[Batch]:
    blocks = ((block, nested.parse(block, found, seen)) for block in records.line_blocks(path))
    form = Form(settings.timestamp_format or "")
    for block, objects in ahead(blocks):
        result = conform(objects.table, found, settings, form=form)
        bad: list[tuple[int | None, str]] = [*block.rejects, *objects.invalid]
        if len(result.rejected):
            lines = nested.line_of(objects, block)
            bad += [(lines[row], reason) for row, reason in result.rejected.iter_rows()]
        noted = {**block.notes, **result.notes}
        yield Batch(
            result.events, rejects.frame(path, bad), bytes_read=block.raw_bytes, notes=noted
        )


def mapping(path: Path, settings: Settings) -> dict[str, str]:
    """Which key is which. Raises InputError."""
    return columns.phrases(_columns(path, settings)[1], settings)


def _columns(path: Path, settings: Settings) -> tuple[nested.Shape, columns.Columns]:
    head = plain.head(path, HEAD).removeprefix(records.BOM)
    seen = nested.shape(head)
    if not seen.names:
        what = "holds no JSON object" if head.strip() else "is empty"
        raise InputError(what, where=path, hint="an NDJSON log has one JSON object a line")
    return seen, columns.demand(seen.names, settings, path)


SOURCE = Source(
    "ndjson",
    "NDJSON, one JSON object a line",
    accepts,
    read,
    mapping,
    general=True,
    growing=Growing(records.lines_end, follow),
)
