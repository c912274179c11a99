"""A block of CSV as an Arrow table with canonical column names: quickly, or carefully."""

from __future__ import annotations

import csv
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pc

from detector.core.schema import EVENTS
from detector.readers import csv_quoting
from detector.readers.blocks import Block, Reject, count, records
from detector.readers.column_names import Columns
from detector.readers.compression import MIB
from detector.readers.csv_dialect import Header

DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())
#: What logs write for a value that is not there.
NOTHING: Final = ("", "-", "\\N", "null", "NULL", "(null)", "None")
#: Arrow parses pieces of this size in parallel.
_PIECE: Final = 4 * MIB
_NUMBERS: Final = {"rows": pa.int64(), "bytes": pa.int64(), "duration_ms": pa.float64()}
_NULLS: Final = [*NOTHING, "nan", "NaN", "NAN", "n/a", "N/A", "na", "NA", "unknown", "Unknown"]
#: The standard library's limit is for the whole process; a field of 50 MB is legitimate.
_FIELD: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the records of a block stand. ``invalid`` are (line, reason) pairs."""

    starts: list[int]
    invalid: list[tuple[int | None, str]]
    fallback: int

    def valid(self, row: int) -> int:
        """The line of a row of the table; the block's first where it cannot be told."""
        return self.starts[row] if row < len(self.starts) else self.fallback


@dataclass(frozen=True, slots=True)
class Rows:
    """``table`` of the valid records; ``invalid`` are (text, reason) of those left out, and
    ``broken`` what a quote swallowed that is not closed.
    """

    table: pa.Table
    block: Block
    invalid: list[tuple[str, str]] = field(default_factory=list)
    known: Lines | None = None
    broken: list[Reject] = field(default_factory=list)

    def lines(self) -> Lines:
        """The lines of all records; only asked for where there are rejects, as it is slow."""
        if self.known is not None:
            return self.known
        for quoted in (True, False):
            found = self._lines(quoted=quoted)
            if len(found.starts) == len(self.table) and len(found.invalid) == len(self.invalid):
                return found
        first = self.block.first_line
        return Lines([], [(first, reason) for _, reason in self.invalid], first)

    def _lines(self, *, quoted: bool) -> Lines:
        waiting = deque(self.invalid)
        line = self.block.first_line
        starts: list[int] = []
        invalid: list[tuple[int | None, str]] = []
        for record in records(self.block.data, quoted=quoted):
            text = record.rstrip(b"\r\n")
            if waiting and text and text == waiting[0][0].encode("utf-8", "replace").rstrip():
                invalid.append((line, waiting.popleft()[1]))
            elif text.strip():
                starts.append(line)
            line += record.count(b"\n")
        return Lines(starts, invalid, self.block.first_line)


def parse(block: Block, header: Header, found: Columns) -> Rows:
    """The records of ``block``. Numbers are parsed at once where all of the block are sound."""
    rows = _parsed(block, header, found)
    told = len(rows.table) + len(rows.invalid)
    if b'"' not in block.data or told == count(block.data, b"\n"):
        return rows  # a record is a line: none was swallowed
    bare = replace(block, rejects=[])
    whole = csv_quoting.mended(bare, _layout(header, found), sound=not rows.invalid)
    if whole is bare:
        return rows
    return replace(_parsed(whole, header, found), broken=whole.rejects)


def _layout(header: Header, found: Columns) -> csv_quoting.Layout:
    places = {name: header.names.index(mapped.name) for name, mapped in found.items()}
    # Presets have names of their own: there, any cell may hold text.
    plain = [place for name, place in places.items() if name in EVENTS and name != "statement"]
    time, account = places.get("timestamp", 0), places.get("account", 0)
    return csv_quoting.Layout(header.delimiter, len(header.names), time, account, plain)


def _parsed(block: Block, header: Header, found: Columns) -> Rows:
    if not block.data or block.data.isspace():
        return Rows(pa.table({name: pa.array([], pa.string()) for name in found}), block)
    for typed in (True, False):
        try:
            rows = _quick(block, header, found, typed=typed, threads=True)
            if rows.invalid:  # in order only when one thread reads
                rows = _quick(block, header, found, typed=typed, threads=False)
        except pa.ArrowInvalid:
            continue
        return rows
    return _careful(block, header, found)


def _quick(block: Block, header: Header, found: Columns, *, typed: bool, threads: bool) -> Rows:
    invalid: list[tuple[str, str]] = []

    def refuse(row: Any) -> str:
        invalid.append((row.text, _count(row.actual_columns, row.expected_columns)))
        return "skip"

    types = {
        mapped.name: _NUMBERS.get(name, DICTIONARY) if typed else DICTIONARY
        for name, mapped in found.items()
    }
    if "timestamp" in found:
        types[found["timestamp"].name] = pa.string()
    quoted = b'"' in block.data
    table = pc.read_csv(
        pa.BufferReader(block.data),
        read_options=pc.ReadOptions(
            column_names=header.names,
            block_size=max(len(block.data), 1) if quoted else min(_PIECE, len(block.data)),
            use_threads=threads,
        ),
        parse_options=pc.ParseOptions(
            delimiter=header.delimiter, newlines_in_values=quoted, invalid_row_handler=refuse
        ),
        convert_options=pc.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=_NULLS
        ),
    )
    return Rows(
        pa.table({name: table[mapped.name] for name, mapped in found.items()}), block, invalid
    )


def _careful(block: Block, header: Header, found: Columns) -> Rows:
    """Record by record, where Arrow gives up on the block: a quote that is never closed."""
    places = {name: header.names.index(mapped.name) for name, mapped in found.items()}
    values: dict[str, list[str]] = {name: [] for name in found}
    starts: list[int] = []
    invalid: list[tuple[int | None, str]] = []
    line = block.first_line
    before = csv.field_size_limit(_FIELD)
    try:
        for record in records(block.data, quoted=True):
            text = record.decode().rstrip("\r\n")
            if text.strip():
                cells, reason = _cells(text, header)
                if reason:
                    invalid.append((line, reason))
                else:
                    starts.append(line)
                    for name, place in places.items():
                        values[name].append(cells[place])
            line += record.count(b"\n")
    finally:
        csv.field_size_limit(before)
    table = pa.table({name: pa.array(cells, pa.string()) for name, cells in values.items()})
    known = Lines(starts, invalid, block.first_line)
    return Rows(table, block, [("", reason) for _, reason in invalid], known)


def _cells(text: str, header: Header) -> tuple[list[str], str]:
    try:
        rows = list(csv.reader([text], delimiter=header.delimiter, strict=True))
    except csv.Error as error:
        return [], f"is no CSV: {error}"
    if len(rows) != 1 or len(rows[0]) != len(header.names):
        return [], _count(len(rows[0]) if rows else 0, len(header.names))
    return rows[0], ""


def _count(actual: int, expected: int) -> str:
    return f"has {actual} columns where the header has {expected}"
