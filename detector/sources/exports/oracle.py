"""Oracle's UNIFIED_AUDIT_TRAIL, exported.

https://docs.oracle.com/en/database/oracle/oracle-database/19/refrn/UNIFIED_AUDIT_TRAIL.html: a row
for each object of a statement, RETURN_CODE 0 for success, AUDIT_TYPE Datapump for exports. Nothing
counts rows.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_KIND: Final = pl.col("type").str.to_lowercase()

PRESET: Final = Preset(
    name="oracle",
    title="Oracle unified audit trail export",
    keys={
        "time": "EVENT_TIMESTAMP_UTC EVENT_TIMESTAMP",
        "user": "DBUSERNAME",
        "proxy": "DBPROXY_USERNAME",
        "ip": "CLIENT_IP USERHOST",
        "app": "CLIENT_PROGRAM_NAME",
        "database": "PDB_NAME DB_NAME DBID",
        "schema": "OBJECT_SCHEMA",
        "object": "OBJECT_NAME",
        "type": "AUDIT_TYPE",
        "action": "ACTION_NAME",
        "text": "SQL_TEXT",
        "code": "RETURN_CODE",
        "instance": "INSTANCE_ID",
        "session": "SESSIONID",
        "statement": "STATEMENT_ID",
    },
    required_names=(
        "EVENT_TIMESTAMP_UTC EVENT_TIMESTAMP",
        "DBUSERNAME",
        "ACTION_NAME",
        "RETURN_CODE",
    ),
    utc=True,
    skip=expressions.is_one_of("action", "logoff", "logoff by cleanup"),
    merge_key=pl.when(
        pl.col("session").is_not_null()
        & (expressions.number("statement") > 0)
        & ~expressions.is_one_of("action", "logon")
    ).then(pl.concat_str("instance", "session", "statement", separator=" ", ignore_nulls=True)),
    account_case="upper",
    columns={
        "timestamp": pl.col("time"),
        "account": pl.col("user"),
        "client_address": pl.col("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": expressions.dotted_name("schema", "object"),
        "action": pl.when(_KIND.str.starts_with("datapump") | _KIND.str.starts_with("rman"))
        .then(pl.lit("export"))
        .otherwise(pl.col("action")),
        "statement": pl.col("text"),
        "success": pl.coalesce("code", pl.lit("0")) == "0",
    },
    descriptions={
        "timestamp": "EVENT_TIMESTAMP_UTC, else EVENT_TIMESTAMP",
        "account": "DBUSERNAME, in upper case",
        "client_address": "USERHOST",
        "application": "CLIENT_PROGRAM_NAME",
        "database": "PDB_NAME, else DBID",
        "object": "OBJECT_SCHEMA.OBJECT_NAME",
        "other_objects": "the further objects of the same statement",
        "action": "ACTION_NAME; Data Pump and RMAN are exports",
        "statement": "SQL_TEXT (hashed, never kept)",
        "success": "RETURN_CODE is 0",
    },
)
SOURCE = PRESET.source()
