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

from detector.reading import verbs
from detector.reading.export import Preset

_READS: Final = ("GetObject", "SelectObjectContent", "GetObjectTorrent")
_COPIES: Final = ("CopyObject", "UploadPartCopy")
_WRITES: Final = r"^(?:Put|Delete|Complete|Create|Upload|Abort|Restore|Rename|Post)"
#: An assumed role is told by its session, which names the person where roles are set up so:
#: arn:aws:sts::111122223333:assumed-role/Clerk/alice.
_SESSION: Final = pl.col("arn").str.extract(r":assumed-role/(.+)$")

#: What a call of S3's API does, by its name in ``event``.
ACTION: Final = (
    pl.when(pl.col("event").is_in(list(_READS)))
    .then(pl.lit("read"))
    .when(pl.col("event").is_in(list(_COPIES)))
    .then(pl.lit("export"))
    .when(pl.col("event").str.contains(_WRITES))
    .then(pl.lit("write"))
    .otherwise(pl.lit("other"))
)
#: Bytes in ``out``, where no ``error`` is set; numbers can be written as 4096.0.
BYTES: Final = pl.when(pl.col("error").is_null()).then(
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
        "ip": "sourceIPAddress",
        "agent": "userAgent",
        "region": "awsRegion",
        "bucket": "requestParameters.bucketName",
        "out": "additionalEventData.bytesTransferredOut",
        "error": "errorCode",
    },
    needs=(
        "eventTime @timestamp event_time timestamp",
        "eventSource",
        "eventName",
        "awsRegion",
        "userIdentity.type",
    ),
    utc=True,
    # Other services, and calls that name no bucket (ListBuckets), read no data.
    skip=verbs.none_of("source", "s3.amazonaws.com") | pl.col("bucket").is_null(),
    columns={
        "timestamp": verbs.time("time", "shipped"),
        "account": pl.when(pl.col("kind") == "AssumedRole")
        .then(pl.coalesce(_SESSION, "principal"))
        .otherwise(
            pl.coalesce(
                "user",
                pl.when(pl.col("kind") == "Root").then(pl.lit("root")),
                "service",
                "principal",
                "owner",
            )
        ),
        "client_address": pl.col("ip"),
        "application": pl.col("agent").str.extract(r"^\[?([^/\s\]]+)"),
        "database": pl.col("region"),
        "object": pl.col("bucket"),
        "action": ACTION,
        "bytes": BYTES,
        "success": pl.col("error").is_null(),
    },
    says={
        "timestamp": "eventTime, else @timestamp where a shipper took it for its own",
        "account": "the user's name; for an assumed role, role and session name",
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
