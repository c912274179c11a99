"""csvlog's records, found again after one that breaks off.

A crash or a full disk leaves a record without its closing quote, and from there a CSV reader
takes text for columns and columns for text. So each block is first parsed at once; where the
outcome is no csvlog, it is walked record by record, and after a broken one reading goes on at
the next line that begins a record which is whole. Lines that look like a record inside the
text of a whole record are text: SQL can hold anything.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from detector.readers import blocks
from detector.readers.blocks import Reject, line_blocks
from detector.readers.log_input import LogInput
from detector.sources.postgresql.log_reader import SEVERITIES, Piece
from detector.sources.postgresql.pgaudit import RAW_SCHEMA

MIB: Final = 1 << 20
_BLOCK_BYTES: Final = 8 * MIB
#: A record still open after this much is given up if another one begins inside it.
_MAX_OPEN_BYTES: Final = 16 * MIB
_MIN_COLUMNS: Final = 23
_MAX_COLUMNS: Final = 40  # columns read; later versions only ever added some at the end

_COLUMN_NAMES: Final = {
    0: "log_time",
    1: "user_name",
    2: "database_name",
    4: "connection_from",
    5: "session_id",
    7: "command_tag",
    11: "error_severity",
    12: "sql_state_code",
    13: "message",
    18: "context",
    19: "query",
    20: "query_position",
    22: "application_name",
}
_TIME_PATTERN: Final = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Za-z0-9+:-]{1,9}$"
#: PostgreSQL does not quote the time; a CSV writer that copies the log may.
_RECORD_START: Final = re.compile(
    rb'"?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Za-z0-9+:-]{1,9}"?,'
)
_TIMESTAMP: Final = re.compile(_TIME_PATTERN)
#: A record that lost its newline ends in the time of the next one. Columns before the leader's pid
#: are quoted: there, that is no CSV.
_NEXT_TIME: Final = re.compile(_TIME_PATTERN[1:])
_FIRST_UNQUOTED: Final = 24
_SESSION_ID: Final = re.compile(r"[0-9a-f]{1,16}\.[0-9a-f]{1,8}")
_BROKEN_RECORD_REASON: Final = "is not a whole record of csvlog"


def has_entry(head: bytes) -> bool:
    """Whether one of the first records in ``head`` is a whole entry of csvlog.

    Not only the first: a file can begin with the rest of a record that a crash cut.
    """
    lines = _split_lines(head.removeprefix(blocks.BOM))
    return _next_start(lines[:2000], 0, min(len(lines), 2000)) < min(len(lines), 2000)


def read_pieces(log: LogInput) -> Iterator[Piece]:
    """The file as ``pgaudit.RAW_SCHEMA`` pieces. Raises InputError where it cannot be read."""
    held, first, done = b"", 1, 0
    rejects: list[Reject] = []
    for block in line_blocks(log, _BLOCK_BYTES):
        first = first if held else block.first_line
        held += block.data
        done = block.raw_bytes
        rejects = rejects + block.rejects
        found = _parse_records(held, first, last=False)
        yield Piece(found.frame, rejects + found.rejects, done, found.lines)
        rejects = []
        first += blocks.count_byte(memoryview(held)[: found.used_bytes], b"\n")
        held = held[found.used_bytes :]
    found = _parse_records(held, first, last=True)
    yield Piece(found.frame, rejects + found.rejects, done, found.lines)


def complete_length(data: bytes) -> int:
    """How many bytes at the beginning of ``data`` are whole records, or broken ones before them."""
    return _parse_records(data, 1, last=False).used_bytes


@dataclass(slots=True)
class _ParsedRecords:
    """Records at the start of some bytes: how many bytes they take, and what became of them."""

    used_bytes: int
    frame: pl.DataFrame
    lines: Callable[[list[int]], list[int]]
    rejects: list[Reject] = field(default_factory=list)


def _parse_records(held: bytes, first: int, *, last: bool) -> _ParsedRecords:
    """The records at the start of ``held``, whose first line is number ``first``."""
    end = len(held) if last else _last_record_end(held)
    odd = last and blocks.count_byte(held, b'"') % 2 == 1
    if not odd and (end or len(held) < _MAX_OPEN_BYTES):
        data = held[:end]
        frame = _parse_fast(data)
        if frame is not None:
            return _ParsedRecords(end, frame, lambda rows: _row_lines(data, first, rows))
    return _parse_slow(held, first, last=last)


def _last_record_end(data: bytes) -> int:
    """Where the last record ends: after the last newline behind an even number of quotes."""
    end = len(data)
    odd = blocks.count_byte(data, b'"') % 2 == 1
    position = data.rfind(b"\n")
    while position >= 0:
        odd ^= data.count(b'"', position, end) % 2 == 1
        if not odd:
            return position + 1
        # All newlines back to the last quote before this one are inside the same field.
        end = max(data.rfind(b'"', 0, position), 0)
        odd = False
        position = data.rfind(b"\n", 0, end)
    return 0


def _parse_fast(data: bytes) -> pl.DataFrame | None:
    """All of ``data`` at once; None where any of it is no csvlog."""
    if not data.strip():
        return _raw_frame([])
    width = _width(data)
    if not _MIN_COLUMNS <= width <= _MAX_COLUMNS:
        return None
    try:
        # All columns: of a chosen few, more fields than a record has would be let go unseen, such
        # as the next record, where a newline was lost.
        whole = pl.read_csv(
            data,
            has_header=False,
            schema={f"column_{index + 1}": pl.String() for index in range(width)},
            infer_schema=False,
        )
    except (pl.exceptions.PolarsError, ValueError):
        return None
    frame = whole.select(
        pl.col(f"column_{index + 1}").alias(name) for index, name in _COLUMN_NAMES.items()
    )
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    sound = frame.select(
        pl.all_horizontal(
            pl.col("log_time").str.contains(_TIME_PATTERN),
            pl.col("session_id").str.contains(rf"^{_SESSION_ID.pattern}$"),
            pl.col("error_severity").is_in(SEVERITIES),
            pl.col("application_name").is_not_null(),  # always written, "" at least
            ~pl.col("user_name").fill_null("").str.contains(r"\n\d{4}-"),
        )
        .fill_null(value=False)
        .all()
    )
    return _to_raw(frame) if sound.item() else None


def _width(data: bytes) -> int:
    """How many columns the first record has, 0 where it is none."""
    for record in blocks.split_records(data[:MIB], quoted=True):
        if record.strip():
            cells = _split_cells(record)
            return 0 if _runs_on(cells) else len(cells)
    return 0


def _runs_on(cells: list[str]) -> bool:
    """Whether another record, or what is left of one, follows in the same line."""
    return any(_NEXT_TIME.search(cell) for cell in cells[_FIRST_UNQUOTED:])


def _split_cells(record: bytes) -> list[str]:
    """The columns of one record, none where its quoting is wrong."""
    csv.field_size_limit(1 << 30)
    try:
        rows = list(csv.reader(io.StringIO(record.decode(), newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError):
        return []
    return rows[0] if len(rows) == 1 else []


def _is_sound(cells: list[str]) -> bool:
    return (
        _MIN_COLUMNS <= len(cells) <= _MAX_COLUMNS
        and _TIMESTAMP.fullmatch(cells[0]) is not None
        and _SESSION_ID.fullmatch(cells[5]) is not None
        and cells[11] in SEVERITIES
        and not _runs_on(cells)
    )


def _parse_slow(held: bytes, first: int, *, last: bool) -> _ParsedRecords:
    """Record by record, the careful way."""
    lines = held.splitlines(keepends=True) if b"\r" not in held else _split_lines(held)
    rows: list[list[str]] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    at = used = 0
    while at < len(lines):
        after, cells = _record_at(lines, at)
        whole = after is not None and (last or lines[after - 1].endswith(b"\n"))
        if after is not None and whole and (not cells or _is_sound(cells)):
            if cells:
                rows.append(cells)
                numbers.append(first + at)
        elif (after is None and not last and len(held) - used < _MAX_OPEN_BYTES) or (
            not whole and not last and after is not None
        ):
            break
        else:
            rejects.append(Reject(first + at, _BROKEN_RECORD_REASON))
            after = _next_start(lines, at + 1, after or len(lines))
        used += sum(map(len, lines[at:after]))
        at = after
    picked = [[row[index] for index in _COLUMN_NAMES] for row in rows]
    return _ParsedRecords(
        used, _raw_frame(picked), lambda wanted: [numbers[row] for row in wanted], rejects
    )


def _split_lines(held: bytes) -> list[bytes]:
    """Lines ended by newlines only: bytes.splitlines also ends them at a bare carriage return."""
    pieces = held.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _record_at(lines: list[bytes], at: int) -> tuple[int | None, list[str]]:
    """(the line after the record that starts at ``at``, its columns); None if it never closes.

    A blank line is a record without columns.
    """
    odd = False
    for index in range(at, len(lines)):
        odd ^= lines[index].count(b'"') % 2 == 1
        if not odd:
            whole = b"".join(lines[at : index + 1])
            return index + 1, (_split_cells(whole) or ["?"]) if whole.strip() else []
    return None, []


def _next_start(lines: list[bytes], low: int, high: int) -> int:
    """The first line from ``low`` on that begins a whole entry; ``high`` if there is none."""
    for index in range(low, high):
        if _RECORD_START.match(lines[index]) and _is_sound(_record_at(lines, index)[1]):
            return index
    return high


def _row_lines(data: bytes, first: int, rows: list[int]) -> list[int]:
    """Line numbers of rows of ``data``; blank lines are no rows."""
    starts: list[int] = []
    number = first
    for record in blocks.split_records(data, quoted=True):
        if record.strip():
            starts.append(number)
        number += record.count(b"\n")
    return [starts[row] for row in rows]


def _raw_frame(rows: list[list[str]]) -> pl.DataFrame:
    schema = dict.fromkeys(_COLUMN_NAMES.values(), pl.String())
    return _to_raw(pl.DataFrame(rows, schema=schema, orient="row"))


def _to_raw(frame: pl.DataFrame) -> pl.DataFrame:
    """As ``pgaudit.RAW_SCHEMA``: the port goes (after the last colon, since IPv6 has more)."""
    address = pl.col("connection_from")
    local = address.str.starts_with("[")
    frame = frame.with_columns(
        pl.when(local)
        .then(address)
        .otherwise(address.str.replace(r":\d{1,5}$", ""))
        .alias("client_address")
    ).with_row_index("row")
    filled = [
        pl.when(pl.col(name) != "").then(pl.col(name)).alias(name)
        for name in ("user_name", "database_name", "client_address", "application_name")
    ]
    return frame.with_columns(*filled, pl.col("row").cast(pl.Int64)).select(list(RAW_SCHEMA))
