"""Samples of the presets in tests/data, and the forms an export can have."""

import csv
import gzip
import io
import json
from pathlib import Path

import polars as pl

from detector import registry
from detector.sources.exports.preset import Preset

DATA = Path(__file__).parents[1] / "data"
SOURCES = registry.sources()
#: Sources whose reading is a preset's.
PRESETS = [
    name
    for name, source in SOURCES.items()
    if isinstance(getattr(source.read, "__self__", None), Preset)
]
SAMPLES = [
    (name, path.name)
    for name in PRESETS
    for path in sorted((DATA / name).iterdir())
    if path.suffix in {".csv", ".json", ".ndjson"}
]


def sample(name, file):
    return (DATA / name / file).read_bytes()


def entries(name):
    """The objects of a source's first sample with one a line."""
    path = min((DATA / name).glob("*.ndjson"))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def plain(name):
    """The entries of a source's first JSON sample, without a list around them."""
    found = entries(name)
    wrapper = "databaseActivityEventList"
    return [each for entry in found for each in entry.get(wrapper, [entry])]


def ndjson(found):
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in found)


def as_csv(found):
    buffer = io.StringIO()
    keys = list(dict.fromkeys(key for entry in found for key in entry))
    writer = csv.DictWriter(buffer, keys, lineterminator="\n")
    writer.writeheader()
    for entry in found:
        writer.writerow({key: _cell(value) for key, value in entry.items()})
    return buffer.getvalue().encode()


def _cell(value):
    return json.dumps(value) if isinstance(value, list | dict) else value


def as_parquet(found):
    buffer = io.BytesIO()
    pl.DataFrame(found, infer_schema_length=None, strict=False).write_parquet(buffer)
    return buffer.getvalue()


FORMS = {
    "lines": ndjson,
    "lines in gzip": lambda found: gzip.compress(ndjson(found)),
    "array on one line": lambda found: json.dumps(found).encode(),
    "compact array": lambda found: json.dumps(found, separators=(",", ":")).encode(),
    "pretty array": lambda found: json.dumps(found, indent=2).encode(),
    "array with an entry a line": lambda found: (
        b"[\n" + b",\n".join(json.dumps(entry).encode() for entry in found) + b"\n]\n"
    ),
    "records": lambda found: json.dumps({"Records": found}).encode(),
    "pretty records": lambda found: json.dumps({"Records": found}, indent=1).encode(),
}
