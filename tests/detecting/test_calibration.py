"""Surprise is -log10 of a p-value: it ranks, it is finite, and it keeps its word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detector.model import calibration as tails
from detector.model.calibration import Tail

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
    again = Tail.from_json(tail.to_json())
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
