"""From blocks of PostgreSQL's log, in either of its formats, to batches of events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self

import polars as pl

from detector.core.formatting import path_text
from detector.core.prefetch import read_ahead
from detector.core.schema import EVENTS, REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import zoned_timestamps
from detector.normalize.reader_state import ReaderState
from detector.normalize.shared_accounts import SessionPersons
from detector.normalize.source import Batch, empty_batch
from detector.readers.blocks import Reject
from detector.readers.log_input import LogInput
from detector.sources.postgresql import auto_explain, failures, pgaudit
from detector.sources.postgresql.auto_explain import STATEMENT_SCHEMA
from detector.sources.postgresql.evidence_merge import Evidence
from detector.sources.postgresql.pgaudit import LINE_SCHEMA
from detector.sources.postgresql.pgaudit_statements import Statements

SEVERITIES: Final = (
    *("LOG", "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "INFO", "DEBUG"),
    *("DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5"),
)
_ERROR_SEVERITIES: Final = ("ERROR", "FATAL", "PANIC")

#: SQLSTATEs of failed logins: invalid_authorization_specification, invalid_password
#: (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_LOGIN_FAILURE_CODES: Final = ("28000", "28P01")

_FORGED_REASON: Final = "begins with AUDIT: but was raised by an SQL statement, not by pgaudit"
_MALFORMED_REASON: Final = "begins with AUDIT: but is not in pgaudit's format"
_BAD_PLAN_REASON: Final = "begins like a plan of auto_explain, but its text or figures are none"
_NO_USER_REASON: Final = "names no user"

#: How canonical columns come about, for ``detector check``.
MAPPING: Final = {
    "timestamp": "log_time of the statement's first line",
    "account": "user_name",
    "client_address": "connection_from without the port",
    "application": "application_name",
    "database": "database_name",
    "object": "pgaudit's object name, else the table named in the SQL",
    "other_objects": "the further relations of the same statement",
    "action": "pgaudit's class and command",
    "rows": "pgaudit's rows (pgaudit.log_rows); unknown for COPY and cursors",
    "statement": "fingerprint of the SQL without its literals",
    "success": "false for ERROR and FATAL",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A block as ``pgaudit.RAW_SCHEMA``; ``lines(rows)`` gives the line numbers of some of its
    rows.
    """

    frame: pl.DataFrame
    rejects: list[Reject]
    bytes_read: int
    lines: Callable[[list[int]], list[int]]


def read_batches(
    pieces: Iterator[Piece], log: LogInput, settings: Settings, tail: ReaderState
) -> Iterator[Batch]:
    """The file's batches; the last one has what was held back, and the tail.

    Each record counts once: as an event, as a reject, or in ``skipped`` (so do the further
    lines of a statement that is one event).
    """
    reader = _open_reader(settings, tail)
    done = 0
    for piece in read_ahead(pieces):
        done = piece.bytes_read
        yield _batch(piece, reader, log, settings)
    yield _final_batch(reader, done)


def follow(
    pieces: Iterator[Piece], log: LogInput, settings: Settings, tail: ReaderState
) -> Iterator[Batch]:
    """The batches of one piece of a file: what is held back goes into the tail."""
    reader = _open_reader(settings, tail)
    for piece in pieces:
        yield _batch(piece, reader, log, settings)
    yield empty_batch(ReaderState(pending=reader.encode()))


def close(settings: Settings, tail: ReaderState) -> Batch:
    """What was held back, once the file has ended."""
    return _final_batch(_open_reader(settings, tail), 0)


def _open_reader(settings: Settings, tail: ReaderState) -> _Reader:
    if tail.pending:
        return _Reader.decode(tail.pending, settings)
    return _Reader(Statements(dict(tail.sessions)), Evidence(), SessionPersons(settings.identity))


def _final_batch(reader: _Reader, done: int) -> Batch:
    lines, told, skipped = reader.evidence.add(
        empty(LINE_SCHEMA), empty(STATEMENT_SCHEMA), last=True
    )
    audited, folded = reader.statements.add(lines)
    events, further, left = reader.statements.finish()
    everything = pl.concat([told, audited, events])
    return Batch(everything, empty(REJECTS), skipped + folded + further, done, ReaderState(left))


@dataclass(slots=True)
class _Reader:
    """What is carried from block to block."""

    statements: Statements
    evidence: Evidence
    sessions: SessionPersons
    executed_keys: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.UInt64))

    def encode(self) -> str:
        """All of it, as text."""
        return json.dumps(
            {
                "statements": self.statements.encode(),
                "evidence": self.evidence.encode(),
                "sessions": list(self.sessions.last_persons.items()),
                "executed": self.executed_keys.to_list(),
            }
        )

    @classmethod
    def decode(cls, text: str, settings: Settings) -> Self:
        """What ``kept`` told."""
        raw = json.loads(text)
        return cls(
            Statements.decode(raw["statements"]),
            Evidence.decode(raw["evidence"]),
            SessionPersons(settings.identity, dict(raw["sessions"])),
            pl.Series(raw.get("executed", []), dtype=pl.UInt64),
        )


