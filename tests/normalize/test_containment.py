"""No value of a log ends a run: what raises becomes a reject, and all others are read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.core.errors import InputError
from detector.core.schema import EVENTS
from detector.core.settings import Settings
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.normalize import containment, rejects
from detector.normalize.log_report import build_report
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Source
from detector.readers import compression
from detector.readers.blocks import last_line_end
from detector.readers.log_input import LocalFile, LogInput

SETTINGS = Settings()
EVENT = {"timestamp": "2024-02-06T08:00:00Z", "account": "ann", "rows": 1}


def numbered(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """One event a line. ``boom`` raises, and what the tail counts is where the piece before was."""
    del settings
    lines = b"".join(data for data, _ in compression.chunks(log)).splitlines()
    at = int(tail.pending or "0")
    if any(b"boom" in line for line in lines):
        raise ZeroDivisionError("boom")
    if any(b"memory" in line for line in lines):
        raise MemoryError
    when = pl.datetime(2024, 2, 6, 8, time_zone="UTC")
    made = {"timestamp": when, "account": pl.lit("ann"), "rows": pl.int_range(at, at + len(lines))}
    events = pl.DataFrame({"n": range(len(lines))}).select(
        made.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in EVENTS.items()
    )
    odd = [(at, "odd") for at, line in enumerate(lines, 1) if line == b"odd"]
    yield Batch(
        events, rejects.frame(log.name, odd), tail=ReaderState(pending=str(at + len(lines)))
    )


SOURCE = Source(
    "numbered",
    "one event a line",
    lambda *_: True,
    numbered,
    lambda *_: {},
    follow_reader=FollowReader(last_line_end, numbered),
)


def read(path: Path, source: Source = SOURCE) -> tuple[list[int], list[tuple[int, str]]]:
    """(the rows of its events, line and reason of its rejects)."""
    found = containment.read_contained(source, LocalFile(path), SETTINGS, ReaderState(), list)
    rows = [row for batch in found for row in batch.events["rows"]]
    return rows, [each for batch in found for each in batch.rejects.select("line", "reason").rows()]


def test_an_entry_that_raises_is_a_reject_and_its_neighbours_are_events(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("x\nodd\nboom\nx\nx\nboom\nodd\nx\n", encoding="utf-8")
    rows, bad = read(path)
    assert rows == [0, 1, 2, 3, 4, 5]  # the tail of each part reaches the next
    raised = "holds a value that cannot be read (ZeroDivisionError)"
    assert bad == [(2, "odd"), (3, raised), (6, raised), (7, "odd")]


def test_a_log_of_entries_that_raise_is_rejected_whole_and_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(containment, "_MAX_TRIES", 50)
    path = tmp_path / "a.log"
    path.write_text("x\n" + "boom\n" * 5_000 + "x", encoding="utf-8")
    began = time.process_time()
    rows, bad = read(path)
    assert len(rows) + len(bad) == 5_002
    assert [line for line, _ in bad] == sorted({line for line, _ in bad})
    assert {reason for _, reason in bad} == {containment._TOO_MANY_REASON} | {
        containment.failure_reason(ZeroDivisionError())
    }
    assert time.process_time() - began < 20


def test_rows_that_raise_are_found_by_halves():
    lost: list[tuple[int, str]] = []

    def take(first: int, count: int) -> list[int]:
        if set(range(first, first + count)) & {3, 7}:
            raise OverflowError
        return list(range(first, first + count))

    found = containment.map_rows(9, take, lambda row, why: lost.append((row, why)))
    assert [row for part in found for row in part] == [0, 1, 2, 4, 5, 6, 8]
    assert lost == [(row, containment.failure_reason(OverflowError())) for row in (3, 7)]


def test_a_full_memory_is_no_fault_of_the_log(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("x\nmemory\n", encoding="utf-8")
    with pytest.raises(MemoryError):
        read(path)


def test_a_format_that_cannot_be_parted_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("boom\n", encoding="utf-8")
    alone = Source("alone", "", lambda *_: True, numbered, lambda *_: {})
    with pytest.raises(InputError, match="ZeroDivisionError"):
        read(path, alone)


def test_ledger_and_survey_count_what_was_read_once(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("x\n" * 10 + "boom\n" + "x\n" * 10, encoding="utf-8")
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    done = ingest([(LocalFile(path), SOURCE)], ledger, SETTINGS, lambda *_: None)
    assert (done.events, done.rejects) == (20, 1)
    assert ledger.hours()["statements"].sum() == 20
    told = build_report([(LocalFile(path), SOURCE)], SETTINGS)
    assert (told.events, sum(count for count, _ in told.rejects.values())) == (20, 1)


YEARS = ["0000-01-01 00:00:00", "0000-12-31T23:59:59Z", "9999-12-31 23:59:59", "1e300", "-1"]


@pytest.mark.parametrize("year", [*YEARS, "99999999999999999999", "20000-01-01 00:00:00"])
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_year_that_python_does_not_know_is_a_reject(tmp_path, form, year):
    rows = [("2024-02-06 08:00:00", "ann"), (year, "eve"), ("2024-02-06 09:00:00", "bob")]
    if form == "csv":
        text = "timestamp,account\n" + "".join(f"{when},{who}\n" for when, who in rows)
    else:
        text = "".join(f'{{"timestamp":"{when}","account":"{who}"}}\n' for when, who in rows)
    path = tmp_path / f"a.{form}"
    path.write_text(text, encoding="utf-8")
    batches = list(registry.sources()[form].read(LocalFile(path), SETTINGS, ReaderState()))
    assert sorted(who for batch in batches for who in batch.events["account"]) == ["ann", "bob"]
    assert sum(batch.rejects.height for batch in batches) == 1


def test_a_parquet_file_with_extreme_values_gives_rejects(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame(
        {
            "timestamp": [-(2**63) + 1, 2**63 - 1, 1_707_206_400_000_000, 1_707_206_400_000_001],
            "account": ["a", "b", "c", "d"],
            "rows": [-1, 2**63 - 1, 3, 2**62],
        }
    )
    frame.with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC"))).write_parquet(path)
    batches = list(registry.sources()["parquet"].read(LocalFile(path), SETTINGS, ReaderState()))
    assert [who for batch in batches for who in batch.events["account"]] == ["c"]
    assert sum(batch.rejects.height for batch in batches) == 3


def test_parquet_with_a_name_twice_is_refused_by_name(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    columns = [pa.array(["2024-02-06T08:00:00Z"]), pa.array(["ann"]), pa.array(["eve"])]
    pq.write_table(pa.Table.from_arrays(columns, ["timestamp", "account", "account"]), path)
    with pytest.raises(InputError, match="several columns named 'account'"):
        list(registry.sources()["parquet"].read(LocalFile(path), SETTINGS, ReaderState()))


PLAN = (
    "2024-02-06 08:00:00.000 UTC,eve,hr,1,10.0.0.1:5,6b.1,1,SELECT,2024-02-06 08:00:00 UTC,3/1,0"
    ',LOG,00000,"duration: 1.5 ms  plan:\n{\n  ""Query Text"": ""TEXT"",\n  ""Plan"": {\n'
    '    ""Node Type"": ""Result"",\n    ""Actual Rows"": ROWS,\n    ""Actual Loops"": 1\n  }\n}"'
    ",,,,,,,,,psql,client backend,,0\n"
)
HEAD = "# User@Host: eve[eve] @  [10.0.0.9]\n# Query_time: 0.1  Lock_time: 0.0 Rows_sent: 1  "
HEAD += "Rows_examined: 1\n"


@pytest.mark.parametrize(
    ("text", "rows"), [("a", "1.2.3"), ("a", "."), ("a\tb", "1"), ("a\nb", "1"), (r"\xb", "1")]
)
def test_a_forged_plan_is_a_reject(tmp_path, text, rows):
    path = tmp_path / "a.csv"
    honest = PLAN.replace("TEXT", "select * from person").replace("ROWS", "7")
    path.write_text(
        honest + PLAN.replace("TEXT", text).replace("ROWS", rows) + honest, encoding="utf-8"
    )
    batches = list(
        registry.sources()["postgresql_csvlog"].read(LocalFile(path), SETTINGS, ReaderState())
    )
    assert [row for batch in batches for row in batch.events["rows"]] == [7, 7]
    assert sum(batch.rejects.height for batch in batches) == 1


@pytest.mark.parametrize("stamp", ["99999999999999", "999999999999", "0", "253402300800"])
def test_a_timestamp_that_a_session_sets_does_not_end_the_slow_log(tmp_path, stamp):
    path = tmp_path / "slow.log"
    honest = f"# Time: 240206 08:00:00\n{HEAD}SET timestamp=1707206400;\nselect * from hr.person;\n"
    path.write_text(
        honest + f"{HEAD}SET timestamp={stamp};\nselect 1;\n" + honest, encoding="utf-8"
    )
    batches = list(
        registry.sources()["mysql_slow_log"].read(LocalFile(path), SETTINGS, ReaderState())
    )
    assert sum(batch.events.height + batch.rejects.height for batch in batches) == 3
    assert sum(batch.rejects.height for batch in batches) == 1
