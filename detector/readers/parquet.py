"""A Parquet file, opened and read with care: whatever is wrong with it is one InputError."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from detector.core.errors import InputError
from detector.readers.log_input import LogInput


def open_file(log: LogInput, text: list[str] | None = None) -> pq.ParquetFile:
    """The file, columns ``text`` dictionary-encoded. Raises InputError."""
    try:
        # Pre-buffered, all of the file that was read would stay in memory until it is closed.
        place = log.open() if log.local_path is None else log.local_path
        file = pq.ParquetFile(place, read_dictionary=text, pre_buffer=False)
    except FileNotFoundError:
        raise InputError("no such file", where=log.name) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damage_error(log, error) from None
    twice = [name for name, count in Counter(leaf_names(file.schema_arrow)).items() if count > 1]
    if twice:
        file.close()
        what = f"has several columns named {twice[0][:200]!r}"
        raise InputError(what, where=log.name, hint="export it with one column of a name")
    return file


def next_batch(batches: Iterator[pa.RecordBatch], log: LogInput) -> pa.RecordBatch | None:
    """The next batch, None after the last. Raises InputError."""
    try:
        return next(batches, None)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damage_error(log, error) from None


def damage_error(log: LogInput, error: BaseException) -> InputError:
    """The error of a file that is no readable Parquet."""
    first = next(iter(str(error).splitlines()), "")[:200]
    return InputError(
        f"is no readable Parquet: {first}", where=log.name, hint="it may be cut off; copy it again"
    )


def is_text_type(kind: pa.DataType) -> bool:
    """Whether a column is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def leaf_names(schema: Any, before: str = "") -> list[str]:
    """Column names; those inside structs with dots."""
    names: list[str] = []
    for field in schema:
        name = before + field.name
        inner = field.type
        if pa.types.is_struct(inner):
            names += leaf_names([inner.field(i) for i in range(inner.num_fields)], f"{name}.")
        else:
            names.append(name)
    return names


def nested_column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column by name; with dots, from inside a struct."""
    import pyarrow.compute as pc

    if name in table.column_names:
        return table[name]
    for end in range(len(name) - 1, 0, -1):
        if name[end] == "." and name[:end] in table.column_names:
            return pc.struct_field(table[name[:end]], name[end + 1 :].split("."))
    raise TypeError(f"column {name} was read but is not there")


def drop_garbled(table: pa.Table, log: LogInput) -> tuple[pa.Table, pl.Series | None]:
    """``table`` without rows whose text is not UTF-8 (Parquet does not check), and which.

    Raises InputError where a column is damaged in another way: Arrow reads what points nowhere.
    """
    garbled: pl.Series | None = None
    for column in table.columns:
        try:
            column.validate(full=True)
        except pa.ArrowException as error:
            values = _raw_values(column)
            if values is None:
                raise damage_error(log, error) from None
            mask = pl.Series([not _is_utf8(value) for value in values], dtype=pl.Boolean)
            garbled = mask if garbled is None else garbled | mask
    if garbled is None:
        return table, None
    kept = table.filter(pa.array((~garbled).to_list()))
    # A dictionary still has the words of rows that are gone.
    return pa.table({name: _decode_dictionary(kept[name]) for name in kept.column_names}), garbled


def _decode_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _raw_values(column: pa.ChunkedArray) -> list[bytes | None] | None:
    """The raw values of a text column; None if it is none, or its dictionary lacks values."""
    kind = column.type
    if is_text_type(kind):
        return list(column.cast(_binary_type(kind)).to_pylist())
    if not pa.types.is_dictionary(kind):
        return None
    values: list[bytes | None] = []
    for chunk in column.chunks:
        words = chunk.dictionary.cast(_binary_type(kind.value_type)).to_pylist()
        places = chunk.indices.to_pylist()
        if any(place is not None and not 0 <= place < len(words) for place in places):
            return None
        values += [None if place is None else words[place] for place in places]
    return values


def _binary_type(kind: pa.DataType) -> pa.DataType:
    return pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()


def _is_utf8(value: bytes | None) -> bool:
    try:
        return value is None or value.decode() is not None
    except UnicodeDecodeError:
        return False
