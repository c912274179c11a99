"""MongoDB's profiler: documents of ``system.profile``, as mongoexport writes them.

https://www.mongodb.com/docs/manual/reference/database-profiler/
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from detector.core.schema import REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import rejects, timestamps
from detector.normalize.source import HELD, Batch, Growing, Sample, Source, Tail, nothing
from detector.readers import json_objects
from detector.readers.json_objects import Objects
from detector.sources.mongodb import operations
from detector.sources.mongodb.operations import OPERATIONS, Cursors, instant, number

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
_FOREIGN: Final = "is no document of system.profile"
_NOBODY: Final = "names no user"
_NEEDED: Final = {"op", "ns", "ts", "millis"}


def accepts(sample: Sample, settings: Settings) -> bool:
    """Whether the first objects are documents of the profiler."""
    del settings
    found = json_objects.first(sample.head)
    return any(set(each) >= _NEEDED for each in found)


def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    del settings, tail  # a document names all but the rest of its cursor
    cursors = Cursors()
    done = 0
    for found in json_objects.objects(path, _SCHEMA):
        done = found.raw_bytes
        yield _batch(found, cursors, path)
    events, skipped = cursors.add(pl.DataFrame(schema=OPERATIONS), last=True)
    yield Batch(events, empty(REJECTS), skipped, done)


def follow(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    del settings
    cursors = Cursors.of(tail.get(HELD, ""))
    for found in json_objects.objects(path, _SCHEMA):
        yield _batch(found, cursors, path)
    yield nothing({HELD: cursors.kept()})


def close(settings: Settings, tail: Tail) -> Batch:
    """Cursors that were open when a file ended."""
    del settings
    cursors = Cursors.of(tail.get(HELD, ""))
    events, skipped = cursors.add(pl.DataFrame(schema=OPERATIONS), last=True)
    return Batch(events, empty(REJECTS), skipped)


def _batch(found: Objects, cursors: Cursors, path: Path) -> Batch:
    first = pl.col("allUsers").str.extract(r'"user":\s*"((?:[^"\\]|\\.)*)"')
    owner = pl.col("user").str.replace(r"@[^@]*$", "")
    frame = found.frame.with_columns(
        instant(pl.col("ts")).alias("timestamp"),
        pl.coalesce(pl.when(owner != "").then(owner), first).alias("account"),
    )
    reason = pl.coalesce(
        pl.when(pl.any_horizontal(pl.col(name).is_null() for name in ("op", "ns", "ts"))).then(
            pl.lit(_FOREIGN)
        ),
        pl.when(pl.col("timestamp").is_null()).then(pl.lit(timestamps.UNREADABLE)),
        pl.when(pl.col("timestamp") < timestamps.EARLIEST).then(pl.lit(timestamps.EARLY)),
        pl.when(pl.col("timestamp") > datetime.now(UTC) + timestamps.AHEAD).then(
            pl.lit(timestamps.LATE)
        ),
        pl.when(pl.col("account").fill_null("") == "").then(pl.lit(_NOBODY)),
    )
    frame = frame.with_columns(reason.alias("reason"))
    bad: list[tuple[int | None, str]] = [*found.rejects]
    bad += frame.select("line", "reason").filter(pl.col("reason").is_not_null()).rows()
    sound = frame.filter(pl.col("reason").is_null())
    events, skipped = cursors.add(_operations(sound))
    return Batch(events, rejects.frame(path, bad), skipped, found.raw_bytes)


def _operations(frame: pl.DataFrame) -> pl.DataFrame:
    # What op says of these, the command does not.
    bare = pl.col("op").is_in(["insert", "update", "remove"])
    made = {
        "address": pl.col("client"),
        "verb": pl.when(bare).then("op").otherwise(pl.coalesce("verb", "op")),
        "bytes": number(pl.col("responseLength")),
        "duration_ms": number(pl.col("millis")),
    }
    return operations.operations(frame, made)


def mapping(path: Path, settings: Settings) -> dict[str, str]:
    """Canonical columns and where they come from."""
    del path, settings
    return operations.mapping(
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
    growing=Growing(json_objects.whole, follow, close),
)
