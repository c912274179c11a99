"""OCSF Datastore Activity (class 6005), as security data lakes keep it.

https://schema.ocsf.io/1.4.0/classes/datastore_activity: time is in milliseconds since 1970,
status_id 1 is success, duration is in milliseconds. query_info.bytes are those of the result. The
class has no row count: it is looked for in unmapped, where producers put what has no place.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_CLASS_UID: Final = "6005"
#: activity_id of the class.
_ACTIVITIES: Final = {
    "1": "read",
    "2": "write",
    "3": "login",
    "4": "read",
    "5": "write",
    "6": "schema",
    "7": "write",
    "8": "other",
    "9": "other",
    "10": "other",
}
_ROW_COUNT_NAMES: Final = (
    "rows",
    "row_count",
    "rowCount",
    "rows_returned",
    "rows_produced",
    "rows_sent",
)
_UNMAPPED_ROWS: Final = " ".join(f"unmapped.{name}" for name in _ROW_COUNT_NAMES)
#: What a producer's own word says more closely than the class's number.
_NAMED_EXPORT: Final = pl.col("name").str.to_lowercase().is_in(["export", "copy", "unload", "dump"])

PRESET: Final = Preset(
    name="ocsf",
    title="OCSF Datastore Activity (class 6005)",
    keys={
        "class": "class_uid",
        "time": "time time_dt",
        "user": "actor.user.name actor.user.email_addr actor.user.uid",
        "email": "actor.user.email_addr",
        "uid": "actor.user.uid",
        "ip": "src_endpoint.ip src_endpoint.hostname",
        "app": "actor.app_name src_endpoint.svc_name http_request.user_agent",
        "database": "database.name databucket.name",
        "table": "table.name",
        "bucket": "databucket.name database.name",
        "activity": "activity_id",
        "name": "activity_name",
        "rows": f"query_info.rows {_UNMAPPED_ROWS}",
        "bytes": "query_info.bytes",
        "ms": "duration",
        "text": "query_info.query_string",
        "query": "query_info.uid",
        "status": "status_id",
        "word": "status",
    },
    required_names=("class_uid", "activity_id activity_name", "time time_dt"),
    probe_check=lambda seen: (
        any(str(entry.get("class_uid")) == _CLASS_UID for entry in seen.entries)
        or (
            not seen.entries
            and seen.find_name(
                "query_info.query_string query_info.bytes table.name databucket.name"
            )
            is not None
        )
    ),
    utc=True,
    skip=expressions.is_none_of("class", _CLASS_UID),
    columns={
        "timestamp": pl.col("time"),
        "account": pl.coalesce("user", "email", "uid"),
        "client_address": pl.col("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": pl.coalesce("table", "bucket"),
        "action": pl.when(_NAMED_EXPORT)
        .then(pl.lit("export"))
        .otherwise(pl.coalesce(pl.col("activity").replace(_ACTIVITIES), "name")),
        "rows": pl.col("rows"),
        "bytes": pl.col("bytes"),
        "duration_ms": pl.col("ms"),
        "statement": pl.col("text"),
        "success": (pl.coalesce("status", pl.lit("1")) != "2")
        & ~expressions.is_one_of("word", "failure", "failed"),
    },
    descriptions={
        "timestamp": "time (milliseconds)",
        "account": "actor.user.name, else email_addr or uid",
        "client_address": "src_endpoint.ip",
        "application": "actor.app_name",
        "database": "database.name",
        "object": "table.name, else databucket.name",
        "action": "activity_id",
        "rows": "unmapped.rows or the like; the class has no row count",
        "bytes": "query_info.bytes",
        "duration_ms": "duration",
        "statement": "query_info.query_string (hashed, never kept)",
        "success": "status_id is not 2 (failure)",
    },
)
SOURCE = PRESET.source()
