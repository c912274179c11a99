"""MongoDB's profiler: documents of ``system.profile``, as mongoexport writes them.

https://www.mongodb.com/docs/manual/reference/database-profiler/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from detector.core.schema import REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import rejects, timestamps
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Sample, Source, empty_batch
from detector.readers import json_objects
from detector.readers.json_objects import ObjectBatch
from detector.readers.log_input import LogInput
from detector.sources.mongodb import operations
from detector.sources.mongodb.operations import OPERATIONS, Cursors, parse_instant, parse_number

_SCHEMA: Final = dict.fromkeys(
    (
        *("op", "ns", "cursorid", "cursorExhausted", "nreturned"),
        *("responseLength", "millis", "ts", "client", "appName", "user", "allUsers", "errCode"),
        *(
            "queryHash",
            "planCacheShapeHash",
            "queryShapeHash",
            "ninserted",
            "nModified",
            "ndeleted",
        ),
    ),
    pl.String(),
)
_FOREIGN_REASON: Final = "is no document of system.profile"
_NO_USER_REASON: Final = "names no user"
_REQUIRED_KEYS: Final = {"op", "ns", "ts", "millis"}


def accepts(sample: Sample, settings: Settings) -> bool:
    """Whether the first objects are documents of the profiler."""
    del settings
    found = json_objects.first_objects(sample.head)
    return any(set(each) >= _REQUIRED_KEYS for each in found)


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    del settings, tail  # a document names all but the rest of its cursor
    cursors = Cursors()
    done = 0
    for found in json_objects.read_objects(log, _SCHEMA):
        done = found.raw_bytes
        yield _batch(found, cursors, log)
    events, skipped = cursors.add(pl.DataFrame(schema=OPERATIONS), last=True)
    yield Batch(events, empty(REJECTS), skipped, done)


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    del settings
    cursors = Cursors.decode(tail.pending)
    for found in json_objects.read_objects(log, _SCHEMA):
        yield _batch(found, cursors, log)
    yield empty_batch(ReaderState(pending=cursors.encode()))


def close(settings: Settings, tail: ReaderState) -> Batch:
    """Cursors that were open when a file ended."""
    del settings
    cursors = Cursors.decode(tail.pending)
    events, skipped = cursors.add(pl.DataFrame(schema=OPERATIONS), last=True)
    return Batch(events, empty(REJECTS), skipped)


def _batch(found: ObjectBatch, cursors: Cursors, log: LogInput) -> Batch:
    first = pl.col("allUsers").str.extract(r'"user":\s*"((?:[^"\\]|\\.)*)"')
    owner = pl.col("user").str.replace(r"@[^@]*$", "")
    frame = found.frame.with_columns(
        parse_instant(pl.col("ts")).alias("timestamp"),
        pl.coalesce(pl.when(owner != "").then(owner), first).alias("account"),
    )
    reason = pl.coalesce(
        pl.when(pl.any_horizontal(pl.col(name).is_null() for name in ("op", "ns", "ts"))).then(
            pl.lit(_FOREIGN_REASON)
        ),
        pl.when(pl.col("timestamp").is_null()).then(pl.lit(timestamps.UNREADABLE_REASON)),
        timestamps.range_reason(),
        pl.when(pl.col("account").fill_null("") == "").then(pl.lit(_NO_USER_REASON)),
    )
    frame = frame.with_columns(reason.alias("reason"))
    bad: list[tuple[int | None, str]] = [*found.rejects]
    bad += frame.select("line", "reason").filter(pl.col("reason").is_not_null()).rows()
    sound = frame.filter(pl.col("reason").is_null())
    events, skipped = cursors.add(_to_operations(sound))
    return Batch(events, rejects.frame(log.name, bad), skipped, found.raw_bytes)


def _to_operations(frame: pl.DataFrame) -> pl.DataFrame:
    # What op says of these, the command does not.
    bare = pl.col("op").is_in(["insert", "update", "remove"])
    made = {
        "address": pl.col("client"),
        "verb": pl.when(bare).then("op").otherwise(pl.coalesce("verb", "op")),
        "bytes": parse_number(pl.col("responseLength")),
        "duration_ms": parse_number(pl.col("millis")),
    }
    return operations.operations(frame, made)


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:
    """Canonical columns and where they come from."""
    del log, settings
    return operations.column_origins(
        attributes="",
        size="responseLength",
        millis="millis",
        timestamp="ts of the first operation of a cursor",
        account="user without its database, else the first of allUsers",
        client_address="client",
    )


SOURCE = Source(
    name="mongodb_profiler",
    title="MongoDB profiler, as exported from system.profile",
    accepts=accepts,
    read=read,
    mapping=mapping,
    follow_reader=FollowReader(json_objects.complete_length, follow, close),
)
