"""Each sample is shown to every source: only its own accepts it, whatever it is called.

Samples are found by where they stand: ``tests/data/<source>/``, and those of PostgreSQL, whose two
formats stand in one folder, by their suffix.
"""

import gzip
from pathlib import Path

import pytest

from detector import registry
from detector.core.settings import Settings
from detector.normalize import format_detection
from detector.normalize.source import Sample
from detector.readers.blocks import BOM
from detector.readers.compression import head
from detector.readers.log_input import LocalFile

DATA = Path(__file__).parents[1] / "data"
SOURCES = registry.sources()
NO_LOG = {".md", ".tsv"}
FORMS = {"csv": "postgresql_csvlog", "json": "postgresql_jsonlog"}


def samples():
    found = [
        (name, path)
        for name in SOURCES
        for path in sorted((DATA / name).glob("*"))
        if path.is_file() and path.suffix not in NO_LOG
    ]
    return found + [
        (FORMS[suffix], path)
        for path in sorted((DATA / "postgresql").iterdir())
        for suffix in FORMS
        if f".{suffix}" in path.suffixes
    ]


SAMPLES = samples()


def accepting(path, data=None):
    sample = Sample(LocalFile(path), head(LocalFile(path)) if data is None else data)
    return [
        source.name for source in format_detection.accepting_sources(sample, SOURCES, Settings())
    ]


def test_there_are_samples():
    assert {"mysql_slow_log", "mongodb_log", "postgresql_csvlog"} <= {name for name, _ in SAMPLES}


@pytest.mark.parametrize(("name", "path"), SAMPLES, ids=lambda part: getattr(part, "name", part))
def test_only_the_right_source_accepts_a_sample(name, path):
    assert accepting(path) == [name]


@pytest.mark.parametrize(("name", "path"), SAMPLES, ids=lambda part: getattr(part, "name", part))
def test_neither_a_byte_order_mark_nor_the_name_changes_that(name, path):
    assert accepting(Path("log.txt"), BOM + head(LocalFile(path))) == [name]


@pytest.mark.parametrize(("name", "path"), SAMPLES, ids=lambda part: getattr(part, "name", part))
def test_the_beginning_alone_is_enough(name, path):
    data = head(LocalFile(path))
    lines = data.splitlines(keepends=True)
    if len(lines) > 60:
        assert accepting(path, b"".join(lines[:60])) in ([name], [])
        assert accepting(path, data[: len(data) * 9 // 10]) == [name]


@pytest.mark.parametrize(("name", "path"), SAMPLES, ids=lambda part: getattr(part, "name", part))
def test_a_compressed_sample_is_told_by_its_content(tmp_path, name, path):
    packed = tmp_path / "log"
    packed.write_bytes(gzip.compress(head(LocalFile(path)), mtime=0))
    assert accepting(packed) == [name]
