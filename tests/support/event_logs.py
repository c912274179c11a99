"""Small logs for these tests."""

import gzip
import json

import polars as pl
import zstandard

from detector.core import schema
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile

EVENTS = [
    {
        "timestamp": f"2024-02-06T0{i % 10}:00:00Z",
        "account": f"agent{i % 3}",
        "client_address": f"10.0.0.{i}",
        "object": "public.person",
        "action": "read",
        "rows": i,
        "statement": "00ab12cd34ef5678",
        "success": True,
    }
    for i in range(25)
]


def csv_bytes(events=EVENTS, delimiter=","):
    frame = pl.DataFrame(events)
    return frame.write_csv(separator=delimiter).encode()


def ndjson_bytes(events=EVENTS):
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def packed(data, how):
    if how == "gz":
        half = len(data) // 2
        return gzip.compress(data[:half]) + gzip.compress(data[half:])
    return zstandard.compress(data) if how == "zst" else data


def read(source, path, **options):
    """(events with text as String, rejects, skipped) of a whole file."""
    batches = list(source.read(LocalFile(path), Settings(**options), ReaderState()))
    events = [
        batch.events.with_columns(pl.col(pl.Categorical).cast(pl.String)) for batch in batches
    ]
    for frame in events:
        schema.check(frame, schema.EVENTS, source.name)
    for batch in batches:
        schema.check(batch.rejects, schema.REJECTS, source.name)
    empty = [schema.empty(schema.EVENTS)], [schema.empty(schema.REJECTS)]
    return (
        pl.concat(empty[0] + events),
        pl.concat(empty[1] + [batch.rejects for batch in batches]),
        sum(batch.skipped for batch in batches),
    )


def reasons(rejects):
    return list(rejects.select("line", "reason").iter_rows())
