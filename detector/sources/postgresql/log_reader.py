"""From blocks of PostgreSQL's log, in either of its formats, to batches of events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import polars as pl

from detector.core.formatting import readable
from detector.core.prefetch import ahead
from detector.core.schema import EVENTS, REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import zoned_timestamps
from detector.normalize.shared_accounts import Sessions
from detector.normalize.source import HELD, Batch, Tail, nothing
from detector.readers.blocks import Reject
from detector.sources.postgresql import auto_explain, failures, pgaudit
from detector.sources.postgresql.auto_explain import TOLD
from detector.sources.postgresql.evidence_merge import Evidence
from detector.sources.postgresql.pgaudit import LINES
from detector.sources.postgresql.pgaudit_statements import Statements

SEVERITIES: Final = (
    *("LOG", "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "INFO", "DEBUG"),
    *("DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5"),
)
_FAILED: Final = ("ERROR", "FATAL", "PANIC")

#: SQLSTATEs of failed logins: invalid_authorization_specification, invalid_password
#: (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_NO_ENTRY: Final = ("28000", "28P01")

_FORGED: Final = "begins with AUDIT: but was raised by an SQL statement, not by pgaudit"
_MALFORMED: Final = "begins with AUDIT: but is not in pgaudit's format"
_NO_PLAN: Final = "begins like a plan of auto_explain, but its text or figures are none"
_NOBODY: Final = "names no user"

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
    """A block as ``pgaudit.RAW``; ``lines(rows)`` gives the line numbers of some of its rows."""

    frame: pl.DataFrame
    rejects: list[Reject]
    bytes_read: int
    lines: Callable[[list[int]], list[int]]


def batches(pieces: Iterator[Piece], path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """The file's batches; the last one has what was held back, and the tail.

    Each record counts once: as an event, as a reject, or in ``skipped`` (so do the further
    lines of a statement that is one event).
    """
    reader = _opened(settings, tail)
    done = 0
    for piece in ahead(pieces):
        done = piece.bytes_read
        yield _batch(piece, reader, path, settings)
    yield _last(reader, done)


def follow(pieces: Iterator[Piece], path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """The batches of one piece of a file: what is held back goes into the tail."""
    reader = _opened(settings, tail)
    for piece in pieces:
        yield _batch(piece, reader, path, settings)
    yield nothing({HELD: reader.kept()})


def close(settings: Settings, tail: Tail) -> Batch:
    """What was held back, once the file has ended."""
    return _last(_opened(settings, tail), 0)


def _opened(settings: Settings, tail: Tail) -> _Reader:
    if HELD in tail:
        return _Reader.of(tail[HELD], settings)
    return _Reader(Statements(dict(tail)), Evidence(), Sessions(settings.identity))


def _last(reader: _Reader, done: int) -> Batch:
    lines, told, skipped = reader.evidence.add(empty(LINES), empty(TOLD), last=True)
    audited, folded = reader.statements.add(lines)
    events, further, left = reader.statements.finish()
    everything = pl.concat([told, audited, events])
    return Batch(everything, empty(REJECTS), skipped + folded + further, done, left)


@dataclass(slots=True)
class _Reader:
    """What is carried from block to block."""

    statements: Statements
    evidence: Evidence
    sessions: Sessions
    executed: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.UInt64))

    def kept(self) -> str:
        """All of it, as text."""
        return json.dumps(
            {
                "statements": self.statements.kept(),
                "evidence": self.evidence.kept(),
                "sessions": list(self.sessions.known.items()),
                "executed": self.executed.to_list(),
            }
        )

    @classmethod
    def of(cls, text: str, settings: Settings) -> Self:
        """What ``kept`` told."""
        raw = json.loads(text)
        return cls(
            Statements.of(raw["statements"]),
            Evidence.of(raw["evidence"]),
            Sessions(settings.identity, dict(raw["sessions"])),
            pl.Series(raw.get("executed", []), dtype=pl.UInt64),
        )


def _batch(piece: Piece, reader: _Reader, path: Path, settings: Settings) -> Batch:
    sorted_out = _sorted(piece.frame)
    kept = zoned_timestamps.with_timestamp(
        sorted_out.filter(pl.col("sort") != "skipped"), settings.log_timezone
    )
    skipped = sorted_out.height - kept.height
    kept = kept.with_columns(_reason().alias("reason"))
    bad = [kept.filter(pl.col("reason").is_not_null()).select("row", "reason")]
    kept = kept.filter(pl.col("reason").is_null())
    kept = _with_persons(kept, reader.sessions)
    lines, wrong = pgaudit.parse(kept.filter(pl.col("sort") == "audit"))
    bad.append(wrong.select("row", pl.lit(_MALFORMED).alias("reason")))
    told, forged = _told(kept)
    bad.append(forged.select("row", pl.lit(_NO_PLAN).alias("reason")))
    whole = told.height
    told, reader.executed = auto_explain.without_continued(told, reader.executed)
    skipped += whole - told.height
    lines, told, further = reader.evidence.add(lines, told)
    audited, folded = reader.statements.add(lines)
    parts = [
        audited,
        told,
        _logins(kept.filter(pl.col("sort").is_in(["login", "refused"]))),
        _plain_events(*failures.failures(kept.filter(pl.col("sort") == "failed"))),
    ]
    return Batch(
        pl.concat(parts),
        _rejects(path, piece, pl.concat(bad)),
        skipped + further + folded,
        piece.bytes_read,
    )


def _told(kept: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(``TOLD``: plans, texts, and what failed; the rows of plans that are none)."""
    plans, forged = auto_explain.plans(kept.filter(pl.col("sort") == "plan"))
    parts = [
        plans,
        auto_explain.statements(kept.filter(pl.col("sort") == "statement")),
        auto_explain.failed(kept.filter(pl.col("sort") == "failed")),
    ]
    return pl.concat(parts).sort("row"), forged


