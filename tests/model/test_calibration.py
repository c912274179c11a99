"""Surprise is -log10 of a p-value: it ranks, it is finite, and it keeps its word."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detector.model import calibration as tails
from detector.model.calibration import Calibration

numbers = st.floats(-1e6, 1e6, allow_nan=False)
samples = arrays(np.float64, st.integers(0, 300), elements=numbers)


@given(samples, arrays(np.float64, 20, elements=numbers))
@hypothesis_settings(max_examples=100)
def test_surprise_never_falls_as_a_number_grows_and_is_never_negative(sample, asked):
    surprise = tails.fit(sample, 0.1).surprise(np.sort(asked))
    assert np.isfinite(surprise).all()
    assert (surprise >= 0).all()
    assert (np.diff(surprise) >= 0).all()


@given(samples)
@hypothesis_settings(max_examples=50)
def test_a_stored_tail_says_the_same(sample):
    tail = tails.fit(sample, 0.1)
    again = Calibration.from_json(tail.to_json())
    asked = np.linspace(-10, 10, 50)
    assert np.array_equal(tail.surprise(asked), again.surprise(asked))


@pytest.mark.parametrize("surprise", [1.0, 2.0, 3.0])
def test_p_values_are_kept_on_fresh_draws(surprise):
    rng = np.random.default_rng(5)
    tail = tails.fit(rng.exponential(1.0, 20_000), 0.1)
    fresh = tail.surprise(rng.exponential(1.0, 400_000))
    assert np.mean(fresh >= surprise) == pytest.approx(10**-surprise, rel=0.35)


def test_nothing_seen_is_no_surprise():
    tail = tails.fit(np.arange(100.0), 0.1)
    assert tail.surprise(np.array([np.nan])).tolist() == [0.0]


def test_what_never_varied_in_training_does_not_shout_at_the_first_change():
    tail = tails.fit(np.zeros(1000), 0.25)
    assert tail.surprise(np.array([0.0]))[0] == 0.0
    assert 3 < tail.surprise(np.array([1.0]))[0] < 6


@given(st.lists(st.integers(0, 4), min_size=41, max_size=200))
def test_of_exact_ties_each_counts_as_at_least_as_odd(values):
    """A day that is just as odd as many is as rare as all of those are, not as their last one."""
    sample = np.array(values, dtype=np.float64)
    tail = tails.fit(sample, 0.1)
    for value in np.unique(sample[sample <= tail.start]):
        wanted = min(1.0, ((sample >= value).sum() + 1) / (len(sample) + 1))
        assert tail.surprise(np.array([value]))[0] == pytest.approx(-math.log10(wanted))
        between = tail.surprise(np.array([value + 0.5]))[0]
        assert between == tail.surprise(np.array([value]))[0] or value == tail.start


def test_a_known_sample_with_ties_gives_the_surprise_worked_out_by_hand():
    """Fifty zeros, thirty ones, twenty twos: the tail begins at the last one."""
    tail = tails.fit(np.repeat([0.0, 1.0, 2.0], [50, 30, 20]), 0.1)
    assert (tail.start, tail.start_share, tail.scale) == (1.0, 21 / 101, 1.0)
    asked = tail.surprise(np.array([-1.0, 0.0, 0.99, 1.0, 2.0, 4.0]))
    inside = [0.0, 0.0, 0.0, -math.log10(51 / 101)]
    beyond = [-math.log10(21 / 101) + far * math.log10(math.e) for far in (1, 3)]
    assert asked == pytest.approx(inside + beyond)
    for surprise in (1.0, 3.5):
        assert tail.surprise(np.array([tail.number_at(surprise)]))[0] == pytest.approx(surprise)


@pytest.mark.parametrize(("number", "quantile"), [(20, 0.5), (21, 0.5), (40, 0.5), (80, 0.75),
                                                  (999, 1 - 20 / 999), (1001, 0.98)])  # fmt: skip
def test_the_tail_has_twenty_days_or_begins_at_the_quantile(number, quantile):
    sample = np.arange(float(number))
    tail = tails.fit(sample, 0.1)
    assert tail.start == int(quantile * (number - 1))
    assert tail.start_share == (number - tail.start) / (number + 1)


def test_nothing_known_gives_no_surprise_up_to_zero_and_a_finite_one_beyond():
    tail = tails.fit(np.array([np.nan, np.inf]), 0.1)
    assert tail.surprise(np.array([0.0, 1.0])) == pytest.approx([0.0, math.log10(math.e)])


@pytest.mark.parametrize(
    "harm",
    [{"values": []}, {"values": [2.0, 1.0], "shares": [1.0, 1.0]}, {"shares": [0.0]},
     {"shares": [1.1]}, {"start_share": 0.0}, {"start_share": 1.01}, {"scale": 0.0},
     {"scale": -1.0}, {"start": float("nan")}, {"scale": float("inf")}, {"shares": [1.0, 1.0]}],
)  # fmt: skip
def test_a_stored_tail_that_is_none_is_refused(harm):
    whole = {"values": [0.0], "shares": [1.0], "start": 0.0, "start_share": 1.0, "scale": 1.0}
    assert Calibration.from_json(whole) == tails.fit(np.array([]), 0.1)
    with pytest.raises(ValueError, match="a tail is none"):
        Calibration.from_json({**whole, **harm})
