"""An ingest that fails changes nothing; what is in a log twice counts once, and is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector import registry
from detector.core import locks
from detector.core.errors import InputError, LedgerError, StateError
from detector.core.settings import Settings
from detector.delivery.outbox import scheduler
from detector.ledger import episodes
from detector.ledger.ingest import IngestResult, ingest
from detector.ledger.store import Ledger
from detector.readers.log_input import LocalFile
from detector.watch.state import State

HEADER = "timestamp,account,rows\n"


def take(folder: Path, path: Path, source: str = "csv") -> IngestResult:
    files = [(LocalFile(path), registry.sources()[source])]
    return ingest(files, Ledger.open(folder, "UTC"), Settings(), lambda *_: None)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def day(first: int = 0, last: int = 24, day: int = 6) -> list[str]:
    """Lines of a day's hours, by five accounts, no two hours alike."""
    return [
        f"2024-02-{day:02} {hour:02}:{(7 * hour + 11 * who + 3 * nth) % 60:02}:{nth:02},"
        f"agent{who},{hour * who + nth}\n"
        for hour in range(first, last)
        for who in range(5)
        for nth in range(1 + (hour + who) % 4)
    ]


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("wrong", ["ndjson", "mysql_slow_log", "mongodb_log", "postgresql_csvlog"])
def test_a_wrong_source_leaves_the_ledger_as_it_is(tmp_path, wrong, grown):
    log, folder = tmp_path / "a.csv", tmp_path / "ledger"
    log.write_text(HEADER + "".join(day(0, 12)), encoding="utf-8")
    take(folder, log)
    before = files_of(folder)
    if grown:
        log.write_text(HEADER + "".join(day()), encoding="utf-8")
    with pytest.raises(InputError, match=r"as csv: nothing was changed|lacks|holds no"):
        take(folder, log, wrong)
    assert files_of(folder) == before
    assert Ledger.open(folder, "UTC").days()


def test_a_log_rejected_by_a_wrong_source_is_read_by_the_right_one(tmp_path):
    log, folder = tmp_path / "a.csv", tmp_path / "ledger"
    log.write_text(HEADER + "".join(day()), encoding="utf-8")
    assert not take(folder, log, "mongodb_log").events
    assert take(folder, log).events == len(day())


def test_overlapping_dumps_count_once_and_that_is_said(tmp_path):
    folder = tmp_path / "ledger"
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text(HEADER + "".join(day(0, 16)), encoding="utf-8")
    second.write_text(HEADER + "".join(reversed(day(4, 24))), encoding="utf-8")
    assert take(folder, first).files[0].warning == ""
    (report,) = take(folder, second).files
    assert "count once" in report.warning
    assert f"{len(day(4, 16))} statements" in report.warning
    ledger = Ledger.open(folder, "UTC")
    assert ledger.hours()["statements"].sum() == len(day())
    agents = ledger.touched(dimensions=["database"])
    assert agents.is_empty()
    assert report.events + report.skipped == len(day(4, 24))


def test_logs_of_two_servers_count_both(tmp_path):
    folder = tmp_path / "ledger"
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text(HEADER + "".join(day()), encoding="utf-8")
    others = [line.replace(",agent", ",clerk") for line in day()]
    beats = [f"2024-02-06 {hour:02}:00:00,monitor,1\n" for hour in range(24)]
    second.write_text(HEADER + "".join(others + beats), encoding="utf-8")
    first.write_text(first.read_text(encoding="utf-8") + "".join(beats), encoding="utf-8")
    take(folder, first)
    assert take(folder, second).files[0].warning == ""
    hours = Ledger.open(folder, "UTC").hours()
    assert hours["statements"].sum() == 2 * (len(day()) + 24)


def test_a_dump_that_was_cut_and_came_again_whole_replaces(tmp_path):
    folder, log = tmp_path / "ledger", tmp_path / "a.csv"
    whole = HEADER + "".join(day())
    log.write_text(whole[: len(whole) // 2], encoding="utf-8")
    take(folder, log)
    again = tmp_path / "again.csv"
    again.write_text(whole, encoding="utf-8")
    take(folder, again)
    ledger = Ledger.open(folder, "UTC")
    assert ledger.hours()["statements"].sum() == len(day())
    assert len(ledger.parts()) == 1


def test_no_lock_follows_a_link(tmp_path):
    folder, victim = tmp_path / "ledger", tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    ledger = Ledger.open(folder, "UTC")
    (folder / "lock").symlink_to(victim)
    with pytest.raises(LedgerError, match="cannot be written"), ledger.write_lock():
        pass
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "watch.lock").symlink_to(victim)
    with pytest.raises(StateError, match="cannot be made"):
        State.open(tmp_path / "state")
    (folder / "episodes.lock").symlink_to(victim)
    with pytest.raises(LedgerError), episodes.exclusive_lock(folder):
        pass
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / scheduler.LOCK).symlink_to(victim)
    with (
        pytest.raises(OSError, match="symbolic links"),
        locks.holding(tmp_path / "outbox" / scheduler.LOCK),
    ):
        pass
    assert victim.read_text(encoding="utf-8") == "mine"
