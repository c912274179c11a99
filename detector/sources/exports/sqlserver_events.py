"""SQL Server's extended events sql_batch_completed and rpc_completed, exported as a table.

https://learn.microsoft.com/en-us/sql/relational-databases/extended-events/extended-events:
row_count are the rows of the batch or call, duration is in microseconds. Events of single
statements say the same again, and are left out.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.normalize import sql_normalize
from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_BATCH_EVENTS: Final = ("sql_batch_completed", "rpc_completed")
_TABLES: Final = expressions.qualified_names(pl.col("database"), pl.col("sql_tables"))
_LOGIN: Final = expressions.is_one_of("event", "login")

PRESET: Final = Preset(
    name="sqlserver_events",
    title="SQL Server extended events export",
    keys={
        "time": "timestamp_utc timestamp event_time",
        "event": "name event_name",
        "user": "session_server_principal_name server_principal_name username nt_username",
        "ip": "client_hostname client_ip",
        "app": "client_app_name",
        "database": "database_name",
        "batch": "batch_text",
        "text": "statement sql_text batch_text",
        "rows": "row_count",
        "us": "duration",
        "result": "result",
    },
    required_names=(
        "timestamp_utc timestamp event_time",
        "name event_name",
        "session_server_principal_name server_principal_name username nt_username",
        "row_count",
        "batch_text statement sql_text",
        "client_app_name client_hostname client_ip",
    ),
    sql_column="sql",
    dialect=sql_normalize.TSQL,
    utc=True,
    skip=expressions.is_none_of("event", *_BATCH_EVENTS, "login"),
    derived_columns={"sql": pl.coalesce("batch", "text")},
    account_case="lower",
    columns={
        "timestamp": pl.col("time"),
        "account": pl.col("user"),
        "client_address": pl.col("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": expressions.first_item(_TABLES),
        "other_objects": expressions.further_items(_TABLES),
        # The rows of a batch are those of all its statements, sent or changed: what is nothing
        # but writing has changed them.
        "action": pl.when(_LOGIN)
        .then(pl.lit("login"))
        .when(pl.col("sql_action").is_in(["other", "schema"]))
        .then(expressions.read_if_rows(pl.col("sql_action"), expressions.number("rows")))
        .otherwise(pl.coalesce("sql_action", pl.lit("read"))),
        "rows": pl.col("rows"),
        "duration_ms": pl.col("us").cast(pl.Float64, strict=False) / 1e3,
        "statement": pl.col("sql"),
        "success": pl.col("result").is_null()
        | expressions.is_one_of("result", "ok", "0", "success"),
    },
    descriptions={
        "timestamp": "timestamp (UTC)",
        "account": "session_server_principal_name, else server_principal_name or username, in "
        "lower case",
        "client_address": "client_hostname",
        "application": "client_app_name",
        "database": "database_name",
        "object": "from the SQL, as database.schema.table",
        "other_objects": "the further tables in the SQL",
        "action": "from the SQL; read where it has rows and is no write",
        "rows": "row_count",
        "duration_ms": "duration (microseconds)",
        "statement": "batch_text, else statement (hashed, never kept)",
        "success": "result is OK",
    },
)
SOURCE = PRESET.source()
