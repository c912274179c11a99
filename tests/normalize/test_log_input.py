"""A source reads bytes, wherever they are: a file, memory, or a file that lost its name."""

import os
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.format_detection import detect
from detector.normalize.reader_state import ReaderState
from detector.readers.discovery import expand_existing
from detector.readers.log_input import HeldBytes, LocalFile, OpenFile, base_name

DATA = Path(__file__).parents[1] / "data"
TABLE = "timestamp,account,rows\n2024-02-06T10:00:00Z,bob,5\n2024-02-06T10:00:00Z,eve,many\n"


def samples(folder):
    """Logs of every way to read: lines, CSV, entries of several lines, documents, Parquet, gzip."""
    kinds = ("clickhouse", "cloudtrail_s3", "mongodb_log", "mysql_slow_log", "redshift")
    found = [path for kind in kinds for path in sorted((DATA / kind).iterdir())]
    found += sorted((DATA / "postgresql").glob("*.gz"))[:2]
    (folder / "a.csv").write_text(TABLE, encoding="utf-8")
    pl.read_csv(TABLE.encode()).write_parquet(folder / "a.parquet")
    logs = [LocalFile(path) for path in (*found, folder / "a.csv", folder / "a.parquet")]
    return detect(logs, registry.sources(), Settings())[0]


def contents(source, log):
    batches = list(source.read(log, Settings(), ReaderState()))
    assert batches
    events = pl.concat([each.events.cast({pl.Categorical: pl.String}) for each in batches])
    rejects = [row for each in batches for row in each.rejects.rows()]
    return events, rejects, sum(each.skipped for each in batches), batches[-1].bytes_read


def test_a_log_is_the_same_as_a_file_in_memory_and_as_an_open_handle(tmp_path):
    found = samples(tmp_path)
    assert {source.name for _, source in found} >= {"csv", "parquet", "mongodb_log", "redshift"}
    for log, source in found:
        wanted = contents(source, log)
        assert wanted[0].height or wanted[1] or wanted[2]
        handle = os.open(log.local_path, os.O_RDONLY)
        try:
            data = log.local_path.read_bytes()
            for other in (HeldBytes(data, log.name), OpenFile(handle, log.name)):
                assert other.size() == log.size()
                had = contents(source, other)
                assert had[0].equals(wanted[0]), (source.name, other)
                assert had[1:] == wanted[1:]
                assert [each for _, each in detect([other], registry.sources(), Settings())[0]]
        finally:
            os.close(handle)


def test_an_open_file_is_read_from_its_first_byte_whoever_else_reads_and_whatever_its_name(
    tmp_path,
):
    path = tmp_path / "a.log"
    path.write_bytes(b"0123456789")
    handle = os.open(path, os.O_RDONLY)
    os.lseek(handle, 7, os.SEEK_SET)
    path.unlink()
    path.write_bytes(b"another's")
    log = OpenFile(handle, str(path))
    with log.open() as one, log.open() as two:
        assert one.read(4) == b"0123"
        assert two.read() == b"0123456789"
        assert one.read(2) == b"45"
        one.seek(-3, os.SEEK_END)
        assert one.read() == b"789"
        assert one.tell() == 10
    assert os.lseek(handle, 0, os.SEEK_CUR) == 7  # it is open still, and where it was
    os.close(handle)


@pytest.mark.parametrize("data", [b"a,b\n", b"PAR1 and no more"])
def test_what_is_wrong_is_told_by_the_name_of_what_is_in_memory(data):
    log = HeldBytes(data, "the pipe")
    source = registry.sources()["parquet" if data.startswith(b"PAR1") else "csv"]
    with pytest.raises(InputError) as error:
        list(source.read(log, Settings(), ReaderState()))
    assert str(error.value).startswith("the pipe: ")


def test_the_last_part_of_a_name_is_that_of_a_file_and_of_an_object():
    assert base_name(LocalFile(Path("/a/b.csv"))) == "b.csv"
    assert base_name(HeldBytes(b"", "s3://logs/a/b.csv")) == "b.csv"


def test_what_is_in_a_store_is_not_followed_and_that_is_told():
    with pytest.raises(InputError, match="cannot be followed"):
        expand_existing(["s3://logs/a.csv"])
