"""Each sample gives the events that were once looked at, to the last column."""

import polars as pl
import pytest
from golden_events import DATA, GOLDEN, PLANS, SOURCES, golden, read, samples

from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile

SAMPLES = samples()


@pytest.mark.parametrize(("name", "path"), SAMPLES, ids=lambda part: getattr(part, "name", part))
def test_a_sample_is_read_as_it_was(name, path):
    assert read(name, path) == golden(name, path).read_text(encoding="utf-8")


def test_no_golden_file_is_left_without_its_sample():
    assert set(GOLDEN.iterdir()) == {golden(name, path) for name, path in SAMPLES}


@pytest.mark.parametrize("name", PLANS)
def test_jsonlog_gives_what_csvlog_gives(name):
    path = DATA / "postgresql" / f"{name}.json.gz"
    told = read("postgresql_jsonlog", path).splitlines()
    wanted = (
        golden("postgresql_csvlog", path.with_name(f"{name}.csv.gz"))
        .read_text(encoding="utf-8")
        .splitlines()
    )
    assert told[:-1] == wanted[:-1]


IN_ENTRIES = {"mysql_slow_log", "mysql_audit_json", "mongodb_log", "mongodb_profiler"}


@pytest.mark.parametrize("block", [1, 700, 5000])
def test_a_sample_is_read_the_same_in_blocks_of_any_size(monkeypatch, block):
    from detector.readers import json_objects, text_entries

    wanted = {path: rows(name, path) for name, path in SAMPLES if name in IN_ENTRIES}
    monkeypatch.setattr(text_entries, "_BLOCK_BYTES", block)
    monkeypatch.setattr(json_objects, "_BLOCK_BYTES", block)
    for name, path in SAMPLES:
        if name in IN_ENTRIES and path.suffix != ".gz":
            assert rows(name, path) == wanted[path], path.name


def rows(name, path):
    batches = list(SOURCES[name].read(LocalFile(path), Settings(), ReaderState()))
    return sorted(map(str, pl.concat([batch.events for batch in batches]).rows()))
