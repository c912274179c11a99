"""SQL Server Audit, as sys.fn_get_audit_file gives it.

https://learn.microsoft.com/en-us/sql/relational-databases/system-functions/sys-fn-get-audit-file-transact-sql:
event_time is UTC; a statement longer than 4,000 characters comes in pieces by sequence_number; a
statement has a row for each object. response_rows (sent to the client) and affected_rows are
filled on Azure SQL only; elsewhere nothing counts rows, and succeeded tells the permission check,
not the end. A batch (BCM, RCM) names no object, so its tables are those in its text.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.normalize import sql_normalize
from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

#: sys.dm_audit_actions.
_ACTIONS: Final = {
    "SL": "read",
    "EX": "other",
    "RF": "other",
    "RC": "read",
    **dict.fromkeys(("IN", "UP", "DL"), "write"),
    **dict.fromkeys(("CR", "AL", "DR", "G", "GWG", "R", "RWG", "RWC", "D", "DWC", "TO"), "schema"),
    **dict.fromkeys(("LGIS", "LGIF", "DBAS", "DBAF"), "login"),
    **dict.fromkeys(("BA", "BAL", "BST"), "export"),
}
#: A batch or a call that is over: their counts are counts, even where they are 0.
_BATCH_END: Final = expressions.is_one_of("action", "bcm", "rcm")
_STATEMENT_ROWS: Final = pl.coalesce(expressions.number("response"), expressions.number("affected"))
#: What sent no rows and is nothing but writing has those it affected.
_PURE_WRITE: Final = pl.col("sql_action").is_in(["write", "schema"]) & ~(
    expressions.number("response") > 0
).fill_null(value=False)
_BATCH_ROWS: Final = (
    pl.when(_PURE_WRITE)
    .then(pl.coalesce(expressions.number("affected"), expressions.number("response")))
    .otherwise(pl.max_horizontal(expressions.number("response"), expressions.number("affected")))
)

#: The object of a row, or the tables in the text of a batch.
_NAMES: Final = (
    pl.when(_BATCH_END)
    .then("sql_tables")
    .otherwise(pl.concat_list(expressions.dotted_name("schema", "object")).list.drop_nulls())
)
_TABLES: Final = (
    pl.when(_BATCH_END | pl.col("schema").is_not_null())
    .then(expressions.qualified_names(pl.col("database"), _NAMES))
    .otherwise(_NAMES)
)

PRESET: Final = Preset(
    name="sqlserver_audit",
    title="SQL Server audit export",
    keys={
        "time": "event_time",
        "user": "session_server_principal_name server_principal_name",
        "principal": "server_principal_name database_principal_name",
        "ip": "client_ip host_name",
        "app": "application_name",
        "database": "database_name",
        "schema": "schema_name",
        "object": "object_name",
        "class": "class_type",
        "action": "action_id",
        "text": "statement",
        "piece": "sequence_number",
        "session": "session_id",
        "response": "response_rows",
        "affected": "affected_rows",
        "ms": "duration_milliseconds",
        "ok": "succeeded",
    },
    required_names=("event_time", "action_id", "server_principal_name", "succeeded", "statement"),
    derived_columns={"sql": pl.when(_BATCH_END).then("text")},
    sql_column="sql",
    dialect=sql_normalize.TSQL,
    utc=True,
    # Later pieces of a long statement, the audit's own state, and logouts.
    skip=(expressions.number("piece") > 1).fill_null(value=False)
    | expressions.is_one_of("action", "ausc", "aust", "lgo", "lgl", "dbl"),
    merge_key=pl.when(
        expressions.is_one_of("action", "sl", "in", "up", "dl", "ex", "rf", "rc")
    ).then(pl.concat_str("session", "time", "text", separator=" ", ignore_nulls=True)),
    merge_rank=pl.when(expressions.is_one_of("action", "in", "up", "dl")).then(0).otherwise(1),
    account_case="lower",
    columns={
        "timestamp": pl.col("time"),
        "account": pl.coalesce("user", "principal"),
        "client_address": pl.col("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": expressions.first_item(_TABLES),
        "other_objects": expressions.further_items(_TABLES),
        "action": pl.when(_BATCH_END)
        .then(
            expressions.read_if_rows(
                pl.coalesce("sql_action", pl.lit("read")), expressions.number("response")
            )
        )
        .otherwise(pl.col("action").str.to_uppercase().replace(_ACTIONS)),
        "rows": pl.when(_BATCH_END)
        .then(_BATCH_ROWS)
        .when(_STATEMENT_ROWS > 0)
        .then(_STATEMENT_ROWS),
        "duration_ms": pl.col("ms"),
        "statement": pl.col("text"),
        "success": expressions.is_one_of("ok", "1", "true")
        & ~expressions.is_one_of("action", "lgif", "dbaf"),
    },
    descriptions={
        "timestamp": "event_time (UTC)",
        "account": "session_server_principal_name, else server_principal_name, in lower case",
        "client_address": "client_ip, else host_name",
        "application": "application_name",
        "database": "database_name",
        "object": "database_name.schema_name.object_name; for a batch, from the SQL",
        "other_objects": "the further objects of the same statement",
        "action": "action_id; for a batch, read if it sent rows, else from the SQL",
        "rows": "response_rows, for writes affected_rows, on Azure SQL; elsewhere unknown",
        "duration_ms": "duration_milliseconds",
        "statement": "statement (hashed, never kept)",
        "success": "succeeded",
    },
)
SOURCE = PRESET.source()
