"""The threshold follows the rate of alerts, within bounds that no attacker moves."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from detector.model.threshold_control import (
    GAIN,
    MAX_BUDGET_MULTIPLE,
    MAX_OFFSET,
    MIN_OFFSET,
    threshold_offset,
)

FIRST = date(2024, 3, 1)


def _days(counts: list[int]) -> dict[date, int]:
    return {FIRST + timedelta(days=n): count for n, count in enumerate(counts)}


def _after(counts: list[int], per_day: float = 3.0) -> float:
    return threshold_offset(_days(counts), per_day, FIRST + timedelta(days=len(counts)))


def test_without_a_scored_day_the_threshold_is_that_of_training():
    assert threshold_offset({}, 3.0, FIRST) == 0.0


def test_a_rate_above_the_budget_raises_the_threshold_and_one_below_lowers_it():
    assert _after([6] * 20) > 0.2
    assert _after([0] * 20) < -0.2
    assert _after([3] * 20) == 0.0


@given(st.lists(st.integers(0, 10_000), max_size=120), st.floats(0.1, 50))
def test_it_stays_within_bounds(counts, per_day):
    assert MIN_OFFSET <= _after(counts, per_day) <= MAX_OFFSET


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.integers(0, 10**9))
def test_one_day_moves_it_by_a_bounded_step_whatever_fires(counts, flood):
    step = _after([*counts, flood]) - _after(counts)
    assert step <= GAIN * (MAX_BUDGET_MULTIPLE - 1) + 1e-9


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.data())
def test_more_alerts_on_a_day_never_lower_it(counts, data):
    at = data.draw(st.integers(0, len(counts) - 1))
    more = [*counts]
    more[at] += data.draw(st.integers(1, 50))
    assert _after(more) >= _after(counts)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=60), st.data())
def test_days_to_come_say_nothing_of_a_day(counts, data):
    at = data.draw(st.integers(1, len(counts) - 1))
    day = FIRST + timedelta(days=at)
    assert threshold_offset(_days(counts), 3.0, day) == threshold_offset(
        _days(counts[:at]), 3.0, day
    )
