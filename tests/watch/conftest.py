"""A model of the small office, and a folder to watch in."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from small_office import CUT, SCORED, honest_events, joined, pages, trained_once
from watched import Clock, Kit

from detector.core.settings import Settings
from detector.model.model import Model
from detector.watch.day_scoring import DayScorer


@pytest.fixture(scope="session")
def office_log() -> pl.DataFrame:
    """Two weeks that the model does not know, in which agent00 is drained by pages."""
    log = joined(honest_events(until=77), pages(0, SCORED, 900))
    return log.filter(pl.col("timestamp").dt.date() >= CUT).drop("other_objects")


@pytest.fixture(scope="session")
def office_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return trained_once(tmp_path_factory)


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting alone: days that are over are not scored."""
    monkeypatch.setattr(DayScorer, "score_complete", lambda *_, **__: [])


@pytest.fixture
def kit(tmp_path: Path, office_model: Model) -> Kit:
    (tmp_path / "logs").mkdir()
    return Kit(tmp_path, office_model, Settings(), Clock())
