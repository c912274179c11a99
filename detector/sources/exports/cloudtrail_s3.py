"""AWS CloudTrail's data events of S3: who read which bucket, and how many bytes went out.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
and https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html. A log
file is one document with a list of records. Bytes are in additionalEventData.bytesTransferredOut;
where errorCode is set, nothing went out but the error. How many records an object holds is not
told.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_READ_CALLS: Final = ("GetObject", "SelectObjectContent", "GetObjectTorrent")
_COPY_CALLS: Final = ("CopyObject", "UploadPartCopy")
_WRITE_CALLS: Final = r"^(?:Put|Delete|Complete|Create|Upload|Abort|Restore|Rename|Post)"
#: An assumed role is told by its session, which names the person where roles are set up so:
#: arn:aws:sts::111122223333:assumed-role/Clerk/alice.
_ROLE_SESSION: Final = pl.col("arn").str.extract(r":assumed-role/(.+)$")
#: Root is one person's in each AWS account, and so is told with its number.
_ROOT_ACCOUNT: Final = pl.concat_str(
    pl.lit("root"), pl.col("owner"), separator="/", ignore_nulls=True
)
#: Users of Identity Center are told by onBehalfOf, whatever else names them.
_PERSON: Final = pl.coalesce(
    "behalf",
    pl.when(pl.col("kind") == "Root").then(_ROOT_ACCOUNT),
    pl.when(pl.col("kind").is_in(["AssumedRole", "FederatedUser"])).then(
        pl.coalesce(_ROLE_SESSION, pl.col("arn").str.extract(r":federated-user/(.+)$"), "principal")
    ),
    "user",
    "service",
    "principal",
)
#: What names everybody names nobody: the number of an AWS account, callers without a name.
_SHARED_IDENTITY: Final = r"^(?:\d{12}|arn:aws[\w-]*:iam::\d{12}:root)$"
_ANONYMOUS_NAMES: Final = (
    "anonymous",
    "anonymous_principal",
    "hidden_due_to_security_reasons",
    "unknown",
)


def anonymous_reason(person: pl.Expr, owner: pl.Expr) -> pl.Expr:
    """Why an entry is nobody's: who called is the number of an AWS account (whose one is
    ``owner``), or a word for all callers without a name; null where ``person`` is one.
    """
    shared = person.str.contains(_SHARED_IDENTITY) | person.str.to_lowercase().is_in(
        _ANONYMOUS_NAMES
    )
    said = [pl.lit("names no person: "), pl.coalesce(person, owner)]
    return pl.when(shared.fill_null(value=False) | (person.is_null() & owner.is_not_null())).then(
        pl.concat_str(*said, pl.lit(" stands for all who share it"))
    )


#: What a call of S3's API does, by its name in ``event``.
S3_ACTION: Final = (
    pl.when(pl.col("event").is_in(list(_READ_CALLS)))
    .then(pl.lit("read"))
    .when(pl.col("event").is_in(list(_COPY_CALLS)))
    .then(pl.lit("export"))
    .when(pl.col("event").str.contains(_WRITE_CALLS))
    .then(pl.lit("write"))
    .otherwise(pl.lit("other"))
)
#: Bytes in ``out``, where no ``error`` is set; numbers can be written as 4096.0.
BYTES_OUT: Final = pl.when(pl.col("error").is_null()).then(
    pl.col("out").cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
)

PRESET: Final = Preset(
    name="cloudtrail_s3",
    title="AWS CloudTrail S3 data events",
    keys={
        "time": "eventTime",
        "shipped": "@timestamp event_time timestamp",
        "source": "eventSource",
        "event": "eventName",
        "kind": "userIdentity.type",
        "user": "userIdentity.userName",
        "arn": "userIdentity.arn",
        "principal": "userIdentity.principalId",
        "service": "userIdentity.invokedBy",
        "owner": "userIdentity.accountId",
        "behalf": "userIdentity.onBehalfOf.userId",
        "ip": "sourceIPAddress",
        "agent": "userAgent",
        "region": "awsRegion",
        "bucket": "requestParameters.bucketName",
        "out": "additionalEventData.bytesTransferredOut",
        "error": "errorCode",
    },
    required_names=(
        "eventTime @timestamp event_time timestamp",
        "eventSource",
        "eventName",
        "awsRegion",
        "userIdentity.type",
    ),
    utc=True,
    # Other services, and calls that name no bucket (ListBuckets), read no data.
    skip=expressions.is_none_of("source", "s3.amazonaws.com") | pl.col("bucket").is_null(),
    reject_reason=anonymous_reason(_PERSON, pl.col("owner")),
    columns={
        "timestamp": expressions.first_set_time("time", "shipped"),
        "account": _PERSON,
        "client_address": pl.col("ip"),
        "application": pl.col("agent").str.extract(r"^\[?([^/\s\]]+)"),
        "database": pl.col("region"),
        "object": pl.col("bucket"),
        "action": S3_ACTION,
        "bytes": BYTES_OUT,
        "success": pl.col("error").is_null(),
    },
    descriptions={
        "timestamp": "eventTime, else @timestamp where a shipper took it for its own",
        "account": "onBehalfOf.userId, else the user's name; for an assumed role, role and "
        "session name",
        "client_address": "sourceIPAddress",
        "application": "userAgent, without its version",
        "database": "awsRegion",
        "object": "requestParameters.bucketName",
        "action": "eventName; copies are exports",
        "bytes": "additionalEventData.bytesTransferredOut, where no errorCode is set",
        "success": "no errorCode",
    },
)
SOURCE = PRESET.source()
