"""A small honest agency, its ledger, and a model of all but its last six weeks."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from shared import made_once

from detector import registry
from detector.cli.app import run
from detector.drill.window import DrillWindow
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.ledger.store import Ledger
from detector.model import store
from detector.model.model import Model
from detector.normalize import account_directory
from simulation.agency import Agency, Plan

START = date(2024, 1, 1)
DAYS = 105
LAST = START + timedelta(days=DAYS - 1)
CUT = LAST - timedelta(days=21)


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    return made_once(tmp_path_factory, "drill", _found)


def _found(place: Path) -> None:
    plan = Plan(seed=31, accounts=50, start=START, days=DAYS, thieves=0, doublers=0)
    agency = Agency.found(plan)
    (place / "logs").mkdir()
    agency.events().write_parquet(place / "logs" / "log.parquet")
    agency.directory().write_csv(place / "directory.csv")
    (place / "detector.toml").write_text('timezone = "Europe/Paris"\n', encoding="utf-8")
    words = [
        "train", place / "logs", "--directory", place / "directory.csv", "--until", CUT,
        "--ledger", place / "ledger", "--model", place / "model",
        "--settings", place / "detector.toml",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["detector", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            run()
        assert not stop.value.code


@pytest.fixture(scope="session")
def model(place) -> Model:
    return store.load(place / "model", registry.families())


@pytest.fixture(scope="session")
def stage(place, model) -> DrillWindow:
    """The last three weeks: small, and after the model's training."""
    book = Ledger.open(place / "ledger", model.settings.timezone)
    return DrillWindow(
        book.hours(None, LAST),
        book.touched(None, LAST, FEATURE_DIMENSIONS),
        account_directory.load(place / "directory.csv"),
        model.settings,
        CUT + timedelta(days=1),
        LAST,
    )
