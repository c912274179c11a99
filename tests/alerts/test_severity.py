"""How severe: by what the organisation reads, pace, shares of tables, and the surprise."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alerts.severity import (
    EXTREME_SURPRISE,
    SEVERITY_ORDER,
    Bounds,
    Impact,
    assess_severity,
)
from detector.core.settings import ImpactBounds as Bound
from detector.core.settings import Settings


def office(usual: float, accounts: int = 30) -> Bounds:
    """An office where ``usual`` records a day are usual, with two jobs that read millions."""
    names = ["rows_centre"]
    rows = [[float(pl.Series([usual]).log1p()[0])]] * accounts + [[15.0]] * 2
    levels = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        entity_kind=pl.lit("account")
    )
    return Bounds.from_settings(Settings(), levels)


def test_bounds_follow_the_organisation_s_own_volumes() -> None:
    small, large = office(80), office(400)
    assert small.medium < large.medium < 5 * small.medium + 1
    # A thief of ten times the usual: medium on the first day, high on the third.
    assert assess_severity(Impact(9 * 80), small) == "medium"
    assert assess_severity(Impact(3 * 9 * 80), small) == "high"
    assert assess_severity(Impact(9 * 80), large) == "low"
    # A partner's account of the sample at its first alert.
    assert assess_severity(Impact(5_892, excess_surprise=1.5), office(271)) == "high"


@given(st.floats(0, 1e9), st.floats(0, 1e9))
@settings(max_examples=30)
def test_forty_three_million_are_critical_anywhere_and_more_is_never_less(
    usual: float, records: float
) -> None:
    bounds = office(usual)
    assert bounds.medium <= bounds.high <= bounds.critical
    assert assess_severity(Impact(43_000_000), bounds) == "critical"
    steps = [SEVERITY_ORDER.index(assess_severity(Impact(records * n), bounds)) for n in (1, 2, 10)]
    assert steps == sorted(steps)


def test_nothing_learned_takes_bounds_of_its_own() -> None:
    bounds = Bounds.from_settings(Settings(), pl.DataFrame())
    assert [assess_severity(Impact(n), bounds) for n in (999, 1_000, 10_000, 100_000)] == list(
        SEVERITY_ORDER
    )


@pytest.mark.parametrize(
    "given",
    [
        *(Bound(medium=7), Bound(high=7), Bound(critical=7)),
        *(Bound(medium=10**6), Bound(high=10**6), Bound(1, 2, 3)),
    ],
)
def test_bounds_that_are_set_hold_and_move_the_others(given: Bound) -> None:
    levels = pl.DataFrame({"entity_kind": ["account"], "rows_centre": [5.0]})
    bounds = Bounds.from_settings(Settings(impact=given), levels)
    assert bounds.medium <= bounds.high <= bounds.critical
    for name in ("medium", "high", "critical"):
        if getattr(given, name) is not None:
            assert getattr(bounds, name) == getattr(given, name)


def test_what_raises_it_beside_the_records() -> None:
    bounds = Bounds(1_000, 10_000, 100_000)

    def of(records: float, **more: float) -> str:
        return assess_severity(Impact(records, **more), bounds)

    assert of(1) == "low"
    assert of(1, unknown_statements=1) == "medium"
    assert of(1, is_sensitive=True) == "medium"
    assert of(10_000, is_sensitive=True) == "critical"
    assert of(1_000, excess_surprise=EXTREME_SURPRISE) == "high"
    assert of(1_000, excess_surprise=EXTREME_SURPRISE - 0.1) == "medium"
    assert of(600, records_per_hour=100_000 / 24) == "high"
    assert of(1_000, table_size=99_000) == "high"
    assert of(1_000, table_size=9_900) == "critical"
    assert of(999, table_size=9_900) == "low"
    assert of(10**9, is_sensitive=True, excess_surprise=9.0, unknown_statements=3) == "critical"
