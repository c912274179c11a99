"""Trino's query-completed events, as its HTTP and Kafka event listeners send them.

https://trino.io/docs/current/admin/event-listeners-http.html; the fields are those of
io.trino.spi.eventlistener.QueryCompletedEvent. outputRows went to the client; each input names
its catalog, schema and table.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.normalize import sql_normalize
from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_TEXT: Final = r'"((?:[^"\\]|\\.)*)"'
_INPUT_TABLE: Final = (
    rf'"(?:catalogName|catalog)"\s*:\s*{_TEXT}[^{{}}]*?"schema(?:Name)?"\s*:\s*{_TEXT}'
    rf'[^{{}}]*?"table(?:Name)?"\s*:\s*{_TEXT}'
)
_TABLES: Final = (
    pl.col("inputs")
    .str.extract_all(_INPUT_TABLE)
    .list.eval(pl.element().str.replace(f"^{_INPUT_TABLE}$", "${1}.${2}.${3}"))
    .list.unique(maintain_order=True)
)
#: io.trino.spi.resourcegroups.QueryType; INSERT covers all that writes.
_ACTIONS: Final = {
    "DATA_DEFINITION": "schema",
    "ALTER_TABLE_EXECUTE": "schema",
    "DESCRIBE": "other",
    "EXPLAIN": "other",
    "MERGE": "write",
}


#: The engine's own word for a query that gives its client no records.
_WRITE_TYPE: Final = expressions.is_one_of(
    "type",
    *("insert", "delete", "update", "merge", "data_definition", "alter_table_execute"),
)


def _field_names(*fields: str) -> str:
    """As the HTTP listener sends them, and within the payload, as Kafka's does."""
    return " ".join([*fields, *(f"eventPayload.{field}" for field in fields)])


PRESET: Final = Preset(
    name="trino",
    title="Trino query-completed events",
    keys={
        "created": _field_names("createTime"),
        "started": _field_names("executionStartTime"),
        "ended": _field_names("endTime"),
        "user": _field_names("context.user"),
        "ip": _field_names("context.remoteClientAddress"),
        "app": _field_names("context.source", "context.userAgent"),
        "catalog": _field_names("context.catalog"),
        "type": _field_names("context.queryType"),
        "state": _field_names("metadata.queryState"),
        "text": _field_names("metadata.query"),
        "output": _field_names("statistics.outputRows"),
        "output_bytes": _field_names("statistics.outputBytes"),
        "inputs": _field_names("ioMetadata.inputs"),
        "error": _field_names("failureInfo.errorCode.name"),
    },
    required_names=tuple(
        map(_field_names, ("context.user", "metadata.queryId", "metadata.query", "createTime"))
    ),
    derived_columns={"sql": pl.when(pl.col("type").is_null()).then(pl.col("text"))},
    sql_column="sql",
    dialect=sql_normalize.TRINO,
    utc=True,
    # A created event comes again when the query is over.
    skip=pl.col("ended").is_null(),
    columns={
        "timestamp": expressions.first_set_time("created", "started"),
        "account": pl.col("user"),
        "client_address": expressions.bare_address("ip"),
        "application": pl.col("app"),
        "database": pl.col("catalog"),
        "object": expressions.first_item(_TABLES),
        "other_objects": expressions.further_items(_TABLES),
        "action": pl.when(_WRITE_TYPE)
        .then(expressions.translate("type", _ACTIONS))
        .otherwise(
            expressions.read_if_rows(
                pl.coalesce(expressions.translate("type", _ACTIONS), "sql_action"),
                expressions.number("output"),
            )
        ),
        # What writes gives its client one row, which says how many records it wrote.
        "rows": pl.when(_WRITE_TYPE).then(pl.lit("0")).otherwise("output"),
        "bytes": pl.col("output_bytes"),
        "duration_ms": expressions.elapsed_ms(pl.col("created"), pl.col("ended")),
        "statement": pl.col("text"),
        "success": expressions.is_one_of("state", "finished") & pl.col("error").is_null(),
    },
    descriptions={
        "timestamp": "createTime",
        "account": "context.user",
        "client_address": "context.remoteClientAddress",
        "application": "context.source, else context.userAgent",
        "database": "context.catalog",
        "object": "ioMetadata.inputs",
        "other_objects": "the further inputs of the same query",
        "action": "context.queryType, else from the SQL; read where it gave rows and wrote none",
        "rows": "statistics.outputRows; 0 for what writes",
        "bytes": "statistics.outputBytes",
        "duration_ms": "from createTime to endTime",
        "statement": "metadata.query (hashed, never kept)",
        "success": "metadata.queryState is FINISHED",
    },
)
SOURCE = PRESET.source()
