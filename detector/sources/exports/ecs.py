"""Documents of the Elastic Common Schema about databases and applications, from a data lake.

https://www.elastic.co/docs/reference/ecs/ecs-field-reference: event.duration is in nanoseconds,
event.outcome is success or failure, destination.bytes are those sent back. The schema has no fields
for a database or for rows: those are the ones that Filebeat's modules fill
(https://www.elastic.co/docs/reference/beats/filebeat/exported-fields).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset


def _field_names(*fields: str) -> str:
    """As they are, and within a search hit, as elasticdump and the search API write it."""
    return " ".join([*fields, *(f"_source.{field}" for field in fields)])


#: Categories and kinds that tell of no access to records.
_OTHER_CATEGORIES: Final = (
    r'"(?:process|network|host|malware|driver|package|registry|library|vulnerability)"'
)
_OTHER_KINDS: Final = ("alert", "metric", "state", "asset", "enrichment", "pipeline_error")
_LOGIN: Final = pl.col("category").str.contains("authentication").fill_null(value=False)
_ACTION_WORD: Final = pl.coalesce("action", "type")

PRESET: Final = Preset(
    name="ecs",
    title="Elastic Common Schema documents",
    keys={
        "time": _field_names("@timestamp"),
        "user": _field_names(
            "user.name", "user.email", "user.id", "client.user.name", "source.user.name"
        ),
        "ip": _field_names(
            "source.ip", "client.ip", "source.address", "client.address", "source.domain"
        ),
        "app": _field_names(
            "user_agent.name", "process.name", "service.name", "user_agent.original"
        ),
        "database": _field_names(
            "database.name", "postgresql.log.database", "mysql.slowlog.schema"
        ),
        "object": _field_names("table.name", "database.table", "mysql.slowlog.table"),
        "action": _field_names("event.action"),
        "type": _field_names("event.type"),
        "category": _field_names("event.category"),
        "kind": _field_names("event.kind"),
        "rows": _field_names(
            "mysql.slowlog.rows_sent",
            "database.rows",
            "mssql.log.row_count",
            "oracle.database_audit.rows",
        ),
        "bytes": _field_names("mysql.slowlog.bytes_sent", "destination.bytes", "server.bytes"),
        "ns": _field_names("event.duration"),
        "text": _field_names(
            "mysql.slowlog.query", "postgresql.log.query", "database.statement", "event.original"
        ),
        "outcome": _field_names("event.outcome"),
    },
    required_names=(
        _field_names("@timestamp"),
        _field_names("ecs.version", "event.dataset", "event.category"),
    ),
    probe_check=lambda seen: (
        seen.find_name(_field_names("user.name", "user.email", "user.id")) is not None
    ),
    utc=True,
    skip=expressions.is_one_of("kind", *_OTHER_KINDS)
    | (
        pl.concat_str(pl.lit('"'), "category", pl.lit('"')).str.contains(_OTHER_CATEGORIES)
        & ~pl.col("category").str.contains("database|authentication|session|file|web|api")
    ).fill_null(value=False),
    columns={
        "timestamp": pl.col("time"),
        "account": pl.col("user"),
        "client_address": pl.col("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": pl.col("object"),
        "action": pl.when(_LOGIN)
        .then(pl.lit("login"))
        .when(_ACTION_WORD.is_not_null())
        .then(_ACTION_WORD.str.strip_chars('[]"'))
        .otherwise(pl.coalesce(expressions.first_verb("text"), pl.lit("read"))),
        "rows": pl.col("rows"),
        "bytes": pl.col("bytes"),
        "duration_ms": pl.col("ns").cast(pl.Float64, strict=False) / 1e6,
        "statement": pl.col("text"),
        "success": ~expressions.is_one_of("outcome", "failure"),
    },
    descriptions={
        "timestamp": "@timestamp",
        "account": "user.name, else user.email or user.id",
        "client_address": "source.ip, else client.ip or an address",
        "application": "user_agent.name, process.name or service.name",
        "database": "the module's own field",
        "object": "the module's own field",
        "action": "event.action, else event.type, else from the SQL",
        "rows": "the module's own field (mysql.slowlog.rows_sent); the schema has none",
        "bytes": "destination.bytes, or the module's own field",
        "duration_ms": "event.duration (nanoseconds)",
        "statement": "the module's query, else event.original (hashed, never kept)",
        "success": "event.outcome is not failure",
    },
)
SOURCE = PRESET.source()
