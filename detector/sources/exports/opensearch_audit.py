"""OpenSearch's audit log.

https://docs.opensearch.org/latest/security/audit-logs/field-reference/: GRANTED_PRIVILEGES is a
request on the transport layer, COMPLIANCE_DOC_READ one document that was read. Requests have no
count of documents.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_INDICES: Final = expressions.list_items("indices")
_PRIVILEGE: Final = pl.col("privilege")
_DOCUMENT_READ: Final = expressions.is_one_of("category", "compliance_doc_read")
_LOGIN: Final = expressions.is_one_of("category", "failed_login")
_FAILED: Final = expressions.is_one_of("category", "failed_login", "missing_privileges")
_ACCESS_CATEGORIES: Final = (
    *("granted_privileges", "missing_privileges", "failed_login", "index_event"),
    *("compliance_doc_read", "compliance_doc_write"),
)

PRESET: Final = Preset(
    name="opensearch_audit",
    title="OpenSearch audit log",
    keys={
        "time": "@timestamp audit_utc_timestamp _source.@timestamp",
        "category": "audit_category _source.audit_category",
        "user": "audit_request_effective_user _source.audit_request_effective_user",
        "first": "audit_request_initiating_user _source.audit_request_initiating_user",
        "ip": "audit_request_remote_address _source.audit_request_remote_address",
        "cluster": "audit_cluster_name _source.audit_cluster_name",
        "indices": "audit_trace_resolved_indices audit_trace_indices "
        "_source.audit_trace_resolved_indices _source.audit_trace_indices",
        "asked": "audit_trace_indices _source.audit_trace_indices",
        "privilege": "audit_request_privilege _source.audit_request_privilege",
        "task": "audit_trace_task_id _source.audit_trace_task_id",
    },
    required_names=(
        "@timestamp audit_utc_timestamp _source.@timestamp",
        "audit_category _source.audit_category",
        "audit_request_effective_user _source.audit_request_effective_user",
    ),
    utc=True,
    # AUTHENTICATED comes again when the request is granted; others are no access.
    skip=expressions.is_none_of("category", *_ACCESS_CATEGORIES)
    | _PRIVILEGE.str.contains(r"[\[\]]").fill_null(value=False),
    merge_key=pl.when(expressions.is_one_of("category", "granted_privileges")).then(pl.col("task")),
    columns={
        "timestamp": pl.col("time"),
        "account": pl.coalesce("first", "user"),
        "client_address": expressions.bare_address("ip"),
        "database": pl.col("cluster"),
        "object": expressions.first_item(_INDICES),
        "other_objects": expressions.further_items(_INDICES),
        "action": pl.when(_LOGIN)
        .then(pl.lit("login"))
        .when(_DOCUMENT_READ | _PRIVILEGE.str.starts_with("indices:data/read"))
        .then(pl.lit("read"))
        .when(
            expressions.is_one_of("category", "compliance_doc_write")
            | _PRIVILEGE.str.starts_with("indices:data/write")
        )
        .then(pl.lit("write"))
        .when(
            expressions.is_one_of("category", "index_event")
            | _PRIVILEGE.str.starts_with("indices:admin")
        )
        .then(pl.lit("schema"))
        .when(_PRIVILEGE.str.contains("snapshot"))
        .then(pl.lit("export"))
        .otherwise(pl.lit("other")),
        "rows": pl.when(_DOCUMENT_READ).then(1),
        "success": ~_FAILED,
    },
    descriptions={
        "timestamp": "@timestamp",
        "account": "audit_request_initiating_user, else audit_request_effective_user",
        "client_address": "audit_request_remote_address",
        "database": "audit_cluster_name",
        "object": "audit_trace_resolved_indices, else audit_trace_indices",
        "other_objects": "the further indices of the same request",
        "action": "audit_request_privilege and audit_category",
        "rows": "1 for each document of COMPLIANCE_DOC_READ; else unknown",
        "success": "audit_category is neither FAILED_LOGIN nor MISSING_PRIVILEGES",
    },
)
SOURCE = PRESET.source()
