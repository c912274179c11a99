"""Contracts of every log format: whatever stands in detector/sources is held to them."""

import io
import json
from pathlib import Path

import polars as pl
import pytest
from event_logs import EVENTS, csv_bytes, ndjson_bytes, read
from export_logs import PRESETS, ndjson, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from detector import registry
from detector.core import schema
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize import format_detection
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Sample
from detector.readers.compression import chunks
from detector.readers.log_input import HeldBytes, LocalFile

SOURCES = registry.sources()
DATA = Path(__file__).parent.parent / "data"


def parquet_bytes():
    buffer = io.BytesIO()
    pl.DataFrame(EVENTS).write_parquet(buffer)
    return buffer.getvalue()


def csvlog_bytes():
    cells = ['"alice"', '"hr"', "42", '"10.1.2.3:5000"', "65c0aa01.2a", "1", '"SELECT"']
    cells += ["2024-02-06 10:00:00 UTC", "3/7", "0", "LOG", "00000"]
    cells += ['"AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.person,""select 1"",<none>,12"']
    cells += ["", "", "", "", "", "", "", "", "", '"psql"', '"client backend"', "", "0"]
    return ("2024-02-06 10:00:00.123 UTC," + ",".join(cells) + "\n").encode()


def jsonlog_bytes():
    entry = {
        "timestamp": "2024-02-06 10:00:00.123 UTC",
        "user": "alice",
        "dbname": "hr",
        "pid": 42,
        "remote_host": "10.1.2.3",
        "session_id": "65c0aa01.2a",
        "line_num": 1,
        "ps": "SELECT",
        "error_severity": "LOG",
        "message": "AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.person,select 1,<none>,12",
        "application_name": "psql",
        "backend_type": "client backend",
    }
    return json.dumps(entry).encode() + b"\n"


def located():
    """Samples by where they stand: ``tests/data/<source>/``, the first of each."""
    found = {}
    for name in SOURCES:
        paths = [path for path in sorted((DATA / name).glob("*.*")) if path.suffix != ".md"]
        if paths:
            found[key(name)] = b"".join(data for data, _ in chunks(LocalFile(paths[0])))
    return found


def key(name):
    return name.replace("_", "-")


#: A sample of each format, by the name of the source that alone must accept it.
SAMPLES = {
    "parquet": parquet_bytes(),
    "csv": csv_bytes(),
    "ndjson": ndjson_bytes(),
    "postgresql-csvlog": csvlog_bytes(),
    "postgresql-jsonlog": jsonlog_bytes(),
    **{name.replace("_", "-"): ndjson(plain(name)) for name in PRESETS},
    **located(),
}
#: What no source may accept.
FOREIGN = {
    "empty": b"",
    "words": b"Feb  6 10:00:00 host sshd[1]: Accepted password for bob\n",
    "table without events": b"a,b,c\n1,2,3\n",
    "objects without events": b'{"a": 1}\n',
    "one document": b'[{"timestamp": "2024-02-06T10:00:00Z", "account": "bob"}]',
    "page": b"<html><body>timestamp,account</body></html>",
    "program": b"\x7fELF\x02\x01\x01\0\0\0",
    "zip": b"PK\x03\x04 a.csv",
    "noise": bytes(range(256)) * 4,
}


def accepting(data):
    sample = Sample(HeldBytes(data), data[: 1 << 16])
    return [
        source.name for source in format_detection.accepting_sources(sample, SOURCES, Settings())
    ]


def test_every_source_has_a_sample_here():
    assert {key(name) for name in SOURCES} == set(SAMPLES)


@pytest.mark.parametrize("name", SOURCES)
def test_exactly_one_source_accepts_each_sample(name):
    assert accepting(SAMPLES[key(name)]) == [name]


@pytest.mark.parametrize("name", FOREIGN)
def test_no_source_accepts_what_is_no_log(name):
    assert accepting(FOREIGN[name]) == []


@settings(max_examples=examples(100))
@given(st.binary(max_size=300))
def test_recognising_never_fails(data):
    assert len(accepting(data)) <= 1


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_reads_its_sample_into_the_schema(tmp_path, name):
    path = tmp_path / "log"
    path.write_bytes(SAMPLES[key(name)])
    events, rejects, _ = read(SOURCES[name], path)  # checks the schemas of all batches
    assert len(events) > 0
    assert len(rejects) == (key(name) == "mongodb-log")  # one connection began before the log
    assert events["account"].null_count() == 0
    assert events["timestamp"].null_count() == 0
    assert set(events["action"]) <= set(schema.ACTIONS)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_counts_the_bytes_it_read(tmp_path, name):
    path = tmp_path / "log"
    path.write_bytes(SAMPLES[key(name)])
    *_, last = SOURCES[name].read(LocalFile(path), Settings(), ReaderState())
    assert last.bytes_read == path.stat().st_size


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_tells_people_its_mapping(tmp_path, name):
    path = tmp_path / "log"
    path.write_bytes(SAMPLES[key(name)])
    mapping = SOURCES[name].mapping(LocalFile(path), Settings())
    assert {"timestamp", "account"} <= set(mapping) <= set(schema.EVENTS)
    assert all(mapping.values())
    assert SOURCES[name].title


@pytest.mark.parametrize("name", SOURCES)
def test_a_missing_file_is_one_clear_line(tmp_path, name):
    with pytest.raises(InputError, match="no such file"):
        read(SOURCES[name], tmp_path / "none")


@pytest.mark.parametrize("name", SOURCES)
@settings(deadline=None, max_examples=examples(30))
@given(data=st.binary(max_size=300), prefix=st.booleans())
def test_no_source_raises_anything_but_an_input_error(tmp_path_factory, name, data, prefix):
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes((SAMPLES[key(name)] if prefix else b"") + data)
    try:
        read(SOURCES[name], path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - an error is one of two good ends
