"""The log of MariaDB's server_audit plugin: who read which table, without row counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from detector.core.schema import REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import rejects, timestamps
from detector.normalize.reader_state import ReaderState
from detector.normalize.shared_accounts import SessionPersons
from detector.normalize.source import Batch, FollowReader, Sample, Source, empty_batch
from detector.normalize.wall_clock import WallClock
from detector.readers.blocks import Block, last_line_end, line_blocks
from detector.readers.log_input import LogInput
from detector.sources.mysql import server_audit_lines
from detector.sources.mysql.server_audit_lines import LINE_SCHEMA, Statements

_BLOCK_BYTES: Final = 8 << 20
_LINE: Final = re.compile(server_audit_lines.LINE_PATTERN.encode(), re.MULTILINE)
_BROKEN_LINE_REASON: Final = "is not a whole line of server_audit"
_NO_USER_REASON: Final = "names no user"


def accepts(sample: Sample, settings: Settings) -> bool:
    """Whether one of the sample's lines is one of server_audit."""
    del settings
    return (
        _LINE.search(sample.head.replace(b"\r\n", b"\n").removeprefix(b"\xef\xbb\xbf")) is not None
    )


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    statements = Statements(SessionPersons(settings.identity), _earlier_statements(tail))
    clock = WallClock(settings.log_timezone)
    done = 0
    for block in line_blocks(log, _BLOCK_BYTES):
        done = block.raw_bytes
        yield _batch(block, statements, clock, log)
    events, skipped, left = statements.finish()
    yield Batch(events, empty(REJECTS), skipped, done, ReaderState(left))


def _earlier_statements(tail: ReaderState) -> frozenset[str]:
    """The statements that earlier files told."""
    return frozenset(f"{connection}:{query}" for connection, query in tail.sessions.items())


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    statements = Statements(SessionPersons(settings.identity), _earlier_statements(tail))
    clock = WallClock(settings.log_timezone)
    if tail.pending:
        raw = json.loads(tail.pending)
        statements = Statements.decode(raw["statements"], settings.identity)
        clock = WallClock.decode(settings.log_timezone, raw["clock"])
    for block in line_blocks(log, _BLOCK_BYTES):
        yield _batch(block, statements, clock, log)
    kept = {"statements": statements.encode(), "clock": clock.encode()}
    yield empty_batch(ReaderState(pending=json.dumps(kept)))


def close(settings: Settings, tail: ReaderState) -> Batch:
    """Statements that were open when a file ended, which the tail names for the files after it."""
    held = json.loads(tail.pending)["statements"] if tail.pending else ""
    events, skipped, left = Statements.decode(held, settings.identity).finish()
    return Batch(events, empty(REJECTS), skipped, tail=ReaderState(left))


def _batch(block: Block, statements: Statements, clock: WallClock, log: LogInput) -> Batch:
    texts = pl.Series(block.data.decode().split("\n"), dtype=pl.String).str.strip_suffix("\r")
    numbers = pl.int_range(block.first_line, block.first_line + len(texts), eager=True)
    filled = texts.str.contains(r"\S")
    frame = server_audit_lines.parse_lines(texts.filter(filled)).with_columns(
        numbers.filter(filled).alias("line")
    )
    local = frame["time"].str.to_datetime("%Y%m%d %H:%M:%S", time_unit="us", strict=False)
    frame = frame.with_columns(clock.instants(local).alias("timestamp"))
    if local.null_count():
        # Aurora's; text of eight digits and a clock is no number.
        epochs = pl.col("time").cast(pl.Int64, strict=False).cast(pl.Datetime("us", "UTC"))
        frame = frame.with_columns(pl.coalesce("timestamp", epochs))
    reason = pl.coalesce(
        pl.when(pl.col("operation").is_null()).then(pl.lit(_BROKEN_LINE_REASON)),
        pl.when((pl.col("user") == "") & (pl.col("operation") != "DISCONNECT")).then(
            pl.lit(_NO_USER_REASON)
        ),
        pl.when(pl.col("timestamp").is_null() & pl.lit(local.is_null())).then(
            pl.lit(timestamps.UNREADABLE_REASON)
        ),
        pl.when(pl.col("timestamp").is_null()).then(pl.lit(timestamps.NONEXISTENT_REASON)),
        timestamps.range_reason(),
    )
    frame = frame.with_columns(reason.alias("reason"))
    bad: list[tuple[int | None, str]] = [*block.rejects]
    bad += frame.filter(pl.col("reason").is_not_null()).select("line", "reason").rows()
    events, skipped = statements.add(
        frame.filter(pl.col("reason").is_null()).select(list(LINE_SCHEMA))
    )
    bad_ = rejects.frame(log.name, bad)
    return Batch(events, bad_, skipped, block.raw_bytes, notes=block.notes)


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:
    """Canonical columns and where they come from."""
    del log, settings
    return {
        "timestamp": "the line's time, in log_timezone",
        "account": "user",
        "client_address": "host",
        "database": "database",
        "object": "the tables of READ, WRITE and other lines, else those named in the SQL",
        "other_objects": "the further tables of the same statement",
        "action": "the SQL, else the operations on tables",
        "rows": "nothing: server_audit has no row counts; read the slow log too, or instead",
        "statement": "fingerprint of the SQL without its literals",
        "success": "whether the error code is 0",
    }


SOURCE = Source(
    name="mariadb_server_audit",
    title="MariaDB server_audit, without row counts",
    accepts=accepts,
    read=read,
    mapping=mapping,
    follow_reader=FollowReader(last_line_end, follow, close),
)
