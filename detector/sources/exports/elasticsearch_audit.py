"""Elasticsearch's audit log (<cluster>_audit.json).

https://www.elastic.co/docs/reference/elasticsearch/elasticsearch-audit-events: keys are written
with dots; request.id is the same in all events of one request, on all nodes. What was granted is
told for each action; actions with brackets are parts of one, on single shards. Nothing counts
documents.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_INDICES: Final = expressions.list_items("indices")
_ACTION: Final = pl.col("action")
_DENIED_EVENTS: Final = (
    "access_denied",
    "authentication_failed",
    "anonymous_access_denied",
    "run_as_denied",
)
_FAILED: Final = expressions.is_one_of("event", *_DENIED_EVENTS)
_LOGIN: Final = expressions.is_one_of("event", "authentication_failed", "anonymous_access_denied")

PRESET: Final = Preset(
    name="elasticsearch_audit",
    title="Elasticsearch audit log",
    keys={
        "time": "timestamp @timestamp",
        "event": "event.action",
        "layer": "event.type",
        "user": "user.name",
        "runner": "user.run_by.name",
        "ip": "origin.address",
        "app": "opaque_id",
        "cluster": "cluster.name",
        "action": "action",
        "request": "request.id",
        "kind": "request.name",
        "indices": "indices",
        "realm": "user.realm",
    },
    required_names=(
        "timestamp @timestamp",
        "event.action",
        "event.type",
        "origin.type origin.address",
    ),
    probe_check=lambda seen: any(entry.get("type") == "audit" for entry in seen.entries),
    # Each request is authenticated, and told again when it is granted.
    skip=expressions.is_none_of("event", "access_granted", *_DENIED_EVENTS)
    | _ACTION.str.contains(r"[\[\]]").fill_null(value=False),
    merge_key=pl.when(~_FAILED).then(pl.col("request")),
    columns={
        "timestamp": pl.col("time"),
        "account": pl.col("user"),
        "client_address": expressions.bare_address("ip"),
        "application": pl.col("app"),
        "database": pl.col("cluster"),
        "object": expressions.first_item(_INDICES),
        "other_objects": expressions.further_items(_INDICES),
        "action": pl.when(_LOGIN)
        .then(pl.lit("login"))
        .when(_ACTION.str.starts_with("indices:data/read"))
        .then(pl.lit("read"))
        .when(_ACTION.str.starts_with("indices:data/write"))
        .then(pl.lit("write"))
        .when(_ACTION.str.starts_with("indices:admin"))
        .then(pl.lit("schema"))
        .when(_ACTION.str.contains("snapshot"))
        .then(pl.lit("export"))
        .otherwise(pl.lit("other")),
        "success": ~_FAILED,
    },
    descriptions={
        "timestamp": "timestamp",
        "account": "user.name",
        "client_address": "origin.address without the port",
        "application": "opaque_id",
        "database": "cluster.name",
        "object": "indices",
        "other_objects": "the further indices of the same request",
        "action": "action (indices:data/read and so on); snapshots are exports",
        "success": "event.action is access_granted",
    },
)
SOURCE = PRESET.source()
