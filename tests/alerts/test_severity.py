"""How severe: by what the organisation reads, pace, shares of tables, and the surprise."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alerts.severity import EXTREME, LADDER, Bounds, Impact, severity
from detector.core.settings import Impact as Bound
from detector.core.settings import Settings


def office(usual: float, accounts: int = 30) -> Bounds:
    """An office where ``usual`` records a day are usual, with two jobs that read millions."""
    names = ["rows_centre"]
    rows = [[float(pl.Series([usual]).log1p()[0])]] * accounts + [[15.0]] * 2
    levels = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        entity_kind=pl.lit("account")
    )
    return Bounds.of(Settings(), levels)


def test_bounds_follow_the_organisation_s_own_volumes() -> None:
    small, large = office(80), office(400)
    assert small.medium < large.medium < 5 * small.medium + 1
    # A thief of ten times the usual: medium on the first day, high on the third.
    assert severity(Impact(9 * 80), small) == "medium"
    assert severity(Impact(3 * 9 * 80), small) == "high"
    assert severity(Impact(9 * 80), large) == "low"
    # A partner's account of the sample at its first alert.
    assert severity(Impact(5_892, beyond=1.5), office(271)) == "high"


@given(st.floats(0, 1e9), st.floats(0, 1e9))
@settings(max_examples=30)
def test_forty_three_million_are_critical_anywhere_and_more_is_never_less(
    usual: float, records: float
) -> None:
    bounds = office(usual)
    assert bounds.medium <= bounds.high <= bounds.critical
    assert severity(Impact(43_000_000), bounds) == "critical"
    steps = [LADDER.index(severity(Impact(records * n), bounds)) for n in (1, 2, 10)]
    assert steps == sorted(steps)


def test_nothing_learned_takes_bounds_of_its_own() -> None:
    bounds = Bounds.of(Settings(), pl.DataFrame())
    assert [severity(Impact(n), bounds) for n in (999, 1_000, 10_000, 100_000)] == list(LADDER)


@pytest.mark.parametrize(
    "given",
    [
        *(Bound(medium=7), Bound(high=7), Bound(critical=7)),
        *(Bound(medium=10**6), Bound(high=10**6), Bound(1, 2, 3)),
    ],
)
def test_bounds_that_are_set_hold_and_move_the_others(given: Bound) -> None:
    levels = pl.DataFrame({"entity_kind": ["account"], "rows_centre": [5.0]})
    bounds = Bounds.of(Settings(impact=given), levels)
    assert bounds.medium <= bounds.high <= bounds.critical
    for name in ("medium", "high", "critical"):
        if getattr(given, name) is not None:
            assert getattr(bounds, name) == getattr(given, name)


def test_what_raises_it_beside_the_records() -> None:
    bounds = Bounds(1_000, 10_000, 100_000)

    def of(records: float, **more: float) -> str:
        return severity(Impact(records, **more), bounds)

    assert of(1) == "low"
    assert of(1, unknown=1) == "medium"
    assert of(1, sensitive=True) == "medium"
    assert of(10_000, sensitive=True) == "critical"
    assert of(1_000, beyond=EXTREME) == "high"
    assert of(1_000, beyond=EXTREME - 0.1) == "medium"
    assert of(600, an_hour=100_000 / 24) == "high"
    assert of(1_000, size=99_000) == "high"
    assert of(1_000, size=9_900) == "critical"
    assert of(999, size=9_900) == "low"
    assert of(10**9, sensitive=True, beyond=9.0, unknown=3) == "critical"
