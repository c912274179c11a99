"""The office of ``office``, honest and robbed, and a model of its time before the theft."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from small_office import (
    FAMILIES,
    SCORED,
    Office,
    as_trained,
    honest_events,
    joined,
    pages,
    trained_once,
)

from detector.model import store
from detector.model.model import Model


@pytest.fixture(scope="session")
def honest_log() -> pl.DataFrame:
    return honest_events()


@pytest.fixture(scope="session")
def robbed_log(honest_log: pl.DataFrame) -> pl.DataFrame:
    """From the first day that the model does not know, agent00 is drained by pages."""
    return joined(honest_log, pages(0, SCORED, 900))


@pytest.fixture(scope="session")
def honest(honest_log: pl.DataFrame) -> Office:
    return Office.of(honest_log)


@pytest.fixture(scope="session")
def robbed(robbed_log: pl.DataFrame) -> Office:
    return Office.of(robbed_log)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """As it is stored and read again."""
    return trained_once(tmp_path_factory)


@pytest.fixture(scope="session")
def model_of_few(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same of a quarter of the office."""
    return trained_once(tmp_path_factory, "few")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same as training gave it, before it was stored."""
    return as_trained(tmp_path_factory)


@pytest.fixture(scope="session")
def scored(robbed: Office, model: Model) -> pl.DataFrame:
    return robbed.score(model, SCORED)


@pytest.fixture(scope="session")
def saved(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder, not to be changed."""
    path = tmp_path_factory.mktemp("saved") / "model"
    store.save(model, path, FAMILIES)
    return path


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(saved, tmp_path / "model")
