"""Databricks' system table system.query.history.

https://docs.databricks.com/en/admin/system-tables/query-history.html: produced_rows are the rows
returned; read_bytes and read_rows are what was scanned, which is not what went out. Tables are
those of a joined system.access.table_lineage (source_tables), else from the SQL.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.normalize import sql_normalize
from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_TABLES: Final = pl.coalesce("sql_tables", expressions.list_items("tables"))

#: statement_type is the platform's own word; whatever else it is counts as a reading.
_KNOWN_TYPE: Final = (
    pl.col("type").str.to_lowercase().str.contains(
        r"^(?:select|insert|update|delete|merge|copy|truncate|create|alter|drop|undrop|grant|revoke"
        r"|deny|rename|replace|comment|set|use|reset|refresh|optimize|vacuum|analyze|explain"
        r"|describe|show|list|clear|cache|uncache|msck|repair|restore|sync|add)(?:_|$)"
    )
    .fill_null(value=False)
)  # fmt: skip

PRESET: Final = Preset(
    name="databricks",
    title="Databricks system.query.history export",
    keys={
        "time": "start_time",
        "user": "executed_by",
        "user_id": "executed_by_user_id",
        "ip": "source_ip_address client_ip",
        "app": "client_application client_driver",
        "database": "catalog workspace_id",
        "tables": "source_tables",
        "type": "statement_type",
        "status": "execution_status",
        "ms": "total_duration_ms",
        "produced": "produced_rows",
        "text": "statement_text",
    },
    required_names=("statement_id", "executed_by", "execution_status", "statement_type"),
    derived_columns={"sql": pl.when(pl.col("tables").is_null()).then(pl.col("text"))},
    sql_column="sql",
    dialect=sql_normalize.DATABRICKS,
    utc=True,
    # What still runs comes again when it is over.
    skip=expressions.is_one_of("status", "running", "queued", "started", "compiling"),
    account_case="lower",
    columns={
        "timestamp": pl.col("time"),
        "account": pl.coalesce("user", "user_id"),
        "client_address": pl.col("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": expressions.first_item(_TABLES),
        "other_objects": expressions.further_items(_TABLES),
        "action": pl.when(_KNOWN_TYPE)
        .then(expressions.translate("type", {"COPY": "write"}))  # COPY INTO loads a table
        .otherwise(pl.lit("read")),
        "rows": pl.col("produced"),
        "duration_ms": pl.col("ms"),
        "statement": pl.col("text"),
        "success": expressions.is_one_of("status", "finished"),
    },
    descriptions={
        "timestamp": "start_time (UTC)",
        "account": "executed_by, in lower case",
        "client_address": "source_ip_address, where system.access.audit was joined",
        "application": "client_application",
        "database": "catalog, else workspace_id",
        "object": "source_tables, where table_lineage was joined, else from the SQL",
        "other_objects": "the further tables of the same statement",
        "action": "statement_type; unknown ones are reads",
        "rows": "produced_rows",
        "bytes": "not in the log: read_bytes are what was scanned",
        "duration_ms": "total_duration_ms",
        "statement": "statement_text (hashed, never kept)",
        "success": "execution_status is FINISHED",
    },
)
SOURCE = PRESET.source()
