"""Snowflake's QUERY_HISTORY, joined with ACCESS_HISTORY for the tables behind each query.

https://docs.snowflake.com/en/sql-reference/account-usage/query_history and
https://docs.snowflake.com/en/sql-reference/account-usage/access_history: ROWS_WRITTEN_TO_RESULT
are the rows that a statement gives its client (1 for what writes), ROWS_PRODUCED the same in older
exports, ROWS_UNLOADED those that a COPY INTO a stage writes; COPY (into a table) loads. A statement
that fails has no result, so nothing of it was sent.
The view has no address: LOGIN_HISTORY has, and may be joined as CLIENT_IP.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.normalize import sql_normalize
from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_TABLES: Final = pl.coalesce("sql_tables", expressions.values_under_key("base", "objectName"))
#: QUERY_TYPE is Snowflake's own word, whatever the text is. These give no records of a table.
_SILENT_TYPES: Final = (
    *("alter_session", "set", "unset", "use", "begin_transaction", "commit", "rollback", "show"),
    *("describe", "desc", "list_files", "list", "remove_files", "explain", "kill", "comment"),
)
_WRITE_TYPES: Final = (
    *("insert", "update", "delete", "merge", "multi_table_insert", "truncate_table", "copy"),
    *("create_table_as_select", "put_files", "recluster", "ingest_data"),
)
_SILENT_TYPE: Final = expressions.is_one_of("type", *_SILENT_TYPES)
_WRITE_TYPE: Final = expressions.is_one_of("type", *_WRITE_TYPES)
_SCHEMA_TYPE: Final = (
    pl.col("type").str.to_lowercase()
    .str.contains(r"^(?:create|alter|drop|undrop|grant|revoke|rename|truncate)(?:_|$)")
    .fill_null(value=False)
)  # fmt: skip
_CHANGED_ROWS: Final = pl.when(
    pl.any_horizontal(pl.col(name).is_not_null() for name in ("inserted", "updated", "deleted"))
).then(pl.sum_horizontal(expressions.number(name) for name in ("inserted", "updated", "deleted")))
_UNLOAD: Final = expressions.is_one_of("type", "unload")
_EXPORT: Final = expressions.is_one_of("type", "unload", "get_files")

PRESET: Final = Preset(
    name="snowflake",
    title="Snowflake QUERY_HISTORY export",
    keys={
        "time": "START_TIME",
        "user": "USER_NAME",
        "ip": "CLIENT_IP",
        "app": "CLIENT_APPLICATION CLIENT_APPLICATION_ID REPORTED_CLIENT_TYPE",
        "database": "DATABASE_NAME",
        "type": "QUERY_TYPE",
        "status": "EXECUTION_STATUS",
        "ms": "TOTAL_ELAPSED_TIME",
        "written": "ROWS_WRITTEN_TO_RESULT",
        "produced": "ROWS_PRODUCED",
        "inserted": "ROWS_INSERTED",
        "updated": "ROWS_UPDATED",
        "deleted": "ROWS_DELETED",
        "unloaded": "ROWS_UNLOADED",
        "result_bytes": "BYTES_WRITTEN_TO_RESULT",
        "outbound": "OUTBOUND_DATA_TRANSFER_BYTES",
        "base": "BASE_OBJECTS_ACCESSED",
        "hash": "QUERY_PARAMETERIZED_HASH",
        "text": "QUERY_TEXT",
    },
    required_names=("QUERY_ID", "USER_NAME", "START_TIME", "QUERY_TYPE", "EXECUTION_STATUS"),
    derived_columns={"sql": pl.when(pl.col("base").is_null()).then(pl.col("text"))},
    sql_column="sql",
    dialect=sql_normalize.SNOWFLAKE,
    utc=True,
    # INFORMATION_SCHEMA lists what still runs; it comes again when it is over.
    skip=expressions.is_one_of("status", "running", "queued", "blocked", "resuming_warehouse"),
    account_case="upper",
    columns={
        "timestamp": pl.col("time"),
        "account": pl.col("user"),
        "client_address": pl.col("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": expressions.first_item(_TABLES),
        "other_objects": expressions.further_items(_TABLES),
        "action": pl.when(_SILENT_TYPE)
        .then(pl.lit("other"))
        .when(_WRITE_TYPE)
        .then(pl.lit("write"))
        .when(_SCHEMA_TYPE)
        .then(pl.lit("schema"))
        .when(_EXPORT)
        .then(pl.lit("export"))
        .otherwise(pl.lit("read")),
        "rows": pl.when(_UNLOAD)
        .then(pl.col("unloaded"))
        .when(expressions.is_one_of("type", "get_files"))
        .then(None)
        .when(_WRITE_TYPE)
        .then(pl.coalesce(_CHANGED_ROWS, expressions.number("produced")))
        .otherwise(pl.coalesce(expressions.number("written"), expressions.number("produced"))),
        "bytes": pl.when(_UNLOAD)
        .then(pl.coalesce("outbound", "result_bytes"))
        .otherwise(pl.col("result_bytes")),
        "duration_ms": pl.col("ms"),
        "statement": pl.coalesce(pl.concat_str(pl.lit("hash_"), "hash"), "text"),
        "success": expressions.is_one_of("status", "success"),
    },
    descriptions={
        "timestamp": "START_TIME",
        "account": "USER_NAME, in upper case",
        "client_address": "CLIENT_IP, where LOGIN_HISTORY was joined",
        "application": "CLIENT_APPLICATION, where SESSIONS was joined",
        "database": "DATABASE_NAME",
        "object": "BASE_OBJECTS_ACCESSED, where ACCESS_HISTORY was joined, else from the SQL",
        "other_objects": "the further tables of the same query",
        "action": "QUERY_TYPE; UNLOAD and GET_FILES are exports, unknown types are reads",
        "rows": "ROWS_WRITTEN_TO_RESULT, else ROWS_PRODUCED; for writes the rows inserted, updated "
        "and deleted; for UNLOAD ROWS_UNLOADED; unknown for GET_FILES",
        "bytes": "BYTES_WRITTEN_TO_RESULT; for UNLOAD OUTBOUND_DATA_TRANSFER_BYTES",
        "duration_ms": "TOTAL_ELAPSED_TIME",
        "statement": "QUERY_PARAMETERIZED_HASH, else the text (hashed, never kept)",
        "success": "EXECUTION_STATUS is SUCCESS",
    },
)
SOURCE = PRESET.source()
