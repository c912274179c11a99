"""An export's records as a frame of text columns, whatever form it has: CSV, JSON or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl
import pyarrow as pa

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize import categorical
from detector.normalize.format_probe import Probe
from detector.readers import csv_dialect, csv_table, parquet
from detector.readers.blocks import Block, csv_blocks
from detector.readers.column_names import ColumnOrigin
from detector.readers.json_lines import KeyPath
from detector.readers.log_input import LogInput
from detector.sources.exports import json_records

#: Rows of Parquet in one piece: large enough for vectorised work, small enough for memory.
BATCH_ROWS: Final = 250_000

RejectPairs = list[tuple[int | None, str]]


@dataclass(frozen=True, slots=True)
class Piece:
    """``frame`` has a String column for each wanted name, null where there is nothing.
    ``lines`` gives the lines of some of its rows. ``skipped`` counts
    records that hold none.
    """

    frame: pl.DataFrame
    rejects: RejectPairs
    bytes_read: int
    lines: Callable[[Sequence[int]], list[int]]
    skipped: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColumnLocations:
    """Our names with the vendor's, as they stand in this file; those it lacks are ``absent``."""

    locations: Mapping[str, tuple[str, KeyPath]]
    absent: Mapping[str, str]
    from_settings: frozenset[str] = field(default_factory=frozenset)


def read(log: LogInput, seen: Probe, wanted: ColumnLocations) -> Iterator[Piece]:
    """The records of ``log``, of which ``seen`` is the beginning. Raises InputError."""
    if seen.form == "parquet":
        return _read_parquet(log, wanted)
    if seen.form == "csv":
        return _read_csv(log, wanted)
    return _read_json(log, seen, wanted)


def _read_json(log: LogInput, seen: Probe, wanted: ColumnLocations) -> Iterator[Piece]:
    flat = any(len(keys) == 1 and "." in name for name, keys in wanted.locations.values())
    keys = {name: keys for name, (_, keys) in wanted.locations.items()}
    for name, spelled in wanted.absent.items():  # what is rare can come late in a file
        keys.setdefault(name, (spelled,) if flat else tuple(spelled.split(".")))
    for found in json_records.read(log, seen, keys):
        numbers = found.frame["line"]
        frame = _clear_null_words(found.frame.drop("line"))

        def lines(which: Sequence[int], numbers: pl.Series = numbers) -> list[int]:
            return numbers.gather(list(which)).to_list()

        bad: RejectPairs = [*found.rejects]
        yield Piece(frame, bad, found.bytes_read, lines, found.empty_count, notes=found.notes)


def _read_csv(log: LogInput, wanted: ColumnLocations) -> Iterator[Piece]:
    header: csv_dialect.Header | None = None
    columns = {name: ColumnOrigin(spelled) for name, (spelled, _) in wanted.locations.items()}
    for block in csv_blocks(log):
        here = block
        if header is None and block.data and not block.data.isspace():
            header = csv_dialect.sniff(block.data, Settings())
            if header is None or not {m.name for m in columns.values()} <= set(header.names):
                raise InputError("holds no CSV header", where=log.name, hint="is it cut off?")
            rest = block.data[header.byte_count :]
            here = replace(block, data=rest, first_line=block.first_line + header.line_count)
        if header is None:
            none = pl.DataFrame(schema=dict.fromkeys([*columns, *wanted.absent], pl.String()))
            yield Piece(none, [*block.rejects], block.raw_bytes, lambda _: [])
            continue
        yield _parse_csv_block(here, header, columns, wanted)


