"""Audit logs of MySQL Enterprise and Percona Server in JSON, with query statistics where logged.

https://dev.mysql.com/doc/refman/8.4/en/audit-log-file-formats.html#audit-log-file-json-format and
https://docs.percona.com/percona-server/8.4/audit-log-filter-json.html: an array, whose closing
bracket is missing while the log is open. The older plugin of Percona Server writes one object a
line, all in ``audit_record``: https://docs.percona.com/percona-server/8.0/audit-log-plugin.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from detector.core.schema import REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import rejects, timestamps
from detector.normalize.reader_state import ReaderState
from detector.normalize.shared_accounts import SessionPersons
from detector.normalize.source import Batch, FollowReader, Sample, Source, empty_batch
from detector.readers import json_objects
from detector.readers.json_objects import ObjectBatch
from detector.readers.log_input import LogInput
from detector.sources.mysql.server_audit_lines import LINE_SCHEMA, Statements


def _text_struct(names: str) -> pl.Struct:
    return pl.Struct(dict.fromkeys(names.split(), pl.String))


_SCHEMA: Final = {
    **dict.fromkeys(("timestamp", "class", "event", "connection_id"), pl.String()),
    "account": _text_struct("user host"),
    "login": _text_struct("user ip"),
    "general_data": _text_struct("command query status"),
    "query_statistics": _text_struct("query_time bytes_sent rows_sent"),
    "table_access_data": _text_struct("db table query"),
    "connection_data": _text_struct("status db"),
    "audit_record": _text_struct("name timestamp connection_id status sqltext user host ip db"),
}
_LOGIN_NAME: Final = r"^.*\[(.+)\] @ "
_OWNER_NAME: Final = r"^(.*?)\[.*\] @ "
_FOREIGN_REASON: Final = "is no event of an audit log"
_NO_USER_REASON: Final = "names no user"


def accepts(sample: Sample, settings: Settings) -> bool:
    """Whether the first objects are events of one of these logs."""
    del settings
    return any(_is_event(each) for each in json_objects.first_objects(sample.head))


def _is_event(found: dict[str, object]) -> bool:
    record = found.get("audit_record")
    if isinstance(record, dict):
        return {"name", "timestamp"} <= set(record)
    return {"timestamp", "id", "class"} <= set(found) and isinstance(found["class"], str)


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    del tail  # tables stand next to their statement
    statements = Statements(SessionPersons(settings.identity))
    done = 0
    for found in json_objects.read_objects(log, _SCHEMA):
        done = found.raw_bytes
        yield _batch(found, statements, log)
    events, skipped, _ = statements.finish()
    yield Batch(events, empty(REJECTS), skipped, done)


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    statements = Statements.decode(tail.pending, settings.identity)
    for found in json_objects.read_objects(log, _SCHEMA):
        yield _batch(found, statements, log)
    yield empty_batch(ReaderState(pending=statements.encode()))


def close(settings: Settings, tail: ReaderState) -> Batch:
    """Statements that were open when a file ended."""
    events, skipped, _ = Statements.decode(tail.pending, settings.identity).finish()
    return Batch(events, empty(REJECTS), skipped)


def _batch(found: ObjectBatch, statements: Statements, log: LogInput) -> Batch:
    frame = _to_lines(found.frame)
    access = pl.col("operation") != ""
    reason = pl.coalesce(
        pl.when(pl.col("operation").is_null()).then(pl.lit(_FOREIGN_REASON)),
        pl.when(access & pl.col("timestamp").is_null()).then(pl.lit(timestamps.UNREADABLE_REASON)),
        pl.when(access).then(timestamps.range_reason()),
        pl.when(
            access & (pl.col("operation") != "DISCONNECT") & (pl.col("user").fill_null("") == "")
        ).then(pl.lit(_NO_USER_REASON)),
    )
    frame = frame.with_columns(reason.alias("reason"))
    bad: list[tuple[int | None, str]] = [*found.rejects]
    bad += frame.select("line", "reason").filter(pl.col("reason").is_not_null()).rows()
    sound = frame.filter(pl.col("reason").is_null())
    lines = sound.filter(access).select(list(LINE_SCHEMA))
    events, skipped = statements.add(lines)
    skipped += sound.height - lines.height
    return Batch(events, rejects.frame(log.name, bad), skipped, found.raw_bytes)


def _to_lines(frame: pl.DataFrame) -> pl.DataFrame:
    """``LINE_SCHEMA`` and ``line``; ``operation`` is null for what is no event, "" for no
    access.
    """
    record, general = pl.col("audit_record").struct, pl.col("general_data").struct
    table, connection = pl.col("table_access_data").struct, pl.col("connection_data").struct
    statistics = pl.col("query_statistics").struct
    frame = frame.with_columns(record.field("name").is_not_null().alias("old"))
    user = pl.coalesce(record.field("user"), *_filled_fields("login", "account", "user"))
    base = pl.coalesce(table.field("db"), connection.field("db"), record.field("db"))
    text = pl.coalesce(general.field("query"), record.field("sqltext"), table.field("query"))
    status = (general.field("status"), connection.field("status"), record.field("status"))
    host = ((pl.col("login").struct.field("ip"), record.field("ip")),
            (pl.col("account").struct.field("host"), record.field("host")))  # fmt: skip
    made = {
        "timestamp": _parse_instants(pl.coalesce(record.field("timestamp"), "timestamp")),
        "server": pl.lit(""),
        "user": pl.coalesce(user.str.extract(_LOGIN_NAME), user.str.extract(_OWNER_NAME), user),
        "host": pl.coalesce(pl.when(each != "").then(each) for pair in host for each in pair),
        "connection": pl.coalesce("connection_id", record.field("connection_id")),
        "query": text.hash().cast(pl.String),
        "operation": _operation(),
        "base": base.fill_null(""),
        "text": text,
        "table": table.field("table"),
        "code": pl.coalesce(status).cast(pl.Int64, strict=False),
        "rows": statistics.field("rows_sent").cast(pl.Int64, strict=False),
        "bytes": statistics.field("bytes_sent").cast(pl.Int64, strict=False),
        "duration_ms": statistics.field("query_time").cast(pl.Float64, strict=False) * 1000,
    }
    return frame.select(
        "line", *(made[name].cast(kind).alias(name) for name, kind in LINE_SCHEMA.items())
    )


def _filled_fields(*names: str) -> list[pl.Expr]:
    *structs, field = names
    found = (pl.col(name).struct.field(field) for name in structs)
    return [pl.when(each != "").then(each) for each in found]


def _parse_instants(text: pl.Expr) -> pl.Expr:
    """Both write UTC: ``2019-10-03 14:09:45``, ``2014-08-27T10:44:19 UTC`` or with a Z."""
    plain = text.str.replace(r"(?: UTC|Z)$", "").str.replace("T", " ", literal=True)
    found = plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    return found.dt.replace_time_zone("UTC")


def _operation() -> pl.Expr:
    """As server_audit calls it, whose statements these are folded like."""
    kind, event = pl.col("class"), pl.col("event")
    name = pl.col("audit_record").struct.field("name")
    command = pl.col("general_data").struct.field("command")
    cases = (
        ((kind == "general") & (event == "status") & command.is_in(["Query", "Execute"]), "QUERY"),
        ((kind == "table_access") & (event == "read"), "READ"),
        ((kind == "table_access") & event.is_in(["insert", "update", "delete"]), "WRITE"),
        ((kind == "connection") & (event == "connect"), "CONNECT"),
        ((kind == "connection") & (event == "change_user"), "CHANGEUSER"),
        ((kind == "connection") & (event == "disconnect"), "DISCONNECT"),
        (name.is_in(["Query", "Execute"]), "QUERY"),
        (name == "Connect", "CONNECT"),
        (name == "Change user", "CHANGEUSER"),
        (name == "Quit", "DISCONNECT"),
        (kind.is_not_null() | name.is_not_null(), ""),
    )
    chosen: pl.Expr = pl.lit(None, pl.String)
    for condition, word in reversed(cases):
        chosen = pl.when(condition).then(pl.lit(word)).otherwise(chosen)
    return chosen


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:
    """Canonical columns and where they come from."""
    del log, settings
    return {
        "timestamp": "timestamp, in UTC",
        "account": "login.user, else account.user",
        "client_address": "login.ip, else account.host",
        "database": "table_access_data.db or db",
        "object": "the tables of table_access events, else those named in the SQL",
        "other_objects": "the further tables of the same statement",
        "action": "the SQL, else the kind of table_access",
        "rows": "query_statistics.rows_sent, where the log has query statistics",
        "bytes": "query_statistics.bytes_sent",
        "duration_ms": "query_statistics.query_time",
        "statement": "fingerprint of the SQL without its literals",
        "success": "whether the status is 0",
    }


SOURCE = Source(
    name="mysql_audit_json",
    title="MySQL Enterprise and Percona audit log in JSON",
    accepts=accepts,
    read=read,
    mapping=mapping,
    follow_reader=FollowReader(json_objects.complete_length, follow, close),
)
