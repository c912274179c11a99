import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import date
from pathlib import Path

import pytest
from ledger_samples import events, source, write_log
from polars.testing import assert_frame_equal
from shared import no_space_beyond

from detector.core.errors import InputError, LedgerError
from detector.core.settings import Settings
from detector.ledger import ingest as ingesting
from detector.ledger import input_writer, manifest, partition_writer
from detector.ledger.aggregate import HOUR_KEYS, TOUCHED_KEYS, hourly_sums, touched_values
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.readers import compression
from detector.readers.log_input import LocalFile

LOG = [
    {"at": 0, "account": "ann", "rows": 5, "database": "hr", "object": "p", "other_objects": ["q"]},
    {"at": 1, "account": "bob", "rows": None, "database": "hr"},
    {"at": 30, "account": "ann", "rows": 7, "client_address": "10.0.0.1"},
    {"at": 2, "account": "ann", "rows": 1, "database": "crm"},
]


@pytest.fixture(params=[16, manifest.HEAD_BYTES], autouse=True)
def heads(request, monkeypatch):
    """Logs as short as these are hashed while they are read, if so little tells them apart."""
    monkeypatch.setattr(manifest, "HEAD_BYTES", request.param)


def silent(_done: int, _words: str) -> None:
    """Progress that no one looks at."""


def take(
    folder: Path, *files: Path, settings: Settings | None = None, **how
) -> ingesting.IngestResult:
    settings = settings or Settings()
    ledger = Ledger.open(folder, settings.timezone)
    return ingest([(LocalFile(path), source(**how)) for path in files], ledger, settings, silent)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_holds(folder: Path, *rows: dict, zone: str = "UTC") -> None:
    ledger = Ledger.open(folder, zone, create=False)
    log = events(*rows)
    assert_frame_equal(ledger.hours(), hourly_sums(log).sort(HOUR_KEYS))
    assert_frame_equal(ledger.touched(), touched_values(log, zone).sort(TOUCHED_KEYS))


@pytest.mark.parametrize("size", [1, 2, 10])
@pytest.mark.parametrize("limit", [0, 3, 1000])
def test_a_log_becomes_its_fold_however_it_is_cut_and_spilled(tmp_path, size, limit, monkeypatch):
    monkeypatch.setattr(
        input_writer,
        "PartitionWriter",
        lambda *a: partition_writer.PartitionWriter(*a, limit=limit),
    )
    log = write_log(tmp_path / "a.log", *LOG)
    report = take(tmp_path / "ledger", log, size=size).files[0]
    assert (report.state, report.events, report.rejects) == ("new", 4, 0)
    assert report.days == (date(2024, 2, 6), date(2024, 2, 7))
    assert_holds(tmp_path / "ledger", *LOG)
    assert len(list((tmp_path / "ledger" / "hours").rglob("*.parquet"))) == 2


def test_the_same_content_twice_or_under_another_name_or_compressed_changes_nothing(tmp_path):
    log = write_log(tmp_path / "a.log", *LOG)
    first = take(tmp_path / "ledger", log)
    before = files_of(tmp_path / "ledger")
    other = tmp_path / "b.log"
    other.write_bytes(log.read_bytes())
    packed = tmp_path / "c.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    again = take(tmp_path / "ledger", log, other, packed)
    assert [file.state for file in again.files] == ["known"] * 3
    assert again.part_ids == first.part_ids
    assert again.days == first.days
    assert files_of(tmp_path / "ledger") == before


def test_twice_the_same_file_in_one_run_counts_once(tmp_path):
    log = write_log(tmp_path / "a.log", *LOG)
    done = take(tmp_path / "ledger", log, log)
    assert [file.state for file in done.files] == ["new", "known"]
    assert_holds(tmp_path / "ledger", *LOG)


