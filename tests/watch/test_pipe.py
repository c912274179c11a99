"""Standard input counts as a file with the same content would, and says what it lost."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples
from watched import LATER, Kit, as_csv, as_lines, counted, events_on

from detector import registry
from detector.core.errors import InputError
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.normalize.format_detection import detect
from detector.readers.log_input import LocalFile
from detector.watch import stdin_input as pipes
from detector.watch.health import Health
from detector.watch.service import raise_health_alerts
from detector.watch.stdin_input import StandardInput

ROOT = Path(__file__).parents[2]
SOME = events_on(datetime(2024, 2, 5, 8, tzinfo=UTC), 300, timedelta(seconds=97))
SERVER_LOG = ROOT / "tests" / "data" / "postgresql" / "pg18.csv"
#: What a pipe is written at once, without anyone reading.
MOST = 1 << 15
SAMPLES = {
    "lines": as_lines(SOME) + b"no json\n" + as_lines(SOME[:5]),
    "half a line at its end": as_lines(SOME)[:-20],
    "a table": as_csv(SOME) + b"half,a,record",
    "a server's log": SERVER_LOG.read_bytes(),
}


pytestmark = pytest.mark.usefixtures("unscored")


@contextmanager
def piped() -> Iterator[tuple[StandardInput, int]]:
    """Standard input, and the end that is written to."""
    reading, writing = os.pipe()
    try:
        yield StandardInput.from_handle(reading), writing
    finally:
        for handle in (reading, writing):
            with suppress(OSError):
                os.close(handle)


def of_batch(kit: Kit, data: bytes) -> tuple[pl.DataFrame, list]:
    path = kit.folder / "whole.log"
    path.write_bytes(data)
    ledger = Ledger.open(kit.folder / "batch", "UTC")
    found, _ = detect([LocalFile(path)], registry.sources(), kit.settings)
    done = ingest(found, ledger, kit.settings, lambda *_: None)
    rejects = ledger.rejects(done.part_ids).collect().select("line", "reason").rows()
    return ledger.hours(), sorted(rejects, key=repr)


def of_watch(kit: Kit) -> tuple[pl.DataFrame, list]:
    ledger = Ledger.open(kit.folder / "ledger", "UTC")
    rejects = ledger.rejects([part.id for part in ledger.parts()]).collect()
    return ledger.hours(), sorted(rejects.select("line", "reason").rows(), key=repr)


@given(
    name=st.sampled_from(sorted(SAMPLES)),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=8),
    seed=st.integers(0, 1 << 16),
)
@settings(
    max_examples=examples(30),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_pieces_of_any_size_through_a_pipe_count_as_the_file_does(
    kit: Kit, name: str, cuts: list[int], seed: int
) -> None:
    kit.clear()
    data, chance = SAMPLES[name], random.Random(seed)
    ends = {0, len(data), *range(0, len(data), MOST), *(cut % (len(data) + 1) for cut in cuts)}
    with piped() as (inlet, writing), kit.watching(inlets=[inlet]) as watcher:
        for start, end in pairwise(sorted(ends)):
            os.write(writing, data[start:end])
            watcher.run_cycle()
            if chance.random() < 0.3:
                watcher.run_cycle()
        assert not watcher.tracker.is_over
        os.close(writing)
        watcher.finish()
        assert watcher.tracker.is_over
    wanted, found = of_batch(kit, data), of_watch(kit)
    assert found[0].equals(wanted[0])
    assert found[1] == wanted[1]


def test_what_is_not_wanted_yet_waits_in_the_pipe(kit: Kit) -> None:
    data = as_lines(SOME)[:MOST]
    with piped() as (inlet, writing), kit.watching(inlets=[inlet]) as watcher:
        os.write(writing, data)
        watcher.batch_reader.max_bytes = 4096
        watcher.run_cycle()
        (log,) = watcher.tracker.logs.values()
        assert 0 < log.position <= 4096
        assert inlet.pipe.unread_bytes(log.position) == len(data) - log.position


def killed(kit: Kit, data: bytes) -> int:
    """A watcher that took some of a pipe and is gone; the events it had counted."""
    with piped() as (inlet, writing), kit.watching(inlets=[inlet]) as watcher:
        os.write(writing, data)
        watcher.run_cycle()
        return counted(watcher)


def test_after_a_kill_what_was_counted_stays_and_the_loss_is_told_once(kit: Kit) -> None:
    before = killed(kit, as_lines(SOME[:100])[:-10])
    assert before == 99
    told = []
    for _ in range(2):
        with piped() as (inlet, writing), kit.watching(inlets=[inlet]) as watcher:
            os.write(writing, as_lines(SOME[100:150]))
            os.close(writing)
            watcher.finish()
            told += raise_health_alerts(watcher, Health(0.0, "m"), LATER)
            total = counted(watcher)
    assert total == 99 + 50 + 50
    (alert,) = told
    assert (alert["entity_kind"], alert["entity"]) == ("log", "standard input")
    assert "what it had taken from the pipe and not counted is lost" in alert["reasons"][0]
    assert "2024-02-05 10:3" in alert["reasons"][0]


def test_what_a_killed_watcher_held_back_is_counted_by_the_next(kit: Kit) -> None:
    data = SERVER_LOG.read_bytes()[:MOST]
    data = data[: data.rfind(b"\n") + 1]
    killed(kit, data)
    with piped() as (inlet, writing), kit.watching(inlets=[inlet]) as watcher:
        os.close(writing)
        watcher.finish()
    assert of_watch(kit)[0].equals(of_batch(kit, data)[0])


def test_a_watcher_that_is_told_to_stop_reads_what_is_in_the_pipe(kit: Kit) -> None:
    with piped() as (inlet, writing), kit.watching(inlets=[inlet]) as watcher:
        os.write(writing, as_lines(SOME[:100]))
        watcher.run_cycle()
        os.write(writing, as_lines(SOME[100:150]))
        watcher.tracker.streams.stop()
        while watcher.tracker.open_logs():
            watcher.run_cycle()
        assert counted(watcher) == 150
        os.write(writing, as_lines(SOME[150:200]))
        watcher.run_cycle()
        assert counted(watcher) == 150


def test_stopping_ends_though_the_writer_never_does(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with piped() as (inlet, writing), kit.watching(inlets=[inlet]) as watcher:
        monkeypatch.setattr(pipes, "PIPE_BYTES", 1000)
        os.write(writing, as_lines(SOME[:20]))
        watcher.run_cycle()
        watcher.tracker.streams.stop()
        for _ in range(20):
            os.write(writing, as_lines(SOME[20:24]))
            watcher.run_cycle()
        assert not watcher.tracker.open_logs()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(as_lines(SOME)), "standard input: is compressed; pipe it through zcat"),
        (b"what is this\n" * 6000, "standard input: is of no known format"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(kit: Kit, data: bytes, words: str) -> None:
    with piped() as (inlet, writing), kit.watching(inlets=[inlet]) as watcher:
        os.write(writing, data[:60_000])
        os.close(writing)
        watcher.run_cycle()
        with pytest.raises(InputError, match=words):
            watcher.run_cycle()


def test_a_named_source_is_not_guessed(kit: Kit) -> None:
    with piped() as (inlet, writing), kit.watching(inlets=[inlet], source="ndjson") as watcher:
        os.write(writing, b"no json\n" + as_lines(SOME[:50]))
        os.close(writing)
        watcher.finish()
        assert counted(watcher) == 50
        assert [log.rejects for log in watcher.tracker.logs.values()] == [1]


def command(folder: Path, *more: str, given: bytes) -> subprocess.CompletedProcess:
    words = [
        sys.executable, "-c", "from detector.cli.main import run; run()", "watch", "-",
        "--model", str(ROOT / "models" / "agency"),
        "--settings", str(ROOT / "data" / "sample" / "agency" / "detector.toml"), *more,
    ]  # fmt: skip
    return subprocess.run(
        words, cwd=folder, input=given, capture_output=True, check=False, timeout=300
    )


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--once"]])
def test_the_command_ends_with_its_input(tmp_path: Path, more: list[str]) -> None:
    done = command(tmp_path, *more, given=as_lines(SOME)[:-20])
    assert done.returncode == 0, done.stderr
    ledger = Ledger.open(tmp_path / "ledger", None)
    assert int(ledger.hours()["statements"].sum()) == SOME.height - 1
    assert sum(part.rejects for part in ledger.parts()) == 1


def test_the_command_says_in_one_line_that_its_input_is_no_log(tmp_path: Path) -> None:
    done = command(tmp_path, given=b"what is this\n")
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"detector: standard input: is of no known")