def _batch(piece: Piece, reader: _Reader, log: LogInput, settings: Settings) -> Batch:
    sorted_out = _classify(piece.frame)
    kept = zoned_timestamps.with_timestamp(
        sorted_out.filter(pl.col("sort") != "skipped"), settings.log_timezone
    )
    skipped = sorted_out.height - kept.height
    kept = kept.with_columns(_reject_reason().alias("reason"))
    bad = [kept.filter(pl.col("reason").is_not_null()).select("row", "reason")]
    kept = kept.filter(pl.col("reason").is_null())
    kept = _add_persons(kept, reader.sessions)
    lines, wrong = pgaudit.parse(kept.filter(pl.col("sort") == "audit"))
    bad.append(wrong.select("row", pl.lit(_MALFORMED_REASON).alias("reason")))
    told, forged = _logged_statements(kept)
    bad.append(forged.select("row", pl.lit(_BAD_PLAN_REASON).alias("reason")))
    whole = told.height
    told, reader.executed_keys = auto_explain.drop_continuations(told, reader.executed_keys)
    skipped += whole - told.height
    lines, told, further = reader.evidence.add(lines, told)
    audited, folded = reader.statements.add(lines)
    parts = [
        audited,
        told,
        _login_events(kept.filter(pl.col("sort").is_in(["login", "refused"]))),
        _plain_events(*failures.failure_events(kept.filter(pl.col("sort") == "failed"))),
    ]
    return Batch(
        pl.concat(parts),
        _rejects_frame(log, piece, pl.concat(bad)),
        skipped + further + folded,
        piece.bytes_read,
    )


def _logged_statements(kept: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(``TOLD``: plans, texts, and what failed; the rows of plans that are none)."""
    plans, forged = auto_explain.parse_plans(kept.filter(pl.col("sort") == "plan"))
    parts = [
        plans,
        auto_explain.parse_statements(kept.filter(pl.col("sort") == "statement")),
        auto_explain.failed_statements(kept.filter(pl.col("sort") == "failed")),
    ]
    return pl.concat(parts).sort("row"), forged


def _add_persons(kept: pl.DataFrame, sessions: SessionPersons) -> pl.DataFrame:
    """``kept`` with the person in place of a shared account, where the settings have rules."""
    if not sessions.needs_text:
        return kept
    kept = kept.with_columns(auto_explain.statement_text().alias("_sql"))
    kept = sessions.add_persons(kept, "user_name", text="_sql", session="session_id")
    return kept.with_columns(pl.col("person").alias("user_name")).drop("person", "_sql")


def _classify(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``sort``: audit, forged, login, refused, failed, plan, statement or skipped."""
    message = pl.col("message").fill_null("")
    failed = pl.col("error_severity").is_in(_ERROR_SEVERITIES)
    forged = pgaudit.is_forged()
    audit = message.str.starts_with("AUDIT: ") & ~failed
    login = message.str.starts_with("connection authorized: user=") & ~failed & ~forged
    named = pl.col("user_name").fill_null("") != ""
    # What is nested within another statement has a context, and so has what SQL raised.
    plan = message.str.contains(auto_explain.PLAN_PREFIX) & ~failed
    text = message.str.contains(auto_explain.STATEMENT_PREFIX) & ~failed
    cases = (
        (audit & forged, "forged"),
        (audit, "audit"),
        (login & named, "login"),
        (
            failed & pl.col("sql_state_code").is_in(_LOGIN_FAILURE_CODES) & named & ~forged,
            "refused",
        ),
        (failed & named & (pl.col("query").fill_null("") != ""), "failed"),
        (plan & ~forged, "plan"),
        (text & ~forged, "statement"),
    )
    chosen: pl.Expr = pl.lit("skipped")
    for condition, name in reversed(cases):
        chosen = pl.when(condition).then(pl.lit(name)).otherwise(chosen)
    return frame.with_columns(chosen.alias("sort"))


def _reject_reason() -> pl.Expr:
    return pl.coalesce(
        pl.when(pl.col("sort") == "forged").then(pl.lit(_FORGED_REASON)),
        pl.when(
            (pl.col("user_name").fill_null("") == "") | (pl.col("session_id").fill_null("") == "")
        ).then(pl.lit(_NO_USER_REASON)),
        pl.col("undated"),
    )


def _rejects_frame(log: LogInput, piece: Piece, bad: pl.DataFrame) -> pl.DataFrame:
    found = [(line, reason) for line, reason in piece.rejects]
    if not bad.is_empty():
        numbers = piece.lines(bad["row"].to_list())
        found += zip(numbers, bad["reason"].to_list(), strict=True)
    found.sort()
    rows = [(path_text(log.name), line, reason) for line, reason in found]
    return pl.DataFrame(rows, schema=dict(REJECTS), orient="row")


def _login_events(frame: pl.DataFrame) -> pl.DataFrame:
    return _plain_events(
        frame,
        {
            "action": pl.lit("login"),
            "rows": pl.lit(0),
            "success": pl.col("sort") == "login",
        },
    )


def _plain_events(frame: pl.DataFrame, made: dict[str, pl.Expr]) -> pl.DataFrame:
    """``EVENTS`` with who and where from the log's own columns, ``made``, and nulls."""
    given = {
        "timestamp": pl.col("timestamp"),
        "account": pl.col("user_name"),
        "client_address": pl.col("client_address"),
        "application": pl.col("application_name"),
        "database": pl.col("database_name"),
        **made,
    }
    return frame.select(
        given.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in EVENTS.items()
    )
