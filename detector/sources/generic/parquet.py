"""Parquet: one row is one event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import pyarrow as pa

from detector.core.errors import InputError
from detector.core.schema import REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import containment, rejects
from detector.normalize.events import ColumnTypeError, normalize
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, Sample, Source, empty_batch
from detector.readers import column_names
from detector.readers.log_input import LogInput
from detector.readers.parquet import (
    drop_garbled,
    is_text_type,
    leaf_names,
    nested_column,
    next_batch,
    open_file,
)

#: Rows in one batch: large enough for vectorised work, small enough that several read ahead fit
#: in memory, however large the file's row groups.
BATCH_ROWS = 250_000


def accepts(sample: Sample, settings: Settings) -> bool:
    """Any Parquet file: which columns it lacks is told when it is read."""
    del settings
    return sample.head.startswith(b"PAR1")


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of ``BATCH_ROWS`` rows at most. Raises InputError."""
    del tail  # a Parquet row stands alone
    with open_file(log) as plain:
        found = column_names.require(leaf_names(plain.schema_arrow), settings, log.name)
        text = [field.name for field in plain.schema_arrow if is_text_type(field.type)]
        size = log.size()
        total = max(plain.metadata.num_rows, 1)
    names = list(dict.fromkeys(mapped.name for mapped in found.values()))
    seen = 0
    with open_file(log, text) as file:
        batches = file.iter_batches(batch_size=BATCH_ROWS, columns=names)
        while (batch := next_batch(batches, log)) is not None:
            raw = pa.Table.from_batches([batch])
            table = pa.table(
                {name: nested_column(raw, mapped.name) for name, mapped in found.items()}
            )
            done = size * (seen + len(raw)) // total
            yield from _read_table(table, found, settings, log, seen, done)
            seen += len(raw)
    if not seen:
        yield Batch(_empty_events(found, settings), empty(REJECTS), bytes_read=size)


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:
    """Which column is which. Raises InputError."""
    with open_file(log) as file:
        names = leaf_names(file.schema_arrow)
    return column_names.descriptions(column_names.require(names, settings, log.name), settings)


def _read_table(
    table: pa.Table,
    found: column_names.Columns,
    settings: Settings,
    log: LogInput,
    seen: int,
    bytes_read: int,
) -> list[Batch]:
    """The batch of a table; rows that cannot be read at all as rejects of a batch after it."""
    bad: list[tuple[int | None, str]] = []

    def take(first: int, count: int) -> Batch:
        part = table.slice(first, count)
        return _normalize_batch(part, found, settings, log, seen + first, bytes_read)

    batches = containment.map_rows(
        len(table), take, lambda row, reason: bad.append((seen + row + 1, reason))
    )
    if bad:
        batches.append(
            replace(empty_batch(), rejects=rejects.frame(log.name, bad), bytes_read=bytes_read)
        )
    return batches


def _normalize_batch(
    table: pa.Table,
    found: column_names.Columns,
    settings: Settings,
    log: LogInput,
    seen: int,
    bytes_read: int,
) -> Batch:
    table, garbled = drop_garbled(table, log)
    try:
        result = normalize(table, found, settings)
    except ColumnTypeError as error:
        raise InputError(
            f"column {found[error.column].name!r} is {error.kind}, "
            f"which {error.column!r} cannot be made of",
            where=log.name,
            hint=f'name another in detector.toml: [columns] {error.column} = "..."',
        ) from None
    bad: list[tuple[int | None, str]] = []
    if garbled is not None:
        places = (~garbled).arg_true()
        lost = garbled.arg_true()
        bad += [(seen + row + 1, "is not valid UTF-8") for row in lost]
        bad += [(seen + places[row] + 1, reason) for row, reason in result.rejects.iter_rows()]
    else:
        bad += [(seen + row + 1, reason) for row, reason in result.rejects.iter_rows()]
    bad_ = rejects.frame(log.name, bad)
    return Batch(result.events, bad_, bytes_read=bytes_read, notes=result.notes)


def _empty_events(found: column_names.Columns, settings: Settings) -> pl.DataFrame:
    table = pa.table({name: pa.array([], pa.string()) for name in found})
    return normalize(table, found, settings).events


SOURCE = Source("parquet", "Parquet, one row an event", accepts, read, mapping, is_general=True)
