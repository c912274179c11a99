"""Whatever becomes of a file while it is followed, each event counts once."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from watched import LATER, Kit, append, as_csv, as_lines, counted, morning

from detector.watch import log_position as logs
from detector.watch import new_files
from detector.watch.deduplication import LedgerContents
from detector.watch.watcher import Watcher

FIRST, THEN = morning(300, 200)
BOTH = FIRST.height + THEN.height
DATA = Path(__file__).parents[1] / "data" / "postgresql"
ENCODINGS = pytest.mark.parametrize("encode", [as_lines, as_csv])


pytestmark = pytest.mark.usefixtures("unscored")


def read_all(watcher: Watcher) -> int:
    while not watcher.run_cycle().is_idle:
        pass
    return counted(watcher)


@ENCODINGS
def test_renamed_and_begun_anew(kit: Kit, encode) -> None:
    log = kit.logs / "audit.log"
    data = encode(FIRST)
    append(log, data[:-40])
    with kit.watching() as watcher:
        read_all(watcher)
        log.rename(kit.logs / "audit.log.1")
        append(kit.logs / "audit.log.1", data[-40:])
        append(log, encode(THEN))
        assert read_all(watcher) == BOTH


@pytest.mark.parametrize("step", ["detect", "known"])
def test_renamed_while_it_is_looked_at(kit: Kit, monkeypatch, step: str) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    kit.clock.now = LATER
    rotated: list[Path] = []

    def renamed() -> None:
        if not rotated:
            rotated.append(log.rename(kit.logs / "audit.log.1"))

    if step == "detect":
        known = new_files.detect
        monkeypatch.setattr(new_files, "detect", lambda *more: (renamed(), known(*more))[1])
    else:
        sizes, knows = LedgerContents.prefix_sizes, LedgerContents.find_known
        monkeypatch.setattr(LedgerContents, "prefix_sizes", lambda *more: sizes(*more) or {1})
        monkeypatch.setattr(
            LedgerContents, "find_known", lambda *more: (renamed(), knows(*more))[1]
        )
    with kit.watching() as watcher:
        watcher.run_cycle()
        assert rotated
        assert read_all(watcher) == FIRST.height
        append(log, as_lines(THEN))
        kit.clock.now += 60
        assert read_all(watcher) == BOTH
        assert not watcher.tracker.notices


@ENCODINGS
def test_renamed_while_nobody_watched(kit: Kit, encode) -> None:
    log = kit.logs / "audit.log"
    data = encode(FIRST)
    append(log, data[: len(data) // 2])
    with kit.watching() as watcher:
        read_all(watcher)
    append(log, data[len(data) // 2 :])
    log.rename(kit.logs / "audit.log.1")
    append(log, encode(THEN))
    with kit.watching() as watcher:
        assert read_all(watcher) == BOTH


@ENCODINGS
def test_copied_and_cut_short(kit: Kit, encode) -> None:
    log = kit.logs / "audit.log"
    data = encode(FIRST)
    append(log, data[: len(data) // 2])
    with kit.watching() as watcher:
        read_all(watcher)
        append(log, data[len(data) // 2 :])  # not seen before it is cut
        shutil.copy(log, kit.logs / "audit.log.1")
        os.truncate(log, 0)
        append(log, encode(THEN))
        assert read_all(watcher) == BOTH


@ENCODINGS
def test_copied_and_cut_short_when_all_of_it_was_read(kit: Kit, encode) -> None:
    log = kit.logs / "audit.log"
    append(log, encode(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
        shutil.copy(log, kit.logs / "audit.log.1")
        read_all(watcher)
        os.truncate(log, 0)
        append(log, encode(THEN))
        assert read_all(watcher) == BOTH


def test_cut_short_and_longer_than_before_at_the_next_look(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST[:50]))
    with kit.watching() as watcher:
        read_all(watcher)
        os.truncate(log, 0)
        append(log, as_lines(THEN))
        assert read_all(watcher) == 50 + THEN.height


def test_cut_short_and_regrown_between_two_looks(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST[:50]))
    with kit.watching() as watcher:
        read_all(watcher)
        watcher.scan_interval = 1e9
        append(log, as_lines(FIRST[50:]))
        shutil.copy(log, kit.logs / "audit.log.1")
        os.truncate(log, 0)
        append(log, as_lines(THEN))
        watcher.run_cycle()
        watcher.scan_interval = 0.0
        assert read_all(watcher) == BOTH


def test_cut_short_while_a_piece_is_read(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    marks = logs.position_fields

    def cut(read, position):
        monkeypatch.setattr(logs, "position_fields", marks)
        shutil.copy(log, kit.logs / "audit.log.1")
        os.truncate(log, 0)
        append(log, as_lines(THEN))
        return marks(read, position)

    monkeypatch.setattr(logs, "position_fields", cut)
    with kit.watching() as watcher:
        assert read_all(watcher) == BOTH


@ENCODINGS
def test_a_new_name_each_day(kit: Kit, encode) -> None:
    append(kit.logs / "audit-1.log", encode(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
        append(kit.logs / "audit-2.log", encode(THEN))
        assert read_all(watcher) == BOTH


@ENCODINGS
@pytest.mark.parametrize("watched_meanwhile", [True, False])
def test_compressed_after_rotation(kit: Kit, encode, watched_meanwhile: bool) -> None:
    log = kit.logs / "audit.log"
    data = encode(FIRST)
    append(log, data[: len(data) // 2])
    with kit.watching() as watcher:
        read_all(watcher)
        if watched_meanwhile:
            append(log, data[len(data) // 2 :])
            read_all(watcher)
    with kit.watching() as watcher:
        if watched_meanwhile:
            read_all(watcher)
        (kit.logs / "audit.log.1.gz").write_bytes(gzip.compress(data))
        log.unlink()
        append(log, encode(THEN))
        assert read_all(watcher) == BOTH


def test_an_inode_used_again(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
    # As after an unlink and a new file that gets the same inode.
    os.truncate(log, 0)
    append(log, as_lines(THEN) * 2)
    log.rename(kit.logs / "other.log")
    with kit.watching() as watcher:
        assert read_all(watcher) == FIRST.height + 2 * THEN.height


def test_deleted_while_it_is_read(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    data = as_lines(FIRST)
    append(log, data[:1000])
    with kit.watching() as watcher, log.open("ab") as writer:
        read_all(watcher)
        log.unlink()
        writer.write(data[1000:])
        writer.flush()
        append(log, as_lines(THEN))
        assert read_all(watcher) == BOTH


def test_a_line_without_its_end_waits(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    data = as_lines(FIRST)
    append(log, data[:-10])
    with kit.watching() as watcher:
        assert read_all(watcher) == FIRST.height - 1
        append(log, data[-10:])
        assert read_all(watcher) == FIRST.height


def test_a_last_line_that_never_gets_its_end_is_rejected_once_the_log_has_ended(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST)[:-10])
    with kit.watching() as watcher:
        read_all(watcher)
        log.rename(kit.logs / "audit.log.1")
        append(log, as_lines(THEN))
        read_all(watcher)
        assert counted(watcher) == BOTH - 1
        assert [log.rejects for log in watcher.tracker.logs.values()] == [1, 0]


def test_a_dump_counts_once_however_often_it_is_dropped(kit: Kit) -> None:
    FIRST.write_parquet(kit.logs / "dump.parquet")
    (kit.logs / "dump.csv.gz").write_bytes(gzip.compress(as_csv(THEN)))
    with kit.watching() as watcher:
        assert read_all(watcher) == BOTH
        shutil.copy(kit.logs / "dump.parquet", kit.logs / "again.parquet")
        shutil.copy(kit.logs / "dump.csv.gz", kit.logs / "again.csv.gz")
        assert read_all(watcher) == BOTH


def test_a_dump_that_breaks_off_or_is_interrupted_counts_once_or_not_at_all(kit: Kit) -> None:
    many = pl.concat([FIRST] * 2000)  # several batches
    many.write_parquet(kit.logs / "dump.parquet")
    with kit.watching() as watcher:
        watcher.run_cycle()
        watcher.run_cycle()
        assert counted(watcher) == 0
    with kit.watching() as watcher:
        assert read_all(watcher) == many.height


def test_a_dump_that_is_still_written_waits(kit: Kit) -> None:
    FIRST.write_parquet(kit.logs / "dump.parquet")
    with kit.watching(settle=1e12) as watcher:
        assert read_all(watcher) == 0


def test_what_is_no_log_is_left_out_and_said(kit: Kit) -> None:
    append(kit.logs / "notes.log", b"nothing to see here\n" * 10)
    append(kit.logs / "audit.log", as_lines(FIRST))
    with kit.watching() as watcher:
        assert read_all(watcher) == FIRST.height
        assert len(watcher.tracker.notices) == 1
        assert "notes.log" in watcher.tracker.notices[0]


def test_a_log_that_waits_for_the_one_before_it_is_not_lost(kit: Kit) -> None:
    sample = (DATA / "pg18.csv").read_bytes()
    append(kit.logs / "postgresql-1.csv", sample)
    append(kit.logs / "postgresql-2.csv", sample.replace(b"2026-", b"2027-"))
    with kit.watching(settle=60.0) as watcher:
        watcher.run_cycle()
        watcher.run_cycle()
        first, second = watcher.tracker.logs.values()
        assert (first.position > 0, second.position, second.inode > 0) == (True, 0, True)
        kit.clock.now += 61.0
        read_all(watcher)
        kit.clock.now += 61.0
        read_all(watcher)
        first, second = watcher.tracker.logs.values()
        assert second.position == len(sample)
