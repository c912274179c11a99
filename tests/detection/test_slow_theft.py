"""Thefts that no single day shows: they are found, and the same people without them are not."""

from __future__ import annotations

import polars as pl
import pytest
from small_office import LATER, Office, agent, joined, multiplied

from detector.features.aggregates import ACCOUNT

#: Two of each desk.
THIEVES = (5, 17, 22, 33, 46, 58, 71, 84)
NAMES = [agent(number) for number in THIEVES]
TWICE = [2.0] * len(LATER)
RAMP = [1 + 4 * n / (len(LATER) - 1) for n in range(len(LATER))]


def _found(scored: pl.DataFrame) -> dict[str, int]:
    """By account, on which day from the first it was found."""
    ringing = scored.filter(pl.col("alarming"), pl.col("entity_kind") == ACCOUNT)
    first = ringing.group_by("entity").agg(pl.col("day").min())
    return {name: (day - LATER[0]).days for name, day in first.iter_rows()}


@pytest.fixture(scope="module")
def left_alone(honest, model):
    return _found(honest.score(model, LATER))


@pytest.fixture(scope="module")
def found(honest_log, model):
    def of(times: list[float]) -> dict[str, int]:
        stolen = [multiplied(honest_log, number, LATER, times) for number in THIEVES]
        return _found(Office.of(joined(honest_log, *stolen)).score(model, LATER))

    return of


@pytest.mark.slow
@pytest.mark.parametrize(
    ("times", "by"),
    [
        pytest.param(TWICE, 14, id="twice the usual, in the own hours, for five weeks"),
        pytest.param(RAMP, 21, id="a little more every day, up to five times, for five weeks"),
    ],
)
def test_a_slow_theft_is_found(times, by, found, left_alone):
    caught = found(times)
    in_time = [name for name in NAMES if caught.get(name, len(LATER)) <= by]
    assert len(in_time) >= len(NAMES) - 1
    # Not because these people would be found anyway.
    assert len([name for name in NAMES if name in left_alone]) <= len(NAMES) // 3


def test_a_theft_does_not_become_the_new_normal(honest_log, model):
    """Six weeks at three times the usual: on its last day it is as loud as on its tenth."""
    stolen = multiplied(honest_log, THIEVES[0], LATER, [3.0] * len(LATER))
    scored = Office.of(joined(honest_log, stolen)).score(model, LATER)
    own = scored.filter(pl.col("entity_kind") == ACCOUNT, pl.col("entity") == NAMES[0])
    days = own.group_by("day").agg(pl.col("surprise").max()).sort("day")
    week, end = (days.filter(pl.col("day").is_in(some)) for some in (LATER[7:14], LATER[-7:]))
    assert end["surprise"].max() >= week["surprise"].max() - 0.5
    assert end["surprise"].max() >= model.threshold
