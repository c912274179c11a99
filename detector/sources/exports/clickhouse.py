"""ClickHouse's system.query_log.

https://clickhouse.com/docs/en/operations/system-tables/query_log: a query is logged when it
starts and again when it ends or fails; is_initial_query is 0 for the parts of a distributed one.
result_bytes is the memory that the result took. Times are in the server's time zone.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_LISTED_NAMES: Final = expressions.list_items("tables")
#: The list is sorted: what a function reads or writes (_table_function.file) stands before tables.
_TABLES: Final = pl.concat_list(
    _LISTED_NAMES.list.eval(pl.element().filter(~pl.element().str.starts_with("_table_function."))),
    _LISTED_NAMES.list.eval(pl.element().filter(pl.element().str.starts_with("_table_function."))),
)
#: A table function writes to a file, a bucket or another server.
_FUNCTION_WRITE: Final = pl.col("text").str.contains(
    r"(?i)^\s*insert\s+into\s+(?:table\s+)?function\b|\binto\s+outfile\b"
)

#: query_kind is the server's own word, whatever the text is.
_WRITES: Final = expressions.is_one_of("kind", "insert", "asyncinsertflush", "delete", "update")
_KNOWN_KIND: Final = _WRITES | expressions.is_one_of(
    "kind",
    *("create", "drop", "undrop", "rename", "optimize", "check", "alter", "grant", "revoke"),
    *("system", "set", "use", "killquery", "show", "describe", "exists", "explain", "begin"),
    *("commit", "rollback", "settransactionsnapshot", "move", "truncate", "attach", "detach"),
    *("backup", "select"),
)
_FAILED_RUNNING: Final = expressions.is_one_of("type", "exceptionwhileprocessing", "4")
#: The first versions that had the log tell a failure by its type alone.
_FAILED: Final = _FAILED_RUNNING | expressions.is_one_of("type", "exceptionbeforestart", "3")

PRESET: Final = Preset(
    name="clickhouse",
    title="ClickHouse system.query_log export",
    keys={
        "start": "query_start_time_microseconds",
        "start_s": "query_start_time",
        "event": "event_time_microseconds",
        "event_s": "event_time",
        "user": "initial_user user",
        "ip": "initial_address address",
        "app": "client_name http_user_agent",
        "agent": "http_user_agent",
        "database": "current_database",
        "tables": "tables",
        "type": "type",
        "initial": "is_initial_query",
        "kind": "query_kind",
        "ms": "query_duration_ms",
        "result": "result_rows",
        "result_bytes": "result_bytes",
        "hash": "normalized_query_hash",
        "text": "query",
        "code": "exception_code",
    },
    required_names=("type", "query_duration_ms", "result_rows", "query", "initial_user user"),
    # The numbers are those of the enumeration, where an export has them instead of names.
    skip=expressions.is_one_of("type", "querystart", "1")
    | expressions.is_one_of("initial", "0", "false"),
    columns={
        "timestamp": expressions.first_set_time("start", "start_s", "event", "event_s"),
        "account": pl.col("user"),
        "client_address": expressions.bare_address("ip"),
        "application": pl.coalesce("app", "agent"),
        "database": pl.col("database"),
        "object": expressions.first_item(_TABLES),
        "other_objects": expressions.further_items(_TABLES),
        "action": pl.when(_FUNCTION_WRITE)
        .then(pl.lit("export"))
        .when(_KNOWN_KIND)
        .then(
            expressions.read_if_rows(
                pl.col("kind"), pl.when(~_WRITES).then(expressions.number("result"))
            )
        )
        .otherwise(pl.lit("read")),
        # What failed while it ran has sent some, and result_rows is written when it has ended.
        "rows": pl.when(
            ~(_FAILED_RUNNING & (expressions.number("result") == 0)).fill_null(value=False)
        ).then(expressions.known_count("result")),
        "bytes": expressions.known_count("result_bytes"),
        "duration_ms": pl.col("ms"),
        "statement": pl.coalesce(pl.concat_str(pl.lit("hash_"), "hash"), "text"),
        "success": (pl.coalesce(pl.col("code"), pl.lit("0")) == "0") & ~_FAILED,
    },
    descriptions={
        "timestamp": "query_start_time, else event_time (in log_timezone); 1970 is no time",
        "account": "initial_user, else user",
        "client_address": "initial_address, else address",
        "application": "client_name, else http_user_agent",
        "database": "current_database",
        "object": "tables",
        "other_objects": "the further tables of the same query",
        "action": "query_kind, else read; writing to a table function is an export",
        "rows": "result_rows; unknown where the query failed while it ran and none are told",
        "bytes": "result_bytes (the memory that the result took)",
        "duration_ms": "query_duration_ms",
        "statement": "normalized_query_hash, else the text (hashed, never kept)",
        "success": "exception_code is 0, and type no exception",
    },
)
SOURCE = PRESET.source()