def _parse_csv_block(
    block: Block,
    header: csv_dialect.Header,
    columns: dict[str, ColumnOrigin],
    wanted: ColumnLocations,
) -> Piece:
    found = csv_table.parse(block, header, columns)
    told = found.record_lines() if found.invalid else None
    series = [_text_column(found.table[name], name) for name in columns]
    frame = _add_absent(pl.DataFrame(series), wanted)

    def lines(which: Sequence[int]) -> list[int]:
        known = told or found.record_lines()
        return [known.row_line(row) for row in which]

    bad: RejectPairs = [*block.rejects, *found.unclosed_quotes, *(told.invalid if told else [])]
    return Piece(_clear_null_words(frame), bad, block.raw_bytes, lines, notes=block.notes)


def _text_column(column: pa.ChunkedArray, name: str) -> pl.Series:
    """Text of a dictionary-encoded column, without space around it."""
    series = pl.from_arrow(
        categorical.trim(categorical.dictionary_encode(column)).cast(pa.string())
    )
    assert isinstance(series, pl.Series)
    return series.cast(pl.String).alias(name)


def _read_parquet(log: LogInput, wanted: ColumnLocations) -> Iterator[Piece]:
    size = log.size()
    with parquet.open_file(log) as file:
        total = max(file.metadata.num_rows, 1)
        names = list(dict.fromkeys(spelled for spelled, _ in wanted.locations.values()))
        batches = file.iter_batches(batch_size=BATCH_ROWS, columns=names)
        seen = 0
        while (batch := parquet.next_batch(batches, log)) is not None:
            raw = pa.Table.from_batches([batch])
            table = pa.table(
                {
                    name: parquet.nested_column(raw, spelled)
                    for name, (spelled, _) in wanted.locations.items()
                }
            )
            table, garbled = parquet.drop_garbled(table, log)
            lost = [] if garbled is None else garbled.arg_true().to_list()
            kept = range(len(raw)) if garbled is None else (~garbled).arg_true().to_list()

            def lines(
                which: Sequence[int], kept: Sequence[int] = kept, seen: int = seen
            ) -> list[int]:
                return [seen + kept[row] + 1 for row in which]

            frame = pl.DataFrame([_parquet_text(table[name], name) for name in wanted.locations])
            bad: RejectPairs = [(seen + row + 1, "is not valid UTF-8") for row in lost]
            seen += len(raw)
            frame = _clear_null_words(_add_absent(frame, wanted))
            yield Piece(frame, bad, size * seen // total, lines)
    if not seen:
        none = pl.DataFrame(schema=dict.fromkeys([*wanted.locations, *wanted.absent], pl.String()))
        yield Piece(none, [], size, lambda _: [])


def _parquet_text(column: pa.ChunkedArray, name: str) -> pl.Series:
    """A column of Parquet as text, what is nested as JSON, times in ISO 8601."""
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)
    series = series.alias(name)
    kind = series.dtype
    if isinstance(kind, pl.Datetime):
        zoned = series if kind.time_zone is None else series.dt.convert_time_zone("UTC")
        zone = "" if kind.time_zone is None else "Z"
        return zoned.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.6f{zone}")
    if isinstance(kind, pl.Struct):
        return series.struct.json_encode()
    if kind.is_nested():
        held = pl.struct(pl.col(name).alias("v")).struct.json_encode()
        bare = held.str.slice(5).str.strip_suffix("}")  # {"v":...}
        return (
            series.to_frame()
            .select(pl.when(pl.col(name).is_not_null()).then(bare).alias(name))
            .to_series()
        )
    if kind == pl.Binary():
        return series.cast(pl.String, strict=False)
    return series.cast(pl.String)


def _add_absent(frame: pl.DataFrame, wanted: ColumnLocations) -> pl.DataFrame:
    return frame.with_columns(pl.lit(None, pl.String()).alias(name) for name in wanted.absent)


def _clear_null_words(frame: pl.DataFrame) -> pl.DataFrame:
    """Null for what stands for nothing."""
    text = [name for name, kind in frame.schema.items() if kind == pl.String()]
    return frame.with_columns(
        pl.when(~pl.col(name).is_in(list(csv_table.NULL_WORDS))).then(pl.col(name)).alias(name)
        for name in text
    )
