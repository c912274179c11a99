"""How the statements of an hour lie in it: even steps, runs without a pause."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from detector.campaigns.patterns import even_minutes, random_minutes
from detector.features.minute_aggregates import MIN_STEPS, THOUSANDTHS, minute_pattern


def _mask(minutes: set[int]) -> int:
    return sum(1 << minute for minute in minutes)


def _shape(minutes: set[int]) -> dict:
    found = minute_pattern(pl.Series([_mask(minutes)])).row(0, named=True)
    return found | {"even": found["even"] / THOUSANDTHS}


@pytest.mark.parametrize("step", [1, 2, 5, 7])
def test_even_steps_are_more_even_than_chance(step):
    assert _shape(set(range(0, 60, step)))["even"] > 1


def test_a_screenful_at_a_time_is_not_even():
    assert _shape({3, 4, 5, 19, 20, 41, 42, 43, 58})["even"] == 0


@given(st.sets(st.integers(0, 59)))
@hypothesis_settings(max_examples=200)
def test_the_longest_run_is_that_of_the_minutes(minutes):
    marks = "".join("x" if minute in minutes else " " for minute in range(60))
    assert _shape(minutes)["unbroken"] == max(map(len, marks.split(" ")))


@given(st.sets(st.integers(0, 59), max_size=MIN_STEPS))
@hypothesis_settings(max_examples=50)
def test_of_few_minutes_nothing_is_said(minutes):
    assert _shape(minutes)["even"] == 0


def test_minutes_drawn_by_chance_are_as_even_as_the_paper_says():
    """Of intervals that chance cuts, those more even than their mean are by about one deviation."""
    random = np.random.default_rng(5)
    even = (
        minute_pattern(pl.Series(random_minutes([12] * 4000, random)))["even"].to_numpy()
        / THOUSANDTHS
    )
    assert 0.25 < even.mean() < 0.6
    assert np.quantile(even, 0.99) < 2.5


@given(st.integers(1, 200))
def test_a_script_leaves_equal_steps(statements):
    minutes = [minute for minute in range(60) if even_minutes(statements) >> minute & 1]
    assert len(minutes) == min(statements, 60)
    assert np.ptp(np.diff(minutes)) <= 1 if len(minutes) > 1 else minutes == [0]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30), st.integers(0, 99))
@hypothesis_settings(max_examples=50)
def test_no_more_minutes_than_statements(statements, seed):
    masks = random_minutes(statements, np.random.default_rng(seed)).tolist()
    for made, mask in zip(statements, masks, strict=True):
        assert min(made, 1) <= mask.bit_count() <= min(made, 60)
