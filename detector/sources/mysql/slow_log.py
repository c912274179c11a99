"""The slow query log of MariaDB, MySQL and Percona Server, with ``long_query_time=0``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from detector.core.schema import EVENTS
from detector.core.settings import Settings
from detector.normalize import rejects, sql_parse, timestamps
from detector.normalize.reader_state import ReaderState
from detector.normalize.shared_accounts import SessionPersons
from detector.normalize.source import Batch, FollowReader, Sample, Source, empty_batch
from detector.normalize.sql_normalize import MYSQL, statement_shapes
from detector.readers import plain_text, text_entries
from detector.readers.blocks import Reject
from detector.readers.log_input import HeldBytes, LogInput
from detector.readers.text_entries import EntryBatch
from detector.sources.mysql import slow_log_entries, slow_log_headers, table_names

_ENTRY_HEAD: Final = (
    rb"(?:^|\n)# User@Host: [^\n]*\[[^\n]*\] @ [^\n]*\n(?:#[^\n]*\n){0,3}?# Query_time: +\d"
)
_BROKEN_ENTRY_REASON: Final = "is not a whole entry of the slow query log"
_NO_USER_REASON: Final = "names no user"
_FORGED_HEAD_REASON: Final = (
    "stands inside the statement of another entry: the server wrote no such head"
)
_CUT_ENTRY_REASON: Final = "is the rest of an entry that begins in another file"
#: A session can set its own clock, and with it the time of its entries; 0 and DEFAULT end that.
_SETS_CLOCK: Final = r"(?i)^\s*set\b[^;]*\btimestamp`?\s*:?="
_ENDS_CLOCK: Final = r"(?i)\btimestamp`?\s*:?=\s*(?:default|0)\s*;?\s*$"
#: Bytes that no answer without records has, and that one which says only that all went well has.
_MIN_RESULT_BYTES: Final = 100_000
_MAX_OK_BYTES: Final = 50
#: MySQL dates the end of a statement in UTC; reading slower than its clock costs seconds.
_CLOCK_TOLERANCE: Final = 60


def accepts(sample: Sample, settings: Settings) -> bool:
    """Whether one of the sample's entries has the head of one."""
    del settings
    return re.search(_ENTRY_HEAD, sample.head.replace(b"\r\n", b"\n")) is not None


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    del tail  # an entry stands alone
    reader = _Reader(log, settings)
    done = 0
    for found in text_entries.read_entries(log, slow_log_entries.entry_starts):
        done = found.raw_bytes
        yield reader.batch(found)
    yield reader.final_batch(done)


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    reader = _Reader(log, settings)
    if tail.pending:
        reader.restore(tail.pending)
    for found in text_entries.read_entries(log, slow_log_entries.entry_starts):
        yield reader.batch(found)
    lines = sum(data.count(b"\n") for data, _ in plain_text.chunks(log))
    yield empty_batch(ReaderState(pending=reader.encode(lines)))


def close(settings: Settings, tail: ReaderState) -> Batch:
    """Entries whose literals were open when a file ended."""
    reader = _Reader(HeldBytes(b""), settings)
    if tail.pending:
        reader.restore(tail.pending)
    return reader.final_batch(0)


def complete_length(data: bytes) -> int:
    """How many bytes of ``data`` are whole entries: where one ends, the next one tells."""
    return text_entries.last_entry_start(data, slow_log_entries.entry_starts)


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:
    """Canonical columns and where they come from."""
    del log, settings
    return {
        "timestamp": "SET timestamp; what the log says in its own name where that differs",
        "account": "User@Host: the name of the login",
        "client_address": "User@Host: address, else host",
        "database": "Schema, or the last use",
        "object": "tables named in the SQL",
        "other_objects": "the further tables of the same statement",
        "action": "the SQL; read wherever records were sent",
        "rows": "Rows_sent; for writes that send none Rows_affected",
        "bytes": "Bytes_sent",
        "duration_ms": "Query_time",
        "statement": "fingerprint of the SQL without its literals",
        "success": "Errno or Last_errno, where the log has it",
    }


