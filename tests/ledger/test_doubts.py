"""What was not judged is said: rejects, new names, unknown reads, days that never came."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from detector import registry
from detector.core.errors import SettingsError
from detector.core.settings import Settings, from_mapping
from detector.ledger.data_quality import Counts, quality_warnings, reject_rise_warning
from detector.ledger.ingest import IngestResult, ingest
from detector.ledger.store import Ledger
from detector.readers.log_input import LocalFile
from detector.watch.health import Health
from detector.watch.log_position import Log
from detector.watch.new_accounts import NewAccounts

FIRST = date(2024, 1, 1)
SETTINGS = Settings()


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (Counts(800, 4_000), Counts(), True),
        (Counts(900, 19), Counts(), False),  # few
        (Counts(10, 19), Counts(), False),
        (Counts(900, 100), Counts(), True),
        (Counts(10_000, 100), Counts(), False),
        (Counts(10_000, 100), Counts(10_000, 10), True),  # ten times the usual share
        (Counts(10_000, 100), Counts(100, 0), False),  # too few records to be usual
        (Counts(10_000, 100), Counts(10_000, 90), False),
    ],
)
def test_a_rise_in_rejects(now, before, told):
    assert bool(reject_rise_warning(now, before, 0.05)) == told


def log(day: date, accounts: int, first: int = 0, rows: str = "1", bad: int = 0) -> str:
    head = "timestamp,account,rows\n"
    lines = [f"{day} 08:00:00,agent{first + who},{rows}\n" for who in range(accounts)]
    return head + "".join(lines) + f"{day} 08:00:00,,1\n" * bad


class Office:
    """A ledger of three weeks, and what is said of the days after them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger.open(folder / "ledger", "UTC")
        for nth in range(21):
            self.take(FIRST + timedelta(days=nth), 30)

    def take(self, day: date, accounts: int, **how) -> IngestResult:
        path = self.folder / f"{day}.csv"
        path.write_text(log(day, accounts, **how), encoding="utf-8")
        files = [(LocalFile(path), registry.sources()["csv"])]
        return ingest(files, self.ledger, SETTINGS, lambda *_: None)

    def said(self, nth: int, accounts: int = 30, **how) -> list[str]:
        done = self.take(FIRST + timedelta(days=nth), accounts, **how)
        return quality_warnings(self.ledger, done, SETTINGS)


def test_what_is_said_of_a_day(tmp_path):
    office = Office(tmp_path)
    assert office.said(21) == []
    (rejects,) = office.said(22, bad=40)
    assert rejects.startswith("csv: 40 of 70 records were rejected")
    (new,) = office.said(23, first=20)
    assert new.startswith("20 accounts of 30 (66.7%) were never seen")
    (unknown,) = office.said(24, rows="")
    assert unknown.startswith("100.0% of the reads do not say how many")
    (absent,) = office.said(27)
    assert absent == "no data of 2 days that mostly has some: 2024-01-26, 2024-01-27"


def test_settings_of_health_are_checked():
    assert from_mapping({"health": {"most_rejects": 1}}).health_limit("most_rejects") == 1
    for wrong in ({"most": 1}, {"most_rejects": 2}, {"exit_status": 1.5}, {"exit_status": 256}, 5):
        with pytest.raises(SettingsError, match="health"):
            from_mapping({"health": wrong})


def test_a_slip_of_the_pen_within_a_table_is_told_with_the_nearest_key():
    with pytest.raises(SettingsError) as refused:
        from_mapping({"health": {"most_reject": 1}}, "detector.toml")
    assert str(refused.value) == (
        "detector.toml: [health] has no setting 'most_reject'; did you mean 'most_rejects'?"
    )


def test_a_watched_log_with_many_rejects_is_told_once():
    health = Health(0, "m")
    bad = Log(1, "audit.log", 1, 1, "ndjson", "growing", events=800, rejects=4_000)
    (alert,) = health.check([bad], 0.0)
    assert "4,000 of 4,800 records were rejected" in alert["reasons"][0]
    assert health.check([bad], 5.0) == []
    out = Log(2, "b.log", 1, 1, "ndjson", "growing", stage="left out", reason="is binary")
    assert [alert["reasons"] for alert in health.check([out], 5.0)] == [["is binary"]]


def test_many_new_names_are_told_once_a_day():
    found = NewAccounts({f"agent{who}" for who in range(100)})
    health = Health(0, "m")
    found.add(FIRST, [f"agent{who}" for who in range(100)])
    assert health.new_account_alerts(found, 0.0) == []
    found.add(FIRST, [f"eve{who}" for who in range(200)])
    assert "200 accounts" in health.new_account_alerts(found, 0.0)[0]["reasons"][0]
    assert health.new_account_alerts(found, 5.0) == []
    found.add(FIRST + timedelta(days=1), [f"eve{who}" for who in range(200)])  # known by now
    assert health.new_account_alerts(found, 0.0) == []
