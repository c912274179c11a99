"""Logs that a crash, an editor or a copy changed: nothing counts twice, and what is new counts.

The oracle is batch: one ``score`` over the files as they are in the end.
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from watched import (
    Kit,
    append,
    as_csv,
    as_lines,
    counted,
    counting_kit,
    morning,
    statements,
)

from detector import registry
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.normalize.format_detection import detect
from detector.readers.log_input import LocalFile
from detector.watch.watcher import Watcher

FIRST, THEN = morning(300, 200)
BOTH = FIRST.height + THEN.height
ENCODINGS = pytest.mark.parametrize("encode", [as_lines, as_csv, pl.DataFrame.write_csv])


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    return counting_kit(tmp_path, monkeypatch)


def read_all(watcher: Watcher) -> int:
    for _ in range(200):
        if watcher.run_cycle().is_idle:
            return counted(watcher)
    raise AssertionError("the watcher is never done")


def encoded(encode, events: pl.DataFrame) -> bytes:
    found = encode(events)
    return found.encode() if isinstance(found, str) else found


def batch(kit: Kit) -> int:
    """Events that one ``score`` counts, in a new ledger."""
    shutil.rmtree(kit.folder / "batch", ignore_errors=True)
    ledger = Ledger.open(kit.folder / "batch", "UTC")
    files = sorted(path for path in kit.logs.iterdir() if path.stat().st_size)
    found, _ = detect(list(map(LocalFile, files)), registry.sources(), kit.settings)
    ingest(found, ledger, kit.settings, lambda *_: None)
    days = ledger.days()
    return statements(ledger.hours(days[0], days[-1]))


def rejected(watcher: Watcher) -> int:
    return sum(log.rejects for log in watcher.tracker.logs.values())


@ENCODINGS
@pytest.mark.parametrize("size", [1, 5000, 70_000])
def test_nuls_that_a_crash_left_between_lines(kit: Kit, encode, size: int) -> None:
    log = kit.logs / "audit.log"
    append(log, encoded(encode, FIRST))
    then = encoded(encode, THEN)
    then = then if encode is as_lines else then.partition(b"\n")[2]
    with kit.watching() as watcher:
        read_all(watcher)
        append(log, bytes(size) + then)
        assert read_all(watcher) == BOTH == batch(kit)
        assert rejected(watcher) == 1
        append(log, encoded(as_lines, THEN) if encode is as_lines else then)
        assert read_all(watcher) == BOTH + THEN.height == batch(kit)
        assert len(watcher.tracker.logs) == 1


def test_a_half_line_before_the_nuls(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST)[:-30])
    with kit.watching() as watcher:
        read_all(watcher)
        append(log, bytes(4096) + as_lines(THEN))
        assert read_all(watcher) == BOTH - 1 == batch(kit)
        assert rejected(watcher) == 1


def test_utf_16_in_the_middle_of_a_log(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    wide = as_lines(THEN[:40]).decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        with kit.watching() as watcher:
            read_all(watcher)
            append(log, wide.encode(encoding))
            read_all(watcher)
    append(log, b"\n" + as_lines(THEN))
    with kit.watching() as watcher:
        assert read_all(watcher) == BOTH == batch(kit)
        assert rejected(watcher) >= 3 * 40
        assert not [log for log in watcher.tracker.logs.values() if log.stage != "open"]


def test_a_file_that_was_allocated_beforehand(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    data = as_lines(FIRST) + as_lines(THEN)
    append(log, bytes(1 << 20))
    with kit.watching() as watcher:
        assert read_all(watcher) == 0
        for start in range(0, len(data), 17001):
            kit.clock.now += 10
            with log.open("r+b") as file:
                file.seek(start)
                file.write(data[start : start + 17001])
            read_all(watcher)
        assert counted(watcher) == BOTH
        assert rejected(watcher) == 0
        assert len(watcher.tracker.logs) == 1
    assert batch(kit) == BOTH


@pytest.mark.parametrize("encode", [as_lines, pl.DataFrame.write_csv])
@pytest.mark.parametrize("watched_meanwhile", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_shortened_by_a_power_cut(kit: Kit, encode, watched_meanwhile: bool, seed: int) -> None:
    chance = random.Random(seed)
    log = kit.logs / "audit.log"
    append(log, encoded(encode, FIRST))
    then = encoded(encode, THEN)
    then = then if encode is as_lines else then.partition(b"\n")[2]
    size = log.stat().st_size
    with kit.watching() as watcher:
        read_all(watcher)
        os.truncate(log, chance.randrange(size // 20, size))
        if watched_meanwhile:
            assert read_all(watcher) == FIRST.height
    append(log, b"\n" + then)
    with kit.watching() as watcher:
        found = read_all(watcher)
        assert found in {BOTH, BOTH - 1}
        assert read_all(watcher) == found


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("number", [0, 150, 298])
@pytest.mark.parametrize("way", ["changed", "removed", "added"])
def test_edited(kit: Kit, in_place: bool, number: int, way: str) -> None:
    log = kit.logs / "audit.log"
    lines = as_lines(FIRST).splitlines(keepends=True)
    append(log, b"".join(lines))
    with kit.watching() as watcher:
        read_all(watcher)
        if way == "removed":
            del lines[number]
        elif way == "added":
            lines.insert(number, lines[number].replace(b"2024", b"2023"))
        else:
            lines[number] = lines[number].replace(b'"rows":', b'"rows":1')
        fresh = log if in_place else log.with_name(".sed")
        fresh.write_bytes(b"".join(lines))
        fresh.rename(log)
        assert read_all(watcher) == FIRST.height
        append(log, as_lines(THEN))
        assert read_all(watcher) == BOTH


def test_left_out_in_the_middle_and_looked_at_again(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
        (known,) = watcher.tracker.logs.values()
        watcher.tracker.update_log(replace(known, stage="left out", reason="of old"))
        append(log, as_lines(THEN))
        assert read_all(watcher) == BOTH
        (again,) = watcher.tracker.logs.values()
        assert (again.stage, again.events) == ("open", BOTH)


def test_compressed_and_written_over_in_place(kit: Kit) -> None:
    packed, whole = kit.logs / "audit.log.gz", kit.logs / "dump.parquet"
    packed.write_bytes(gzip.compress(as_lines(FIRST)))
    FIRST.with_columns(account=pl.lit("dora")).write_parquet(whole)
    with kit.watching() as watcher:
        assert read_all(watcher) == 2 * FIRST.height
        packed.write_bytes(gzip.compress(as_lines(THEN)))
        THEN.with_columns(account=pl.lit("dora")).write_parquet(whole)
        kit.clock.now += 10
        assert read_all(watcher) == 2 * BOTH
        os.utime(packed, (1, 1))
        os.utime(whole, (1, 1))
        kit.clock.now += 10
        assert read_all(watcher) == 2 * BOTH


def test_compressed_while_the_writer_pauses(kit: Kit) -> None:
    path = kit.logs / "audit.log.gz"
    data = gzip.compress(as_lines(FIRST) + as_lines(THEN))
    append(path, data[: len(data) // 2])
    with kit.watching() as watcher:
        read_all(watcher)
        assert rejected(watcher) == 0
        append(path, data[len(data) // 2 :])
        kit.clock.now += 10
        assert read_all(watcher) == BOTH
        assert rejected(watcher) == 0
        append(path, gzip.compress(as_lines(THEN.with_columns(account=pl.lit("dora")))))
        kit.clock.now += 10
        assert read_all(watcher) == BOTH + THEN.height == batch(kit)


def test_compressed_and_broken_off_for_good(kit: Kit) -> None:
    path = kit.logs / "audit.log.gz"
    data = gzip.compress(as_lines(FIRST))
    append(path, data[: len(data) // 2])
    with kit.watching() as watcher:
        read_all(watcher)
        kit.clock.now += 100
        found = read_all(watcher)
        assert rejected(watcher) == 1
        append(path, data[len(data) // 2 :])
        kit.clock.now += 100
        assert found < read_all(watcher) == FIRST.height == batch(kit)


@pytest.mark.parametrize("finish", [True, False])
def test_compressed_with_a_time_that_lies_in_the_future(kit: Kit, finish: bool) -> None:
    path = kit.logs / "audit.log.gz"
    append(path, gzip.compress(as_lines(FIRST)))
    os.utime(path, (kit.clock.now + 7200,) * 2)
    with kit.watching(settle=5.0) as watcher:
        if finish:
            watcher.finish()
            assert counted(watcher) == FIRST.height
        else:
            assert read_all(watcher) == 0
            kit.clock.now += 10
            assert read_all(watcher) == FIRST.height


@ENCODINGS
def test_a_half_line_at_the_top_of_a_new_file(kit: Kit, encode) -> None:
    data = encoded(encode, FIRST)
    if encode is as_lines:
        data = data[25:]
    else:
        append(kit.logs / "audit.log", data)
        data = encoded(encode, THEN).partition(b"\n")[2][11:]
    with kit.watching() as watcher:
        read_all(watcher)
        if encode is not as_lines:
            (kit.logs / "audit.log").rename(kit.logs / "audit.log.1")
        append(kit.logs / "audit.log", data)
        kit.clock.now += 10
        wanted = FIRST.height - 1 if encode is as_lines else BOTH - 1
        assert read_all(watcher) == wanted
        assert rejected(watcher) == 1


@pytest.mark.parametrize("encode", [as_csv, pl.DataFrame.write_csv])
def test_a_csv_copied_and_cut_short_without_its_header(kit: Kit, encode) -> None:
    log = kit.logs / "audit.log"
    append(log, encoded(encode, FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
        shutil.copy(log, kit.logs / "audit.log.1")
        os.truncate(log, 0)
        append(log, encoded(encode, THEN).partition(b"\n")[2])
        kit.clock.now += 10
        assert read_all(watcher) == BOTH
        assert rejected(watcher) == 0
