"""MongoDB's profiler: documents of ``system.profile``, as mongoexport writes them.

https://www.mongodb.com/docs/manual/reference/database-profiler/
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from detector.reading import json_entries, rejects, times
from detector.reading.json_entries import Objects
from detector.reading.mongodb import OPERATIONS, Cursors, cursor, instant, number, with_commands
from detector.reading.source import Batch, Sample, Source, Tail
from detector.schema import REJECTS, empty
from detector.settings import Settings

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
    found = json_entries.first(sample.head)
    return any(set(each) >= _NEEDED for each in found)


def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    del settings, tail  # a document names all but the rest of its cursor
    cursors = Cursors()
    done = 0
    for found in json_entries.objects(path, _SCHEMA):
        done = found.raw_bytes
        yield _batch(found, cursors, path)
    events, skipped = cursors.add(pl.DataFrame(schema=OPERATIONS), last=True)
    yield Batch(events, empty(REJECTS), skipped, done)


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
        pl.when(pl.col("timestamp").is_null()).then(pl.lit(times.UNREADABLE)),
        pl.when(pl.col("timestamp") < times.EARLIEST).then(pl.lit(times.EARLY)),
        pl.when(pl.col("timestamp") > datetime.now(UTC) + times.AHEAD).then(pl.lit(times.LATE)),
        pl.when(pl.col("account").fill_null("") == "").then(pl.lit(_NOBODY)),
    )
    frame = frame.with_columns(reason.alias("reason"))
    bad: list[tuple[int | None, str]] = [*found.rejects]
    bad += frame.filter(pl.col("reason").is_not_null()).select("line", "reason").rows()
    sound = frame.filter(pl.col("reason").is_null())
    events, skipped = cursors.add(_operations(sound))
    return Batch(events, rejects.frame(path, bad), skipped, found.raw_bytes)


def _operations(frame: pl.DataFrame) -> pl.DataFrame:
    hashed = pl.coalesce("queryShapeHash", "planCacheShapeHash", "queryHash")
    frame = with_commands(frame, hashed)
    # What op says of these, the command does not.
    bare = pl.col("op").is_in(["insert", "update", "remove"])
    changed = ("ninserted", "nModified", "ndeleted")
    made = {
        "address": pl.col("client"),
        "application": pl.col("appName"),
        "verb": pl.when(bare).then("op").otherwise(pl.coalesce("verb", "op")),
        "cursor": pl.coalesce("asked", cursor(pl.col("cursorid"))),
        "returned": number(pl.col("nreturned")),
        "written": pl.when(pl.any_horizontal(pl.col(name).is_not_null() for name in changed)).then(
            pl.sum_horizontal(number(pl.col(name)) for name in changed)
        ),
        "bytes": number(pl.col("responseLength")),
        "duration_ms": number(pl.col("millis")),
        "exhausted": pl.col("cursorExhausted") == "true",
        "failed": pl.col("errCode").is_not_null(),
    }
    return frame.select(
        made.get(name, pl.col(name) if name in frame.columns else pl.lit(None))
        .cast(kind).alias(name)
        for name, kind in OPERATIONS.items()
    )  # fmt: skip


def mapping(path: Path, settings: Settings) -> dict[str, str]:
    """Canonical columns and where they come from."""
    del path, settings
    return {
        "timestamp": "ts of the first operation of a cursor",
        "account": "user without its database, else the first of allUsers",
        "client_address": "client",
        "application": "appName",
        "database": "ns",
        "object": "ns, as database.collection",
        "other_objects": "collections that an aggregation joins",
        "action": "the command",
        "rows": "nreturned, all batches of a cursor together",
        "bytes": "responseLength, likewise",
        "duration_ms": "millis, likewise",
        "statement": "the server's hash of the query's shape, else its keys without values",
        "success": "whether there is no errCode",
    }


SOURCE = Source(
    name="mongodb_profiler",
    title="MongoDB profiler, as exported from system.profile",
    accepts=accepts,
    read=read,
    mapping=mapping,
)
