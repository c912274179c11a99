"""Parquet: one row is one event."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from detector.errors import InputError
from detector.reading import columns, rejects
from detector.reading.conform import Mistyped, conform
from detector.reading.source import Batch, Sample, Source, Tail
from detector.schema import REJECTS, empty
from detector.settings import Settings

#: Rows in one batch: large enough for vectorised work, small enough that several read ahead fit
#: in memory, however large the file's row groups.
ROWS = 250_000


def accepts(sample: Sample, settings: Settings) -> bool:
    """Any Parquet file: which columns it lacks is told when it is read."""
    del settings
    return sample.head.startswith(b"PAR1")


def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """Batches of ``ROWS`` rows at most. Raises InputError."""
    del tail  # a Parquet row stands alone
    with _open(path) as plain:
        found = columns.demand(_leaves(plain.schema_arrow), settings, path)
        text = [field.name for field in plain.schema_arrow if _is_text(field.type)]
        size = path.stat().st_size
        total = max(plain.metadata.num_rows, 1)
    names = list(dict.fromkeys(mapped.name for mapped in found.values()))
    seen = 0
    with _open(path, text) as file:
        batches = file.iter_batches(batch_size=ROWS, columns=names)
        while (batch := _next(batches, path)) is not None:
            raw = pa.Table.from_batches([batch])
            table = pa.table({name: _reach(raw, mapped.name) for name, mapped in found.items()})
            yield _batch(table, found, settings, path, seen, size * (seen + len(raw)) // total)
            seen += len(raw)
    if not seen:
        yield Batch(_no_events(found, settings), empty(REJECTS), bytes_read=size)


def mapping(path: Path, settings: Settings) -> dict[str, str]:
    """Which column is which. Raises InputError."""
    with _open(path) as file:
        names = _leaves(file.schema_arrow)
    return columns.phrases(columns.demand(names, settings, path), settings)


def _batch(
    table: pa.Table,
    found: columns.Columns,
    settings: Settings,
    path: Path,
    seen: int,
    bytes_read: int,
) -> Batch:
    table, garbled = _text_only(table, path)
    try:
        result = conform(table, found, settings)
    except Mistyped as error:
        raise InputError(
            f"column {found[error.column].name!r} is {error.kind}, "
            f"which {error.column!r} cannot be made of",
            where=path,
            hint=f'name another in detector.toml: [columns] {error.column} = "..."',
        ) from None
    bad: list[tuple[int | None, str]] = []
    if garbled is not None:
        places = (~garbled).arg_true()
        lost = garbled.arg_true()
        bad += [(seen + row + 1, "is not valid UTF-8") for row in lost]
        bad += [(seen + places[row] + 1, reason) for row, reason in result.rejected.iter_rows()]
    else:
        bad += [(seen + row + 1, reason) for row, reason in result.rejected.iter_rows()]
    return Batch(result.events, rejects.frame(path, bad), bytes_read=bytes_read)


def _no_events(found: columns.Columns, settings: Settings) -> pl.DataFrame:
    table = pa.table({name: pa.array([], pa.string()) for name in found})
    return conform(table, found, settings).events


def _text_only(table: pa.Table, path: Path) -> tuple[pa.Table, pl.Series | None]:
    """``table`` without rows whose text is not UTF-8 (Parquet does not check), and which.

    Raises InputError where a column is damaged in another way: Arrow reads what points nowhere.
    """
    garbled: pl.Series | None = None
    for column in table.columns:
        try:
            column.validate(full=True)
        except pa.ArrowException as error:
            values = _bytes(column)
            if values is None:
                raise _damaged(path, error) from None
            mask = pl.Series([not _decodes(value) for value in values], dtype=pl.Boolean)
            garbled = mask if garbled is None else garbled | mask
    if garbled is None:
        return table, None
    return table.filter(pa.array((~garbled).to_list())), garbled


def _bytes(column: pa.ChunkedArray) -> list[bytes | None] | None:
    """The raw values of a text column; None if it is none, or its dictionary lacks values."""
    kind = column.type
    if _is_text(kind):
        return list(column.cast(_binary(kind)).to_pylist())
    if not pa.types.is_dictionary(kind):
        return None
    values: list[bytes | None] = []
    for chunk in column.chunks:
        words = chunk.dictionary.cast(_binary(kind.value_type)).to_pylist()
        places = chunk.indices.to_pylist()
        if any(place is not None and not 0 <= place < len(words) for place in places):
            return None
        values += [None if place is None else words[place] for place in places]
    return values


def _binary(kind: pa.DataType) -> pa.DataType:
    return pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()


def _decodes(value: bytes | None) -> bool:
    try:
        return value is None or value.decode() is not None
    except UnicodeDecodeError:
        return False


def _open(path: Path, text: list[str] | None = None) -> pq.ParquetFile:
    try:
        # Pre-buffered, all of the file that was read would stay in memory until it is closed.
        return pq.ParquetFile(path, read_dictionary=text, pre_buffer=False)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _next(batches: Iterator[pa.RecordBatch], path: Path) -> pa.RecordBatch | None:
    try:
        return next(batches, None)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: BaseException) -> InputError:
    first = next(iter(str(error).splitlines()), "")[:200]
    return InputError(
        f"is no readable Parquet: {first}", where=path, hint="it may be cut off; copy it again"
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _leaves(schema: Any, before: str = "") -> list[str]:
    """Column names; those inside structs with dots."""
    names: list[str] = []
    for field in schema:
        name = before + field.name
        inner = field.type
        if pa.types.is_struct(inner):
            names += _leaves([inner.field(i) for i in range(inner.num_fields)], f"{name}.")
        else:
            names.append(name)
    return names


def _reach(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column by name; with dots, from inside a struct."""
    import pyarrow.compute as pc

    if name in table.column_names:
        return table[name]
    for end in range(len(name) - 1, 0, -1):
        if name[end] == "." and name[:end] in table.column_names:
            return pc.struct_field(table[name[:end]], name[end + 1 :].split("."))
    raise TypeError(f"column {name} was read but is not there")


SOURCE = Source("parquet", "Parquet, one row an event", accepts, read, mapping)