def test_a_grown_log_takes_the_place_of_what_it_was(tmp_path):
    log = write_log(tmp_path / "a.log", *LOG[:2])
    old = take(tmp_path / "ledger", log).part_ids
    write_log(log, *LOG[:3])
    take(tmp_path / "ledger", log)
    write_log(log, *LOG)
    done = take(tmp_path / "ledger", log)
    assert [file.state for file in done.files] == ["grown"]
    assert_holds(tmp_path / "ledger", *LOG)
    parts = Ledger.open(tmp_path / "ledger", "UTC").parts()
    assert [part.events for part in parts] == [4]
    assert old[0] in parts[0].replaced_ids
    assert not [name for name in files_of(tmp_path / "ledger") if old[0][:32] in name]


def test_a_new_log_is_read_while_it_is_hashed_and_what_it_grows_by_meanwhile_is_not_lost(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(manifest, "HEAD_BYTES", 16)
    log = write_log(tmp_path / "a.log", *LOG[:2])
    grown = write_log(tmp_path / "grown.log", *LOG).read_bytes()
    read = threading.Event()

    def slow_identity(*arguments):
        assert read.wait(60), "nothing was read before the hash was there"
        log.write_bytes(grown)
        return compression.content_identity(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(ingesting, "content_identity", slow_identity)
        assert take(tmp_path / "ledger", log, pause=read.set).files[0].events == 2
    assert take(tmp_path / "ledger", log).files[0].state == "grown"
    assert_holds(tmp_path / "ledger", *LOG)


def test_parts_of_an_older_detector_are_known_and_outgrown(tmp_path):
    short, other = (write_log(tmp_path / name, *LOG[:2]) for name in ("a.log", "b.log"))
    take(tmp_path / "ledger", short)
    for path in (tmp_path / "ledger" / "parts").iterdir():
        old = json.loads(path.read_text(encoding="utf-8"))
        del old["head"]
        path.write_text(json.dumps(old), encoding="utf-8")
    assert take(tmp_path / "ledger", other).files[0].state == "known"
    assert take(tmp_path / "ledger", write_log(other, *LOG)).files[0].state == "grown"
    assert_holds(tmp_path / "ledger", *LOG)


def test_an_older_shorter_copy_of_a_grown_log_is_known(tmp_path):
    short = write_log(tmp_path / "old.log", *LOG[:2])
    grown = write_log(tmp_path / "a.log", *LOG)
    take(tmp_path / "ledger", short, grown)
    done = take(tmp_path / "ledger", short)
    assert [file.state for file in done.files] == ["known"]
    assert done.files[0].part_id == Ledger.open(tmp_path / "ledger", "UTC").parts()[0].id
    assert_holds(tmp_path / "ledger", *LOG)


def test_an_unfinished_last_line_is_counted_once_it_is_whole(tmp_path):
    log = write_log(tmp_path / "a.log", *LOG)
    whole = log.read_bytes()
    log.write_bytes(whole[:-7])
    assert take(tmp_path / "ledger", log).files[0].events == 3
    log.write_bytes(whole)
    assert take(tmp_path / "ledger", log).files[0].state == "grown"
    assert_holds(tmp_path / "ledger", *LOG)


def test_logs_of_several_days_add_up_in_any_order(tmp_path):
    logs = [write_log(tmp_path / f"{number}.log", line) for number, line in enumerate(LOG)]
    take(tmp_path / "one", *logs)
    for log in reversed(logs):
        take(tmp_path / "other", log)
    assert_holds(tmp_path / "one", *LOG)
    assert_holds(tmp_path / "other", *LOG)


def test_other_columns_settings_read_the_log_again(tmp_path):
    log = write_log(tmp_path / "a.log", *LOG)
    take(tmp_path / "ledger", log)
    before = Ledger.open(tmp_path / "ledger", "UTC").parts()[0]
    done = take(tmp_path / "ledger", log, settings=Settings(columns={"account": "user"}))
    after = Ledger.open(tmp_path / "ledger", "UTC").parts()
    assert done.files[0].state == "new"
    assert [part.id for part in after] == [before.id]
    assert after[0].settings_fingerprint != before.settings_fingerprint
    assert_holds(tmp_path / "ledger", *LOG)
    assert len(list((tmp_path / "ledger" / "touched").rglob("*.parquet"))) == 2


def test_rejects_are_kept_and_counted(tmp_path):
    log = write_log(tmp_path / "a.log", "what", LOG[0], LOG[1], LOG[2], "\x1b[2J")
    done = take(tmp_path / "ledger", log)
    assert (done.files[0].events, done.files[0].rejects, done.files[0].skipped) == (3, 2, 3)
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    assert ledger.rejects(done.part_ids).collect().rows() == [
        ("a.log", 1, "no JSON"),
        ("a.log", 5, "no JSON"),
    ]
    assert ledger.rejects([]).collect().is_empty()


def test_a_log_without_events_is_a_part_and_known_the_next_time(tmp_path):
    log = write_log(tmp_path / "a.log", "nothing")
    empty = write_log(tmp_path / "empty.log")
    assert [file.state for file in take(tmp_path / "ledger", log, empty).files] == ["new", "new"]
    assert [file.state for file in take(tmp_path / "ledger", log, empty).files] == ["known"] * 2
    write_log(empty, LOG[0])
    assert [file.state for file in take(tmp_path / "ledger", empty).files] == ["new"]
    assert_holds(tmp_path / "ledger", LOG[0])


def test_what_a_log_leaves_open_is_handed_to_the_next_of_the_same_format(tmp_path):
    seen: list = []
    logs = [write_log(tmp_path / f"{number}.log", LOG[number]) for number in (0, 1, 2)]
    take(tmp_path / "ledger", logs[0], seen=seen)
    take(tmp_path / "ledger", logs[1], name="other", seen=seen)
    take(tmp_path / "ledger", logs[2], seen=seen)
    last = write_log(tmp_path / "9.log", LOG[3])
    take(tmp_path / "ledger", last, seen=seen)
    assert seen == [
        {},
        {},
        {"last": "0.log", "0.log": "open"},
        {"last": "2.log", "0.log": "open", "2.log": "open"},
    ]


def test_a_grown_log_is_not_handed_its_own_tail(tmp_path):
    seen: list = []
    log = write_log(tmp_path / "a.log", LOG[0])
    take(tmp_path / "ledger", log, seen=seen)
    write_log(log, LOG[0], LOG[1])
    take(tmp_path / "ledger", log, seen=seen)
    assert seen == [{}, {}]


def test_days_are_those_of_the_ledgers_time_zone(tmp_path):
    settings = Settings(timezone="Asia/Tokyo")
    log = write_log(tmp_path / "a.log", {"at": 6.5, "database": "hr"}, {"at": 7, "database": "hr"})
    done = take(tmp_path / "ledger", log, settings=settings)
    assert done.days == [date(2024, 2, 6), date(2024, 2, 7)]
    ledger = Ledger.open(tmp_path / "ledger", "Asia/Tokyo")
    assert ledger.days() == done.days
    late = ledger.hours(since=date(2024, 2, 7))
    assert late["hour"].dt.hour().to_list() == [16 - 1]
    assert ledger.touched(until=date(2024, 2, 6))["day"].to_list() == [date(2024, 2, 6)]


def test_progress_reaches_the_size_of_all_files(tmp_path):
    logs = [write_log(tmp_path / f"{number}.log", LOG[number]) for number in (0, 1)]
    told: list[int] = []
    ingest(
        [(LocalFile(path), source()) for path in logs],
        Ledger.open(tmp_path / "ledger", "UTC"),
        Settings(),
        lambda done, _words: told.append(done),
    )
    assert told == sorted(told)
    assert told[-1] == sum(path.stat().st_size for path in logs)


def test_an_input_that_breaks_in_the_middle_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(
        input_writer, "PartitionWriter", lambda *a: partition_writer.PartitionWriter(*a, limit=0)
    )
    take(tmp_path / "ledger", write_log(tmp_path / "a.log", *LOG))
    before = files_of(tmp_path / "ledger")
    broken = write_log(tmp_path / "b.log", "bad", *LOG, *LOG)
    with pytest.raises(InputError, match="broke"):
        take(tmp_path / "ledger", broken, breaks_after=2)
    assert files_of(tmp_path / "ledger") == before
    take(tmp_path / "ledger", broken)
    assert_holds(tmp_path / "ledger", *LOG, *LOG, *LOG)


CHILD = """
    import sys, time
    from pathlib import Path
    from ledger_samples import source
    from detector.ledger import ingest as ingesting, input_writer, manifest, partition_writer
    from detector.ledger.store import Ledger
    from detector.core.settings import Settings
    from detector.readers.log_input import LocalFile

    manifest.HEAD_BYTES = 16
    spill = partition_writer.PartitionWriter
    input_writer.PartitionWriter = lambda *a: spill(*a, limit=0)
    folder, log = map(Path, sys.argv[1:])
    number = 0

    def files():
        return len(list((folder / "hours").rglob("*.parquet")))

    before = files()

    def pause():
        global number
        number += 1
        if number == 2:
            while files() == before:
                time.sleep(0.01)
            print("waiting", flush=True)
            time.sleep(60)

    ledger = Ledger.open(folder, "UTC")
    ingesting.ingest([(LocalFile(log), source(pause=pause))], ledger, Settings(), lambda *_: None)
"""


def child(folder: Path, log: Path) -> subprocess.Popen:
    """Another process in the middle of an ingest, with half of the log on disk."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), folder, log],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "support")},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    return process


def test_killed_in_the_middle_it_leaves_no_trace_and_a_second_writer_is_refused(tmp_path):
    folder = tmp_path / "ledger"
    take(folder, write_log(tmp_path / "a.log", *LOG))
    before = files_of(folder)
    other = write_log(tmp_path / "b.log", "bad", *LOG, *LOG)
    with child(folder, other) as process:
        try:
            with pytest.raises(LedgerError, match="another detector is writing to this ledger"):
                take(folder, other)
        finally:
            process.send_signal(signal.SIGKILL)
    left = set(files_of(folder)) - set(before)
    assert any(name.startswith("hours") for name in left), "it was killed too early to prove much"
    assert_holds(folder, *LOG)
    take(folder, tmp_path / "a.log")
    assert files_of(folder) == before
    take(folder, other)
    assert_holds(folder, *LOG, *LOG, *LOG)


@pytest.mark.parametrize("begin", [[], ["bad" * 99]])
def test_a_full_disk_is_one_line_and_the_ledger_stays_as_it_was(tmp_path, begin):
    """Also where polars or Arrow tell it; it is not for rejects to tell."""
    folder = tmp_path / "ledger"
    take(folder, write_log(tmp_path / "a.log", *LOG))
    before = files_of(folder)
    other = write_log(tmp_path / "b.log", *begin, *LOG, *LOG)
    with no_space_beyond(64), pytest.raises(LedgerError, match=r"too large.*; free") as caught:
        take(folder, other)
    assert "\n" not in str(caught.value)
    assert files_of(folder) == before


def test_a_file_that_turns_out_unusable_costs_that_file_only(tmp_path):
    good = write_log(tmp_path / "good.log", *LOG)
    bad = write_log(tmp_path / "bad.log", *LOG, *LOG)
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    broken, fine = source(breaks_after=1), source()
    done = ingest(
        [(LocalFile(bad), broken), (LocalFile(good), fine)], ledger, Settings(), lambda *_: None
    )
    assert [report.file for report in done.files] == [str(good)]
    assert done.unused == ((str(bad), "broke"),)
    assert_holds(tmp_path / "ledger", *LOG)


def test_the_same_content_under_two_names_is_counted_once(tmp_path):
    files = [write_log(tmp_path / name, *LOG, "bad") for name in ("a.log", "b.log")]
    done = take(tmp_path / "ledger", *files)
    assert (done.events, done.rejects) == (len(LOG), 1)
