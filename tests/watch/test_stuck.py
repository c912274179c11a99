"""What must not stop a watcher: a clock set back, few handles, two logs that begin alike."""

from __future__ import annotations

import resource
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from watched import (
    LATER,
    Clock,
    Kit,
    append,
    as_lines,
    counted,
    counting_kit,
    events_on,
    morning,
)

from detector.watch import content_hashing, open_files
from detector.watch.watcher import Watcher

FIRST, THEN = morning(60, 40)
BOTH = FIRST.height + THEN.height


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    return counting_kit(tmp_path, monkeypatch)


def read_all(watcher: Watcher) -> int:
    for _ in range(300):
        if watcher.run_cycle().is_idle:
            return counted(watcher)
    raise AssertionError("the watcher is never done")


def of_account(name: str, events: pl.DataFrame) -> bytes:
    return as_lines(events.with_columns(account=pl.lit(name)))


def test_the_wall_clock_is_set_back(kit: Kit) -> None:
    kit = replace(kit, steady=Clock(LATER))
    assert kit.steady is not None
    append(kit.logs / "audit.log", as_lines(FIRST))
    with kit.watching() as watcher:
        watcher.scan_interval = 1.0
        assert read_all(watcher) == FIRST.height
        kit.clock.now -= 7200
        kit.steady.now += 2
        append(kit.logs / "audit.log", as_lines(THEN))
        append(kit.logs / "other.log", of_account("dora", THEN))
        assert read_all(watcher) == BOTH + THEN.height


@pytest.mark.parametrize("most", [3, 16])
def test_more_logs_than_handles(kit: Kit, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(content_hashing, "MAX_OPEN_FILES", 2)
    names = [f"audit-{number:02}.log" for number in range(40)]
    for name in names:
        append(kit.logs / name, of_account(name, FIRST))

    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = handles()
    with kit.watching() as watcher:
        watcher.tracker.contents.closed_files.max_open = most
        assert read_all(watcher) == len(names) * FIRST.height
        assert len(watcher.tracker.contents) <= most
        for name in names[::3]:
            append(kit.logs / name, of_account(name, THEN))
        kit.logs.joinpath(names[0]).rename(kit.logs / "moved.log")
        wanted = len(names) * FIRST.height + len(names[::3]) * THEN.height
        assert read_all(watcher) == wanted
        assert handles() - before < most + 16
        kit.clock.now += 100
        watcher.finish()
        assert counted(watcher) == wanted
        assert handles() - before < 16
    logs = watcher.tracker.logs.values()
    assert all(log.content and log.listed for log in logs)
    with kit.watching() as watcher:
        assert read_all(watcher) == wanted


def test_two_live_logs_that_begin_alike(kit: Kit) -> None:
    idle, other = kit.logs / "audit-a.log", kit.logs / "audit-b.log"
    append(idle, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
        append(other, as_lines(FIRST) + as_lines(THEN))
        assert read_all(watcher) == BOTH
        append(other, of_account("dora", THEN))
        append(idle, of_account("emil", THEN))
        assert read_all(watcher) == BOTH + 2 * THEN.height
    with kit.watching() as watcher:
        assert read_all(watcher) == BOTH + 2 * THEN.height


def test_a_copy_of_a_live_log_that_is_behind_is_no_log_of_its_own(kit: Kit) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
        append(log, as_lines(THEN))
        shutil.copy(log, kit.logs / "audit.log.1")
        assert read_all(watcher) == BOTH


def test_eleven_hundred_logs_at_a_thousand_handles(kit: Kit) -> None:
    """As ``ulimit -n 1024`` has it."""
    some = events_on(datetime(2024, 3, 4, 8, tzinfo=UTC), 2, timedelta(seconds=7))
    names = [f"audit-{number:04}.log" for number in range(1100)]
    for name in names:
        append(kit.logs / name, of_account(name, some))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        with kit.watching() as watcher:
            assert read_all(watcher) == 1100 * some.height
            assert len(watcher.tracker.contents) <= 1024 - open_files.RESERVED_FILES
            for name in names[::100]:
                append(kit.logs / name, of_account(name, some))
            assert read_all(watcher) == (1100 + 11) * some.height
            assert not watcher.tracker.denied_files
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
