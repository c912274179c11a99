"""An ingest that fails changes nothing; what is in a log twice counts once, and is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector import registry
from detector.errors import InputError
from detector.ledger.ingest import Ingested, ingest
from detector.ledger.store import Ledger
from detector.settings import Settings

HEADER = "timestamp,account,rows\n"


def take(folder: Path, path: Path, source: str = "csv") -> Ingested:
    files = [(path, registry.sources()[source])]
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
    log.write_text(HEADER + "".join(day(0, 12)))
    take(folder, log)
    before = files_of(folder)
    if grown:
        log.write_text(HEADER + "".join(day()))
    with pytest.raises(InputError, match=r"as csv: nothing was changed|lacks|holds no"):
        take(folder, log, wrong)
    assert files_of(folder) == before
    assert Ledger.open(folder, "UTC").days()


def test_a_log_rejected_by_a_wrong_source_is_read_by_the_right_one(tmp_path):
    log, folder = tmp_path / "a.csv", tmp_path / "ledger"
    log.write_text(HEADER + "".join(day()))
    assert not take(folder, log, "mongodb_log").events
    assert take(folder, log).events == len(day())
