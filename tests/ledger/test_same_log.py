"""The same log twice: cut short, or grown since a watcher read it, it counts once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from detector import registry
from detector.core.settings import Settings
from detector.ledger.ingest import FileReport, ingest
from detector.ledger.store import Ledger
from detector.readers.log_input import LocalFile

SETTINGS = Settings()
START = datetime(2024, 3, 4, 8, tzinfo=UTC)
HEAD = "timestamp,account,client_address,object,rows\n"


def lines(first: int, last: int, account: str = "ann") -> str:
    return "".join(
        f"{START + timedelta(seconds=17 * n):%Y-%m-%d %H:%M:%S},{account},10.0.0.9,person,{n % 7}\n"
        for n in range(first, last)
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger", "UTC")


def take(ledger: Ledger, path: Path, text: str) -> FileReport:
    path.write_text(text, encoding="utf-8")
    files = [(LocalFile(path), registry.sources()["csv"])]
    return ingest(files, ledger, SETTINGS, lambda *_: None).files[0]


def statements(ledger: Ledger) -> int:
    return int(ledger.hours()["statements"].sum())


@pytest.mark.parametrize("kept", [1500, 1499, 300])
def test_a_log_that_was_cut_short_counts_once(ledger: Ledger, tmp_path: Path, kept: int) -> None:
    """One account alone: no chance is needed to tell that it is the same log."""
    path = tmp_path / "audit.csv"
    whole = HEAD + lines(0, 2000)
    take(ledger, path, whole)
    cut = HEAD + lines(0, kept)
    report = take(ledger, path, cut)
    assert statements(ledger) == 2000
    assert "count once" in report.warning
    take(ledger, path, cut)
    assert statements(ledger) == 2000


def test_what_was_written_after_the_cut_counts(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "audit.csv"
    take(ledger, path, HEAD + lines(0, 2000))
    report = take(ledger, path, HEAD + lines(0, 1000) + lines(5000, 5400))
    assert statements(ledger) == 2400
    assert "1,000 statements of it stand in audit.csv too" in report.warning


def test_another_log_with_the_same_header_counts(ledger: Ledger, tmp_path: Path) -> None:
    take(ledger, tmp_path / "a.csv", HEAD + lines(0, 2000))
    report = take(ledger, tmp_path / "b.csv", HEAD + lines(0, 2000, "bob"))
    assert (statements(ledger), report.warning) == (4000, "")
