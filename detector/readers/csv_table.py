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
from detector.readers.blocks import Block, Reject, count_byte, split_records
from detector.readers.column_names import Columns
from detector.readers.compression import MIB
from detector.readers.csv_dialect import Header

DICTIONARY_TYPE: Final = pa.dictionary(pa.int32(), pa.string())
#: What logs write for a value that is not there.
NULL_WORDS: Final = ("", "-", "\\N", "null", "NULL", "(null)", "None")
#: Arrow parses pieces of this size in parallel.
_ARROW_BLOCK_BYTES: Final = 4 * MIB
_NUMBER_TYPES: Final = {"rows": pa.int64(), "bytes": pa.int64(), "duration_ms": pa.float64()}
_NULL_VALUES: Final = [
    *NULL_WORDS,
    "nan",
    "NaN",
    "NAN",
    "n/a",
    "N/A",
    "na",
    "NA",
    "unknown",
    "Unknown",
]
#: The standard library's limit is for the whole process; a field of 50 MB is legitimate.
_MAX_FIELD_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class RecordLines:
    """Where the records of a block stand. ``invalid`` are (line, reason) pairs."""

    starts: list[int]
    invalid: list[tuple[int | None, str]]
    fallback: int

    def row_line(self, row: int) -> int:
        """The line of a row of the table; the block's first where it cannot be told."""
        return self.starts[row] if row < len(self.starts) else self.fallback


@dataclass(frozen=True, slots=True)
class ParsedBlock:
    """``table`` of the valid records; ``invalid`` are (text, reason) of those left out, and
    ``unclosed_quotes`` what a quote swallowed that is not closed.
    """

    table: pa.Table
    block: Block
    invalid: list[tuple[str, str]] = field(default_factory=list)
    known_lines: RecordLines | None = None
    unclosed_quotes: list[Reject] = field(default_factory=list)

    def record_lines(self) -> RecordLines:
        """The lines of all records; only asked for where there are rejects, as it is slow."""
        if self.known_lines is not None:
            return self.known_lines
        for quoted in (True, False):
            found = self._locate_records(quoted=quoted)
            if len(found.starts) == len(self.table) and len(found.invalid) == len(self.invalid):
                return found
        first = self.block.first_line
        return RecordLines([], [(first, reason) for _, reason in self.invalid], first)

    def _locate_records(self, *, quoted: bool) -> RecordLines:
        waiting = deque(self.invalid)
        line = self.block.first_line
        starts: list[int] = []
        invalid: list[tuple[int | None, str]] = []
        for record in split_records(self.block.data, quoted=quoted):
            text = record.rstrip(b"\r\n")
            if waiting and text and text == waiting[0][0].encode("utf-8", "replace").rstrip():
                invalid.append((line, waiting.popleft()[1]))
            elif text.strip():
                starts.append(line)
            line += record.count(b"\n")
        return RecordLines(starts, invalid, self.block.first_line)


def parse(block: Block, header: Header, found: Columns) -> ParsedBlock:
    """The records of ``block``. Numbers are parsed at once where all of the block are sound."""
    rows = _parse_block(block, header, found)
    told = len(rows.table) + len(rows.invalid)
    if b'"' not in block.data or told == count_byte(block.data, b"\n"):
        return rows  # a record is a line: none was swallowed
    bare = replace(block, rejects=[])
    whole = csv_quoting.repair(bare, _layout(header, found), sound=not rows.invalid)
    if whole is bare:
        return rows
    return replace(_parse_block(whole, header, found), unclosed_quotes=whole.rejects)


def _layout(header: Header, found: Columns) -> csv_quoting.RecordLayout:
    places = {name: header.names.index(mapped.name) for name, mapped in found.items()}
    # Presets have names of their own: there, any cell may hold text.
    plain = [place for name, place in places.items() if name in EVENTS and name != "statement"]
    time, account = places.get("timestamp", 0), places.get("account", 0)
    return csv_quoting.RecordLayout(header.delimiter, len(header.names), time, account, plain)


def _parse_block(block: Block, header: Header, found: Columns) -> ParsedBlock:
    if not block.data or block.data.isspace():
        return ParsedBlock(pa.table({name: pa.array([], pa.string()) for name in found}), block)
    for typed in (True, False):
        try:
            rows = _parse_fast(block, header, found, typed=typed, threads=True)
            if rows.invalid:  # in order only when one thread reads
                rows = _parse_fast(block, header, found, typed=typed, threads=False)
        except pa.ArrowInvalid:
            continue
        return rows
    return _parse_slow(block, header, found)


def _parse_fast(
    block: Block, header: Header, found: Columns, *, typed: bool, threads: bool
) -> ParsedBlock:
    invalid: list[tuple[str, str]] = []

    def refuse(row: Any) -> str:
        invalid.append((row.text, _width_reason(row.actual_columns, row.expected_columns)))
        return "skip"

    types = {
        mapped.name: _NUMBER_TYPES.get(name, DICTIONARY_TYPE) if typed else DICTIONARY_TYPE
        for name, mapped in found.items()
    }
    if "timestamp" in found:
        types[found["timestamp"].name] = pa.string()
    quoted = b'"' in block.data
    table = pc.read_csv(
        pa.BufferReader(block.data),
        read_options=pc.ReadOptions(
            column_names=header.names,
            block_size=max(len(block.data), 1)
            if quoted
            else min(_ARROW_BLOCK_BYTES, len(block.data)),
            use_threads=threads,
        ),
        parse_options=pc.ParseOptions(
            delimiter=header.delimiter, newlines_in_values=quoted, invalid_row_handler=refuse
        ),
        convert_options=pc.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=_NULL_VALUES
        ),
    )
    return ParsedBlock(
        pa.table({name: table[mapped.name] for name, mapped in found.items()}), block, invalid
    )


def _parse_slow(block: Block, header: Header, found: Columns) -> ParsedBlock:
    """Record by record, where Arrow gives up on the block: a quote that is never closed."""
    places = {name: header.names.index(mapped.name) for name, mapped in found.items()}
    values: dict[str, list[str]] = {name: [] for name in found}
    starts: list[int] = []
    invalid: list[tuple[int | None, str]] = []
    line = block.first_line
    before = csv.field_size_limit(_MAX_FIELD_BYTES)
    try:
        for record in split_records(block.data, quoted=True):
            text = record.decode().rstrip("\r\n")
            if text.strip():
                cells, reason = _split_cells(text, header)
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
    known = RecordLines(starts, invalid, block.first_line)
    return ParsedBlock(table, block, [("", reason) for _, reason in invalid], known)


def _split_cells(text: str, header: Header) -> tuple[list[str], str]:
    try:
        rows = list(csv.reader([text], delimiter=header.delimiter, strict=True))
    except csv.Error as error:
        return [], f"is no CSV: {error}"
    if len(rows) != 1 or len(rows[0]) != len(header.names):
        return [], _width_reason(len(rows[0]) if rows else 0, len(header.names))
    return rows[0], ""


def _width_reason(actual: int, expected: int) -> str:
    return f"has {actual} columns where the header has {expected}"