def _with_persons(kept: pl.DataFrame, sessions: Sessions) -> pl.DataFrame:
    """``kept`` with the person in place of a shared account, where the settings have rules."""
    if not sessions.asked:
        return kept
    kept = kept.with_columns(auto_explain.text_of_line().alias("_sql"))
    kept = sessions.persons(kept, "user_name", text="_sql", session="session_id")
    return kept.with_columns(pl.col("person").alias("user_name")).drop("person", "_sql")


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``sort``: audit, forged, login, refused, failed, plan, statement or skipped."""
    message = pl.col("message").fill_null("")
    failed = pl.col("error_severity").is_in(_FAILED)
    forged = pgaudit.forged()
    audit = message.str.starts_with("AUDIT: ") & ~failed
    login = message.str.starts_with("connection authorized: user=") & ~failed & ~forged
    named = pl.col("user_name").fill_null("") != ""
    # What is nested within another statement has a context, and so has what SQL raised.
    plan = message.str.contains(auto_explain.PLAN) & ~failed
    text = message.str.contains(auto_explain.STATEMENT) & ~failed
    cases = (
        (audit & forged, "forged"),
        (audit, "audit"),
        (login & named, "login"),
        (failed & pl.col("sql_state_code").is_in(_NO_ENTRY) & named & ~forged, "refused"),
        (failed & named & (pl.col("query").fill_null("") != ""), "failed"),
        (plan & ~forged, "plan"),
        (text & ~forged, "statement"),
    )
    chosen: pl.Expr = pl.lit("skipped")
    for condition, name in reversed(cases):
        chosen = pl.when(condition).then(pl.lit(name)).otherwise(chosen)
    return frame.with_columns(chosen.alias("sort"))


def _reason() -> pl.Expr:
    return pl.coalesce(
        pl.when(pl.col("sort") == "forged").then(pl.lit(_FORGED)),
        pl.when(
            (pl.col("user_name").fill_null("") == "") | (pl.col("session_id").fill_null("") == "")
        ).then(pl.lit(_NOBODY)),
        pl.col("undated"),
    )


def _rejects(path: Path, piece: Piece, bad: pl.DataFrame) -> pl.DataFrame:
    found = [(line, reason) for line, reason in piece.rejects]
    if not bad.is_empty():
        numbers = piece.lines(bad["row"].to_list())
        found += zip(numbers, bad["reason"].to_list(), strict=True)
    found.sort()
    rows = [(readable(path), line, reason) for line, reason in found]
    return pl.DataFrame(rows, schema=dict(REJECTS), orient="row")


def _logins(frame: pl.DataFrame) -> pl.DataFrame:
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
