"""What is usual of an entity is taken off its surprise, and no theft makes itself usual."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import entity_bias
from detector.model.threshold import EPISODE_DAYS

DAY = date(2024, 1, 1)
SPAN = 50


def _days(surprises):
    """Entity to its surprise on so many days from DAY on; None where it was not there."""
    rows = [
        (name, DAY + timedelta(days=at), float(each))
        for name, days in surprises.items()
        for at, each in enumerate(days)
        if each is not None
    ]
    schema = {"entity": pl.String, "day": pl.Date, "surprise": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _office(seed=3, restless=1.2):
    """Of a hundred, one whose days are all odder by ``restless``."""
    chance = np.random.default_rng(seed)
    days = {f"name{n:02}": chance.exponential(0.43, SPAN) for n in range(100)}
    days["name07"] = days["name07"] + restless
    return days


def test_the_same_day_says_less_of_who_is_often_odd():
    days = _days(_office())
    learned, _, _ = entity_bias.fit(days, days)
    restless, calm, stranger = learned.corrected_surprise(
        pl.Series(["name07", "name08", "nobody"]), np.array([3.0, 3.0, 3.0])
    )
    assert restless < calm - 0.5
    assert abs(calm - stranger) < 0.3


@pytest.mark.parametrize("where", [0, 1])
def test_held_out_days_are_judged_without_themselves(where):
    """Of a run of odd days alone, all others calm, nothing is usual while it is judged."""
    quiet = _office(restless=0)
    loud = {name: list(days) for name, days in quiet.items()}
    run = range(20, 20 + EPISODE_DAYS)
    for at in run:
        loud["name07"][at] = 2.5
    before, after = (entity_bias.fit(*2 * [_days(each)])[0] for each in (quiet, loud))
    usual = dict(after.biases.iter_rows())["name07"] - dict(before.biases.iter_rows())["name07"]
    assert usual > 0.1
    judged = entity_bias.fit(*2 * [_days(loud)])[1 + where]
    named = _days(loud).with_columns(beyond=judged).filter(pl.col("entity") == "name07")
    rest = named.filter(pl.col("day").is_in([DAY + timedelta(days=at) for at in run]))["beyond"]
    # What the other days of it say is next to nothing, so nearly all of the surprise remains.
    alone = after.calibration.surprise(
        np.array([2.5 - entity_bias.BIAS_WEIGHT * 0.25, 2.5 + entity_bias.BIAS_WEIGHT * 0.25])
    )
    assert ((rest > alone[0]) & (rest < alone[1])).all()


def test_one_day_counts_for_no_more_than_it_may():
    quiet = _office(restless=0)
    twice = []
    for surprise in (entity_bias.MAX_SURPRISE, 50.0):
        quiet["name07"][4] = surprise
        learned, _, _ = entity_bias.fit(_days(quiet), _days(quiet))
        twice.append(dict(learned.biases.iter_rows())["name07"])
    assert twice[0] == twice[1]


def test_where_not_all_are_known_all_are_usually_as_odd():
    days = _days(_office())
    learned, _, after = entity_bias.fit_unbiased(days, days)
    assert learned.biases.is_empty()
    assert (
        len(set(learned.corrected_surprise(pl.Series(["name07", "name08"]), np.full(2, 3.0)))) == 1
    )
    # Nothing changes its rank.
    assert days.with_columns(after=after).sort("surprise")["after"].is_sorted()


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.lists(st.none() | st.floats(0, 20), min_size=1, max_size=SPAN),
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_what_is_usual_is_bounded_and_none_the_odder_for_the_order(surprises, chance):
    days = _days(surprises)
    if days.is_empty():
        return
    learned, before, after = entity_bias.fit(days, days)
    assert learned.biases["usual"].abs().max() <= entity_bias.MAX_SURPRISE
    assert len(before) == len(after) == len(days)
    assert (before >= 0).all()
    order = list(range(len(days)))
    chance.shuffle(order)
    assert entity_bias.fit(days[order], days[order])[0].biases.equals(learned.biases)
