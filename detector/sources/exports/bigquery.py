"""BigQuery's audit logs (BigQueryAuditMetadata) as Cloud Logging writes them.

https://cloud.google.com/bigquery/docs/reference/auditlogs/rest/Shared.Types/BigQueryAuditMetadata:
a job is told when it is inserted and when it is done; the second has its output rows (64-bit
numbers are text) and the tables it named. Reads outside of jobs (tabledata.list, read sessions of
the Storage API) have no counts. Entries of a sink into BigQuery have the metadata as JSON text.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_PAYLOAD_KEYS: Final = "protoPayload protopayload_auditlog"


def _payload_names(path: str) -> str:
    return " ".join(f"{head}.{path}" for head in _PAYLOAD_KEYS.split())


#: What stands in the metadata, by our name.
_METADATA_PATHS: Final = {
    "after": "jobChange.after",
    "type": "jobChange.job.jobConfig.type",
    "kind": "jobChange.job.jobConfig.queryConfig.statementType",
    "text": "jobChange.job.jobConfig.queryConfig.query",
    "extracted": "jobChange.job.jobConfig.extractConfig.sourceTable",
    "copied": "jobChange.job.jobConfig.tableCopyConfig.sourceTables",
    "failed": "jobChange.job.jobStatus.errorResult.code",
    "output": "jobChange.job.jobStats.queryStats.outputRowCount",
    "tables": "jobChange.job.jobStats.queryStats.referencedTables",
    "extracted_bytes": "jobChange.job.jobStats.extractStats.totalInputBytes",
    "start": "jobChange.job.jobStats.startTime",
    "end": "jobChange.job.jobStats.endTime",
    "reason": "tableDataRead.reason",
}


def _metadata_value(name: str) -> pl.Expr:
    """From the entry itself, or from the metadata as text."""
    return pl.coalesce(name, pl.col("metadata").str.json_path_match(f"$.{_METADATA_PATHS[name]}"))


_JOB_DONE: Final = _metadata_value("after") == "DONE"
#: Reads that a job does are the job's; the results of a query are those of its job.
_DIRECT_READ: Final = _metadata_value("reason").is_not_null() & ~_metadata_value("reason").is_in(
    ["JOB", "GET_QUERY_RESULTS"]
)
_TABLE_NAMES: Final = (
    pl.concat_str(
        [
            pl.coalesce(_metadata_value("tables"), pl.lit("")),
            pl.coalesce(_metadata_value("extracted"), _metadata_value("copied"), pl.lit("")),
            pl.when(_DIRECT_READ).then(pl.coalesce("resource", pl.lit(""))).otherwise(pl.lit("")),
        ],
        separator=" ",
    )
    .str.extract_all(r"projects/[^/\"]+/datasets/[^/\"]+/tables/[^/\"\s\]]+")
    .list.eval(
        pl.element().str.replace(
            r"^projects/([^/]+)/datasets/([^/]+)/tables/(.+)$", "${1}.${2}.${3}"
        )
    )
    .list.unique(maintain_order=True)
)
_EXPORT: Final = (
    _metadata_value("type").is_in(["EXPORT", "EXTRACT"])
    | _metadata_value("extracted").is_not_null()
)

PRESET: Final = Preset(
    name="bigquery",
    title="BigQuery audit log",
    keys={
        "time": "timestamp",
        "user": _payload_names("authenticationInfo.principalEmail"),
        "service": _payload_names("serviceName"),
        "ip": _payload_names("requestMetadata.callerIp"),
        "agent": _payload_names("requestMetadata.callerSuppliedUserAgent"),
        "resource": _payload_names("resourceName"),
        "status": _payload_names("status.code"),
        "project": "resource.labels.project_id",
        "metadata": "protopayload_auditlog.metadataJson",
        **{name: f"protoPayload.metadata.{path}" for name, path in _METADATA_PATHS.items()},
    },
    required_names=(
        "timestamp",
        _payload_names("serviceName"),
        _payload_names("resourceName"),
        _payload_names("authenticationInfo.principalEmail"),
    ),
    probe_check=lambda seen: (
        any("bigquery" in str(entry) for entry in seen.entries[:200])
        or (not seen.entries and seen.find_name("protopayload_auditlog.metadataJson") is not None)
    ),
    utc=True,
    skip=~(_JOB_DONE | _DIRECT_READ).fill_null(value=False)
    | ~expressions.is_one_of("service", "bigquery.googleapis.com"),
    account_case="lower",
    columns={
        "timestamp": pl.coalesce(_metadata_value("start"), "time"),
        "account": pl.col("user"),
        "client_address": pl.col("ip"),
        "application": pl.col("agent").str.extract(r"^([^/\s(]+)"),
        "database": pl.col("project"),
        "object": expressions.first_item(_TABLE_NAMES),
        "other_objects": expressions.further_items(_TABLE_NAMES),
        "action": pl.when(_DIRECT_READ)
        .then(pl.lit("read"))
        .when(_EXPORT)
        .then(pl.lit("export"))
        .when(_metadata_value("type") == "COPY")
        .then(pl.lit("export"))
        .when(_metadata_value("type") == "IMPORT")
        .then(pl.lit("write"))
        .otherwise(pl.coalesce(_metadata_value("kind"), _metadata_value("type"))),
        "rows": _metadata_value("output"),
        "bytes": _metadata_value("extracted_bytes"),
        "duration_ms": expressions.elapsed_ms(_metadata_value("start"), _metadata_value("end")),
        "statement": _metadata_value("text"),
        "success": (_metadata_value("failed").fill_null("0") == "0")
        & (pl.col("status").fill_null("0") == "0"),
    },
    descriptions={
        "timestamp": "the job's startTime, else the entry's timestamp",
        "account": "authenticationInfo.principalEmail, in lower case",
        "client_address": "requestMetadata.callerIp",
        "application": "callerSuppliedUserAgent, without its version",
        "database": "resource.labels.project_id",
        "object": "referencedTables, the table extracted, or the resource read",
        "other_objects": "the further tables of the same job",
        "action": "the job's type and its statement's; extracts and table copies are exports",
        "rows": "queryStats.outputRowCount; unknown for extracts and read sessions",
        "bytes": "extractStats.totalInputBytes",
        "duration_ms": "from startTime to endTime",
        "statement": "queryConfig.query (hashed, never kept)",
        "success": "no errorResult",
    },
)
SOURCE = PRESET.source()
