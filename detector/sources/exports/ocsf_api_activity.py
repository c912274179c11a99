"""OCSF API Activity (class 6003) of S3, as Amazon Security Lake keeps CloudTrail's data events.

https://docs.aws.amazon.com/security-lake/latest/userguide/cloudtrail-event-logs.html and
https://schema.ocsf.io/1.1.0/classes/api_activity. The lake's files are Parquet, in folders region=,
accountId= and eventDay=. What the class has no place for stands in ``unmapped``, a map from
CloudTrail's own names to text: how many bytes went out among it, and, by the version of the source,
the bucket. An ARN in ``resources`` tells the bucket too.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import cloudtrail_s3, expressions
from detector.sources.exports.preset import Preset

_CLASS_UID: Final = "6003"


def _unmapped_value(*names: str) -> pl.Expr:
    """What ``unmapped`` and the request's data say under CloudTrail's names, the first that is
    there. In their JSON a quote within a text is escaped, so that no text can pass for a key.
    """
    found: list[pl.Expr] = []
    for name in names:
        bare = name.replace(".", r"\.")
        pair = rf'"key":"{bare}","value":"((?:[^"\\]|\\.)*)"'
        leaf = rf'"{bare}"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|(\d[\d.eE+]*))'
        for column in ("unmapped", "request"):
            text = pl.col(column)
            found += [text.str.extract(pair), text.str.extract(leaf, 1), text.str.extract(leaf, 2)]
    return pl.coalesce(found)


_BUCKET: Final = pl.coalesce(
    "bucket",
    _unmapped_value("requestParameters.bucketName", "bucketName"),
    pl.col("resources").str.extract(r'"arn:aws[a-z-]*:s3:::([^"/\\]+)'),
)
_ROLE_SESSION: Final = pl.coalesce("uid", "alt").str.extract(
    r":(?:assumed-role|federated-user)/(.+)$"
)
#: As in CloudTrail's own records: root is one person's in each AWS account, and users of Identity
#: Center are told by onBehalfOf, whatever else names them.
_ROOT_ACCOUNT: Final = pl.concat_str(
    pl.lit("root"), pl.col("owner"), separator="/", ignore_nulls=True
)
_PERSON: Final = pl.coalesce(
    "person",
    pl.when(pl.col("kind").str.to_lowercase() == "root").then(_ROOT_ACCOUNT),
    _ROLE_SESSION,
    "user",
    "invoked",
    "alt",
    "uid",
)
_UNMAPPED_NAMES: Final = (
    "unmapped.{0} unmapped.requestParameters.{0} unmapped.additionalEventData.{0}"
)

PRESET: Final = Preset(
    name="ocsf_api_activity",
    title="OCSF API Activity of S3 (class 6003), as in Amazon Security Lake",
    keys={
        "class": "class_uid",
        "time": "time",
        "when": "time_dt",
        "event": "api.operation",
        "service": "api.service.name",
        "user": "actor.user.name",
        "uid": "actor.user.uid actor.user.uuid",
        "alt": "actor.user.uid_alt",
        "kind": "actor.user.type",
        "owner": "actor.user.account.uid actor.user.account_uid",
        "person": "unmapped.userIdentity.onBehalfOf.userId",
        "invoked": "actor.invoked_by",
        "ip": "src_endpoint.ip src_endpoint.domain",
        "agent": "http_request.user_agent",
        "region": "cloud.region",
        "bucket": _UNMAPPED_NAMES.format("bucketName"),
        "out": _UNMAPPED_NAMES.format("bytesTransferredOut"),
        "resources": "resources",
        "request": "api.request.data",
        "unmapped": "unmapped",
        "error": "api.response.error",
        "status": "status_id",
        "word": "status",
    },
    required_names=("class_uid", "api.operation", "time time_dt"),
    probe_check=lambda seen: (
        not seen.entries or any(str(entry.get("class_uid")) == _CLASS_UID for entry in seen.entries)
    ),
    utc=True,
    derived_columns={
        "bucket": _BUCKET,
        "out": pl.coalesce(
            "out", _unmapped_value("additionalEventData.bytesTransferredOut", "bytesTransferredOut")
        ),
        "person": pl.coalesce("person", _unmapped_value("userIdentity.onBehalfOf.userId")),
    },
    # Other services, and calls that name no bucket (ListBuckets), read no data.
    skip=expressions.is_none_of("class", _CLASS_UID)
    | expressions.is_none_of("service", "s3.amazonaws.com", "s3")
    | _BUCKET.is_null(),
    reject_reason=cloudtrail_s3.anonymous_reason(_PERSON, pl.col("owner")),
    columns={
        "timestamp": expressions.first_set_time("time", "when"),
        "account": _PERSON,
        "client_address": pl.col("ip"),
        "application": pl.col("agent").str.extract(r"^\[?([^/\s\]]+)"),
        "database": pl.col("region"),
        "object": pl.col("bucket"),
        "action": cloudtrail_s3.S3_ACTION,
        "bytes": cloudtrail_s3.BYTES_OUT,
        "success": pl.col("error").is_null()
        & (pl.coalesce("status", pl.lit("1")) != "2")
        & ~expressions.is_one_of("word", "failure", "failed"),
    },
    descriptions={
        "timestamp": "time (milliseconds), else time_dt",
        "account": "the person on whose behalf, else role and session name, else actor.user.name",
        "client_address": "src_endpoint.ip",
        "application": "http_request.user_agent, without its version",
        "database": "cloud.region",
        "object": "the bucket, in unmapped, api.request.data or resources",
        "action": "api.operation; copies are exports",
        "bytes": "additionalEventData.bytesTransferredOut in unmapped, where no error is set",
        "success": "status_id is not 2 (failure), and no api.response.error",
    },
)
SOURCE = PRESET.source()
