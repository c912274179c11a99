"""PostgreSQL's jsonlog (15 and later), one object per line, with pgaudit.

https://www.postgresql.org/docs/current/runtime-config-logging.html (table "Keys and Values of
JSON Log Entries"): absent keys are omitted; remote_host has no port.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Sample, Source
from detector.readers.blocks import Block, Reject, last_line_end, line_blocks
from detector.readers.compression import MIB
from detector.readers.log_input import LogInput
from detector.sources.postgresql import log_reader
from detector.sources.postgresql.log_reader import Piece
from detector.sources.postgresql.pgaudit import RAW_SCHEMA

_COLUMN_KEYS: Final = {
    "log_time": "timestamp",
    "user_name": "user",
    "database_name": "dbname",
    "client_address": "remote_host",
    "session_id": "session_id",
    "error_severity": "error_severity",
    "sql_state_code": "state_code",
    "message": "message",
    "context": "context",
    "query": "statement",
    "query_position": "cursor_position",
    "application_name": "application_name",
    "command_tag": "ps",
}
_SCHEMA: Final = {key: pl.String() for key in _COLUMN_KEYS.values()}
_BLOCK_BYTES: Final = 16 * MIB
_REQUIRED_KEYS: Final = ("timestamp", "session_id", "error_severity")


def accepts(sample: Sample, settings: Settings) -> bool:  # noqa: ARG001 - the contract's
    """Whether the first whole line is an object with the keys every entry has."""
    for line in sample.head.splitlines()[:20]:
        if not line.strip():
            continue
        entry = _load_entry(line.removeprefix(b"\xef\xbb\xbf"))
        if entry is None or any(not isinstance(entry.get(key), str) for key in _REQUIRED_KEYS):
            return False
        return entry["error_severity"] in log_reader.SEVERITIES and "backend_type" in entry
    return False


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    return log_reader.read_batches(
        map(_parse_piece, line_blocks(log, _BLOCK_BYTES)), log, settings, tail
    )


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    return log_reader.follow(map(_parse_piece, line_blocks(log, _BLOCK_BYTES)), log, settings, tail)


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:  # noqa: ARG001 - the contract's
    """Canonical columns and where they come from."""
    named = dict(log_reader.MAPPING)
    named |= {"timestamp": "timestamp of the statement's first line", "account": "user"}
    named |= {"database": "dbname", "client_address": "remote_host"}
    return named


def _parse_piece(block: Block) -> Piece:
    """A block parsed at once where polars can, else line by line."""
    text = block.data
    try:
        frame = pl.read_ndjson(text, schema=_SCHEMA, ignore_errors=False) if text.strip() else None
    except (pl.exceptions.PolarsError, ValueError):
        frame = None
    whole = text.count(b"\n")
    fit = frame is not None and frame.height == whole and not _is_invalid(frame).any()
    if frame is not None and fit:
        rejects = list(block.rejects)
        numbers = pl.Series(range(block.first_line, block.first_line + whole), dtype=pl.Int64)
    else:
        frame, numbers, rejects = _parse_slow(block)
    raw = frame.select(
        pl.col(key).alias(name) for name, key in _COLUMN_KEYS.items()
    ).with_row_index("row")
    raw = raw.with_columns(pl.col("row").cast(pl.Int64)).select(list(RAW_SCHEMA))
    return Piece(raw, rejects, block.raw_bytes, lambda rows: numbers.gather(rows).to_list())


def _is_invalid(frame: pl.DataFrame) -> pl.Series:
    odd = pl.any_horizontal(pl.col(key).is_null() for key in _REQUIRED_KEYS)
    return frame.select((odd | ~pl.col("error_severity").is_in(log_reader.SEVERITIES)).alias("x"))[
        "x"
    ]


def _parse_slow(block: Block) -> tuple[pl.DataFrame, pl.Series, list[Reject]]:
    """(entries, their line numbers, rejects), each line by itself."""
    rows: list[list[str | None]] = []
    numbers: list[int] = []
    rejects = list(block.rejects)
    for number, line in enumerate(block.data.split(b"\n"), start=block.first_line):
        if not line.strip():
            continue
        entry = _load_entry(line)
        if entry is None:
            rejects.append(Reject(number, "is not a whole JSON object"))
        elif (
            any(not isinstance(entry.get(key), str) for key in _REQUIRED_KEYS)
            or entry["error_severity"] not in log_reader.SEVERITIES
        ):
            rejects.append(Reject(number, "is not an entry of PostgreSQL's jsonlog"))
        else:
            rows.append([_valid_text(entry.get(key)) for key in _SCHEMA])
            numbers.append(number)
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return frame, pl.Series(numbers, dtype=pl.Int64), rejects


def _load_entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _valid_text(value: object) -> str | None:
    """Text that UTF-8 can hold: JSON can escape half a surrogate pair."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode()


SOURCE = Source(
    name="postgresql_jsonlog",
    title="PostgreSQL jsonlog, with pgaudit or auto_explain",
    accepts=accepts,
    read=read,
    mapping=mapping,
    follow_reader=FollowReader(last_line_end, follow, log_reader.close),
)
