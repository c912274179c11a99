"""Amazon Redshift's SYS_QUERY_HISTORY, joined with the user's name and SYS_CONNECTION_LOG.

https://docs.aws.amazon.com/redshift/latest/dg/SYS_QUERY_HISTORY.html: times are UTC, elapsed_time
is in microseconds, text is padded with blanks and cut at 4,000 characters. An UNLOAD returns no
rows to its client: SYS_UNLOAD_HISTORY knows how many it wrote.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.normalize import sql_normalize
from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

#: What COPY does here is load a table.
_ACTIONS: Final = {"COPY": "write", "CTAS": "schema", "DDL": "schema", "UNLOAD": "export"}
#: query_type is Redshift's own word; UTILITY, OTHER and UNKNOWN leave it to the text.
_KNOWN_TYPE: Final = expressions.is_one_of(
    "type", "select", "insert", "update", "delete", "merge", "copy", "unload", "ctas", "ddl"
)
_UNLOAD: Final = expressions.is_one_of("type", "unload")

PRESET: Final = Preset(
    name="redshift",
    title="Amazon Redshift SYS_QUERY_HISTORY export",
    keys={
        "time": "start_time",
        "user": "user_name username usename",
        "user_id": "user_id",
        "ip": "remote_host",
        "app": "application_name",
        "database": "database_name",
        "type": "query_type",
        "status": "status",
        "us": "elapsed_time",
        "returned": "returned_rows",
        "returned_bytes": "returned_bytes",
        "unloaded": "unloaded_rows",
        "unloaded_bytes": "unloaded_files_size",
        "hash": "generic_query_hash",
        "text": "query_text",
    },
    required_names=("query_id", "query_type", "returned_rows", "returned_bytes", "start_time"),
    sql_column="text",
    dialect=sql_normalize.REDSHIFT,
    utc=True,
    # What still runs comes again when it is over.
    skip=expressions.is_one_of("status", "planning", "queued", "running", "returning"),
    account_case="lower",
    columns={
        "timestamp": pl.col("time"),
        "account": pl.coalesce("user", "user_id"),
        "client_address": expressions.bare_address("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": expressions.first_item(pl.col("sql_tables")),
        "other_objects": expressions.further_items(pl.col("sql_tables")),
        "action": pl.when(_KNOWN_TYPE)
        .then(
            expressions.read_if_rows(
                expressions.translate("type", _ACTIONS), expressions.number("returned")
            )
        )
        .otherwise(expressions.read_if_rows(pl.col("sql_action"), expressions.number("returned"))),
        "rows": pl.when(_UNLOAD).then(pl.col("unloaded")).otherwise(pl.col("returned")),
        "bytes": pl.when(_UNLOAD).then(pl.col("unloaded_bytes")).otherwise("returned_bytes"),
        "duration_ms": pl.col("us").cast(pl.Float64, strict=False) / 1e3,
        "statement": pl.coalesce(pl.concat_str(pl.lit("hash_"), "hash"), "text"),
        "success": expressions.is_one_of("status", "success"),
    },
    descriptions={
        "timestamp": "start_time (UTC)",
        "account": "user_name, where it was joined, else user_id, in lower case",
        "client_address": "remote_host, where SYS_CONNECTION_LOG was joined",
        "application": "application_name, where SYS_CONNECTION_LOG was joined",
        "database": "database_name",
        "object": "from the SQL",
        "other_objects": "the further tables in the SQL",
        "action": "query_type, else from the SQL; UNLOAD is an export, COPY a write",
        "rows": "returned_rows; for UNLOAD unloaded_rows, else unknown",
        "bytes": "returned_bytes; for UNLOAD unloaded_files_size",
        "duration_ms": "elapsed_time (microseconds)",
        "statement": "generic_query_hash, else the text (hashed, never kept)",
        "success": "status is success",
    },
)
SOURCE = PRESET.source()
