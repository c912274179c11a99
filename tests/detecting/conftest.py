"""The office of ``office``, honest and robbed, and a model of its time before the theft."""

from __future__ import annotations

import polars as pl
import pytest
from small_office import CUT, SCORED, Office, honest_events, joined, pages

from detector.forests.model import Model


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
def model(honest: Office) -> Model:
    return honest.before(CUT).model()


@pytest.fixture(scope="session")
def scored(robbed: Office, model: Model) -> pl.DataFrame:
    return robbed.score(model, SCORED)
