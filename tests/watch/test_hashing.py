"""The content of a large log is hashed piece by piece, and batch knows it all the same."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from watched import Kit, append, as_lines, counted, events_on

from detector import registry
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.normalize.format_detection import detect
from detector.readers import compression
from detector.readers.log_input import LocalFile
from detector.watch import content_hashing, micro_batch, new_files
from detector.watch.content_hashing import HashQueue
from detector.watch.day_scoring import DayScorer
from detector.watch.log_position import Log
from detector.watch.watcher import Watcher

SOME = events_on(datetime(2024, 2, 5, 8, tzinfo=UTC), 3000, timedelta(seconds=9))
THEN = events_on(datetime(2024, 2, 5, 20, tzinfo=UTC), 50, timedelta(seconds=9))
SMALL = 1 << 14


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DayScorer, "score_complete", lambda *_, **__: [])
    monkeypatch.setattr(compression, "MIB", SMALL)
    for module in (content_hashing, micro_batch):
        monkeypatch.setattr(module, "BYTES_PER_STEP", SMALL)
    monkeypatch.setattr(new_files, "BYTES_PER_LOOK", SMALL)


def the_log(watcher: Watcher) -> Log:
    return next(log for log in watcher.tracker.logs.values() if log.events > THEN.height)


def rotated(kit: Kit) -> None:
    (kit.logs / "audit.log").rename(kit.logs / "audit.log.1")
    append(kit.logs / "audit.log", as_lines(THEN))


def until(watcher: Watcher, true: Callable[[], bool]) -> int:
    for turn in range(2000):
        if true():
            return turn
        watcher.run_cycle()
    raise AssertionError("it never came to that")


def known_to_batch(kit: Kit, name: str) -> bool:
    found, _ = detect([LocalFile(kit.logs / name)], registry.sources(), kit.settings)
    ledger = Ledger.open(kit.folder / "ledger", "UTC")
    (file,) = ingest(found, ledger, kit.settings, lambda *_: None).files
    return file.state == "known"


@pytest.mark.parametrize("killed", [False, True])
def test_a_log_that_ended_is_hashed_over_many_turns(kit: Kit, killed: bool) -> None:
    append(kit.logs / "audit.log", as_lines(SOME))
    with kit.watching() as watcher:
        until(watcher, lambda: counted(watcher) == SOME.height)
        rotated(kit)
        until(watcher, lambda: the_log(watcher).stage == "ended")
        assert the_log(watcher).unhashed
        assert not the_log(watcher).content
        if not killed:
            assert until(watcher, lambda: not the_log(watcher).unhashed) > 3
            assert (
                the_log(watcher).content
                == compression.content_identity(LocalFile(kit.logs / "audit.log.1")).sha256
            )
    with kit.watching() as watcher:
        watcher.finish()
        assert not the_log(watcher).unhashed
        assert counted(watcher) == SOME.height + THEN.height
    assert known_to_batch(kit, "audit.log.1")


def test_a_log_that_grows_while_it_is_hashed_is_read_on(kit: Kit) -> None:
    append(kit.logs / "audit.log", as_lines(SOME))
    with kit.watching() as watcher:
        until(watcher, lambda: counted(watcher) == SOME.height)
        rotated(kit)
        until(watcher, lambda: the_log(watcher).unhashed)
        append(kit.logs / "audit.log.1", as_lines(THEN))
        watcher.finish()
        assert counted(watcher) == SOME.height + 2 * THEN.height
        assert (
            the_log(watcher).content
            == compression.content_identity(LocalFile(kit.logs / "audit.log.1")).sha256
        )


def test_a_log_that_is_deleted_while_it_is_hashed_is_hashed_to_its_end(kit: Kit) -> None:
    append(kit.logs / "audit.log", as_lines(SOME))
    wanted = compression.content_identity(LocalFile(kit.logs / "audit.log")).sha256
    with kit.watching() as watcher:
        until(watcher, lambda: counted(watcher) == SOME.height)
        rotated(kit)
        until(watcher, lambda: the_log(watcher).unhashed)
        (kit.logs / "audit.log.1").unlink()
        until(watcher, lambda: not the_log(watcher).unhashed)
        assert the_log(watcher).content == wanted


def test_a_dump_counts_when_all_of_it_is_hashed_and_its_copy_never(kit: Kit) -> None:
    SOME.write_parquet(kit.logs / "dump.parquet", compression="uncompressed")
    with kit.watching() as watcher:
        assert until(watcher, lambda: counted(watcher) == SOME.height) > 3
        shutil.copy(kit.logs / "dump.parquet", kit.logs / "again.parquet")
        copies = lambda: [log for log in watcher.tracker.logs.values() if log.stage == "copy"]  # noqa: E731
        assert until(watcher, lambda: bool(copies())) > 3
        assert counted(watcher) == SOME.height


def test_a_compressed_log_is_read_forwards_only(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    (kit.logs / "audit.log.gz").write_bytes(gzip.compress(as_lines(SOME), 0))
    opened = []
    chunks = compression.chunks
    monkeypatch.setattr(compression, "chunks", lambda *a: opened.append(a[0]) or chunks(*a))
    with kit.watching() as watcher:
        watcher.batch_reader.max_bytes = SMALL
        until(watcher, lambda: counted(watcher) == SOME.height)
        assert the_log(watcher).position > 10 * SMALL
    assert (
        1 <= opened.count(LocalFile(kit.logs / "audit.log.gz")) <= 4
    )  # to recognise it, to read it, to hash it


def test_no_file_stays_open_when_its_hash_is_done_or_given_up(kit: Kit) -> None:
    append(kit.logs / "audit.log", as_lines(SOME))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with kit.watching() as watcher:
        until(watcher, lambda: counted(watcher) == SOME.height)
        rotated(kit)
        until(watcher, lambda: the_log(watcher).unhashed)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert HashQueue().step({}, finish=True) == []


def test_a_log_that_is_cut_while_it_is_hashed_has_no_hash_and_counts_once(kit: Kit) -> None:
    """The hash of what is left would let the whole log, from a copy of it, count again."""
    append(kit.logs / "audit.log", as_lines(SOME))
    whole = (kit.logs / "audit.log").read_bytes()
    with kit.watching() as watcher:
        until(watcher, lambda: counted(watcher) == SOME.height)
        rotated(kit)
        until(watcher, lambda: the_log(watcher).unhashed)
        os.truncate(kit.logs / "audit.log.1", len(whole) - 5 * SMALL)
        watcher.finish()
        log = the_log(watcher)
        assert (log.unhashed, log.content) == (False, "")
        assert counted(watcher) == SOME.height + THEN.height
        (kit.logs / "copy.log").write_bytes(whole)
        watcher.finish()
        assert counted(watcher) == SOME.height + THEN.height