class _Reader:
    """Carries from block to block what the log says only where it changes."""

    def __init__(self, log: LogInput, settings: Settings) -> None:
        self.log = log
        self.settings = settings
        self.use: str | None = None
        self.time: str | None = None
        self.sessions = SessionPersons(settings.identity)
        self.clocks: set[str] = set()
        self.trusted: datetime | None = None
        self.held = pl.Series("text", [], dtype=pl.String)
        self.held_lines = np.empty(0, np.int64)

    def final_batch(self, done: int) -> Batch:
        """What waited for the end of the file."""
        return self.batch(EntryBatch(self.held.clear(), self.held_lines[:0], done), last=True)

    def encode(self, lines: int) -> str:
        """All of it, as text, for the piece that begins ``lines`` further down."""
        return json.dumps(
            {
                "use": self.use,
                "time": self.time,
                "sessions": list(self.sessions.last_persons.items()),
                "clocks": sorted(self.clocks),
                "trusted": self.trusted and self.trusted.isoformat(),
                "held": self.held.to_list(),
                "held_lines": (self.held_lines - lines).tolist(),
            }
        )

    def restore(self, text: str) -> None:
        """What ``kept`` told."""
        raw = json.loads(text)
        self.use, self.time = raw["use"], raw["time"]
        self.sessions.last_persons.update(dict(raw["sessions"]))
        self.clocks = set(raw["clocks"])
        self.trusted = raw["trusted"] and datetime.fromisoformat(raw["trusted"])
        self.held = pl.Series("text", raw["held"], dtype=pl.String)
        self.held_lines = np.array(raw["held_lines"], np.int64)

    def batch(self, found: EntryBatch, *, last: bool = False) -> Batch:
        """The events of a block; each entry is one or a reject."""
        bad = list(found.rejects)
        if found.preamble and not slow_log_entries.is_banner(found.preamble):
            bad.append(Reject(1, _CUT_ENTRY_REASON))
        frame, within = self._parse_entries(found, last=last)
        bad += [Reject(int(line), _FORGED_HEAD_REASON) for line in within]
        frame = frame.with_columns(self._reject_reason())
        wrong = frame.filter(pl.col("reason").is_not_null())
        bad += [Reject(line, reason) for line, reason in wrong.select("line", "reason").rows()]
        events = self._events(frame.filter(pl.col("reason").is_null()))
        return Batch(events, rejects.frame(self.log.name, bad), bytes_read=found.raw_bytes)

    def _parse_entries(self, found: EntryBatch, *, last: bool) -> tuple[pl.DataFrame, list[int]]:
        """(the entries, the lines of heads inside of their statements).

        The last entries wait for the next block where a statement in them is open.
        """
        texts = pl.concat([self.held, found.texts.alias("text")])
        lines = np.concatenate([self.held_lines, found.lines])
        frame = slow_log_entries.parse_entries(texts)
        shaped = statement_shapes(frame["text"], MYSQL)
        means = sql_parse.shape_meanings(shaped, MYSQL)
        inner, end = slow_log_headers.inner_heads(texts, frame, shaped, means["verb"])
        end = len(texts) if last else end
        self.held, self.held_lines = texts[end:], lines[end:]
        inner = {row: after for row, after in inner.items() if row < end}
        kept = slow_log_headers.trusted_heads(frame, inner)[:end]
        within = lines[:end][~kept].tolist()
        if inner or end < len(texts):
            texts = slow_log_headers.join_inner_heads(texts, inner)[:end].filter(pl.Series(kept))
            frame = slow_log_entries.parse_entries(texts)
            means = sql_parse.shape_meanings(statement_shapes(frame["text"], MYSQL), MYSQL)
        frame = pl.concat([frame, means], how="horizontal")
        numbers = pl.Series("line", lines[:end][kept], pl.Int64)
        return self._add_timestamps(self._carry_forward(frame.with_columns(numbers))), within

    def _carry_forward(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``use`` and ``time`` hold until they change; a restart forgets the first."""
        # MySQL writes a use where the database is another than in the entry before.
        restart = pl.col("restarts").shift(1).fill_null(value=False)
        use = pl.when(restart & pl.col("use").is_null()).then(pl.lit("")).otherwise("use")
        frame = frame.with_columns(
            use.forward_fill().fill_null(self.use or "").alias("use"),
            pl.col("time").forward_fill().fill_null(self.time or "").alias("time"),
        )
        if frame.height:
            self.use = "" if frame["restarts"][-1] else frame["use"][-1]
            self.time = frame["time"][-1]
        schema = pl.when(pl.col("schema").is_not_null()).then("schema").otherwise("use")
        return frame.with_columns(pl.when(schema != "").then(schema).alias("database"))

    def _add_timestamps(self, frame: pl.DataFrame) -> pl.DataFrame:
        distinct = frame.select("time").unique()
        iso = (
            distinct["time"]
            .str.replace(r"Z$", "+00:00")
            .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
        )
        short = distinct["time"].str.to_datetime("%y%m%d %H:%M:%S", time_unit="us", strict=False)
        zone = self.settings.log_timezone
        local = short.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        distinct = distinct.with_columns(
            iso.dt.convert_time_zone("UTC").alias("iso"),
            local.dt.convert_time_zone("UTC").alias("local"),
        )
        frame = frame.join(distinct, on="time", how="left", maintain_order="left")
        frame = self._add_entry_time(frame)
        took = pl.duration(microseconds=(pl.col("query_time").fill_null(0) * 1e6).cast(pl.Int64))
        begun = pl.col("iso") - took
        off = (begun - pl.col("said")).abs() > pl.duration(seconds=_CLOCK_TOLERANCE)
        when = pl.when(off).then(begun).otherwise(pl.coalesce("said", begun, "local"))
        return frame.with_columns(when.alias("timestamp"))

    def _add_entry_time(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Adds ``said``: the entry's own time, or where its session set the clock itself, that of
        the last entry whose session did not.
        """
        text, key = pl.col("text"), pl.coalesce("thread", "login").fill_null("")
        sets = text.str.contains(_SETS_CLOCK)
        own = pl.when(sets).then(~text.str.contains(_ENDS_CLOCK))
        frame = frame.with_columns(key.alias("_key"), own.alias("_own"))
        if self.clocks or frame["_own"].any():
            before = pl.DataFrame({"_key": sorted(self.clocks)}, schema={"_key": pl.String})
            before = before.with_columns(pl.lit(value=True).alias("_before"))
            frame = frame.join(before, on="_key", how="left", maintain_order="left")
            filled = pl.col("_own").forward_fill().over("_key").fill_null(pl.col("_before"))
            frame = frame.with_columns(filled.alias("_own"))
            last = frame.unique("_key", keep="last").select("_key", "_own")
            ended = set(last.filter(~pl.col("_own").fill_null(value=False))["_key"])
            self.clocks = (self.clocks | set(last.filter("_own")["_key"])) - ended
        said = pl.from_epoch("epoch", time_unit="s").cast(pl.Datetime("us", "UTC"))
        # What lies in the future would be believed of everybody after it.
        passed = said <= datetime.now(UTC) + timestamps.MAX_FUTURE
        trusted = pl.when(~pl.col("_own").fill_null(value=False) & passed).then(said)
        filled = trusted.forward_fill().fill_null(pl.lit(self.trusted, pl.Datetime("us", "UTC")))
        frame = frame.with_columns(filled.alias("_trusted"))
        if frame.height:
            self.trusted = frame["_trusted"][-1]
        doubted = pl.col("_own").fill_null(value=False)
        chosen = pl.when(doubted).then(pl.coalesce("_trusted", said)).otherwise(said)
        return frame.with_columns(chosen.alias("said"))

    def _reject_reason(self) -> pl.Expr:
        return pl.coalesce(
            pl.when(pl.col("sent").is_null()).then(pl.lit(_BROKEN_ENTRY_REASON)),
            pl.when(pl.col("login").fill_null("") == "").then(pl.lit(_NO_USER_REASON)),
            pl.when(pl.col("timestamp").is_null()).then(pl.lit(timestamps.MISSING_REASON)),
            timestamps.range_reason(),
        ).alias("reason")

    def _events(self, frame: pl.DataFrame) -> pl.DataFrame:
        frame = self.sessions.add_persons(frame, "login", text="text", session="thread")
        frame = table_names.with_objects(frame)
        failed = (pl.col("errno").fill_null(0) != 0) | (pl.col("killed").fill_null(0) != 0)
        told = pl.col("errno").is_not_null() | pl.col("killed").is_not_null()
        # What was sent was read, whatever the statement looks like. MariaDB does not count the rows
        # of HANDLER; bytes tell that something was sent.
        uncounted = (pl.col("sent") == 0) & (
            (pl.col("bytes") > _MIN_RESULT_BYTES)
            | (
                (pl.col("verb") == "handler")
                & (pl.col("bytes").fill_null(_MIN_RESULT_BYTES) > _MAX_OK_BYTES)
            )
        ).fill_null(value=False)
        sends = ((pl.col("sent") > 0) | uncounted) & (pl.col("action") != "export")
        action = pl.when(sends).then(pl.lit("read")).otherwise("action")
        write = action.is_in(["write", "schema"])
        # A statement by EXECUTE has sent rows and, by MariaDB's account, no bytes.
        silent = (pl.col("bytes") == 0) & (pl.col("sent") > 0)
        made = {
            "account": pl.col("person"),
            "client_address": pl.col("address"),
            "action": action,
            "rows": pl.when(uncounted).then(None).when(write).then("affected").otherwise("sent"),
            "bytes": pl.when(~silent).then("bytes"),
            "duration_ms": pl.col("query_time") * 1000,
            "statement": pl.col("fingerprint"),
            "success": pl.when(told).then(~failed),
            "application": pl.lit(None),
            "subject": pl.lit(None),
        }
        return frame.select(
            made.get(name, pl.col(name)).cast(kind).alias(name) for name, kind in EVENTS.items()
        )


SOURCE = Source(
    name="mysql_slow_log",
    title="MariaDB, MySQL and Percona slow query log",
    accepts=accepts,
    read=read,
    mapping=mapping,
    follow_reader=FollowReader(complete_length, follow, close),
)
