"""Nothing excuses magnitude: neither newness, nor a long habit, nor what trees have learned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_office import (
    CUT,
    FAMILIES,
    FEW,
    JOB,
    LATER,
    NAMES,
    SCORED,
    START,
    Office,
    agent,
    days,
    directory,
    honest_events,
    joined,
    pages,
    trained_once,
)

from detector.features.aggregates import ACCOUNT
from detector.features.feature import available_families
from detector.features.population import FIGURE_NAMES
from detector.model.ensemble import FOREST_COLUMNS

STRANGER = "temp.nobody-knows"


def _at_once(account: str, day, rows: int) -> pl.DataFrame:
    """One statement at ten in the morning."""
    one = pages(0, [day], 1).with_columns(
        account=pl.lit(account), rows=pl.lit(rows, pl.Int64), object=pl.lit("person")
    )
    return one.with_columns(
        timestamp=pl.lit(day).cast(pl.Datetime("us", "UTC")).dt.offset_by("10h")
    )


def _of(scored: pl.DataFrame, name: str) -> pl.DataFrame:
    return scored.filter(pl.col("entity_kind") == ACCOUNT, pl.col("entity") == name)


@pytest.mark.parametrize("rows", [1_000_000, 43_000_000])
def test_whom_nobody_knows_is_not_excused(rows, model):
    office = Office.of(joined(honest_events(), _at_once(STRANGER, SCORED[2], rows)))
    theirs = _of(office.score(model, SCORED[:3]), STRANGER)
    assert theirs["alarming"].any()
    assert theirs["surprise"].max() >= model.threshold + 1.5


@pytest.mark.slow
def test_a_theft_of_the_whole_past_is_not_usual_for_having_been_there():
    resident = agent(7)
    events = joined(honest_events(), pages(7, days(START, len(LATER) + 63), 60))
    office = Office.of(events.filter(FEW))
    model = office.before(CUT).model()
    assert resident in model.contaminated_accounts
    worst = _of(office.score(model, SCORED[:3]), resident)["surprise"].max()
    assert worst >= model.threshold


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """The model of an office whose directory says which account is a service."""
    return trained_once(tmp_path_factory, "listed")


@pytest.mark.slow
def test_a_service_that_does_what_it_always_did_stays_silent(honest, listed):
    scored = _of(honest.score(listed, SCORED, directory()), JOB)
    assert not scored.is_empty()
    assert (scored["accountable"] == 0).all()
    assert not scored["alarming"].any()


@pytest.mark.slow
def test_a_service_that_reads_a_hundredfold_is_accountable(listed):
    events = joined(honest_events(), _at_once(JOB, SCORED[3], 5_000_000))
    scored = _of(Office.of(events).score(listed, SCORED[:4], directory()), JOB)
    assert scored.filter(pl.col("day") == SCORED[3])["accountable"].max() == 1
    assert scored["alarming"].any()


@pytest.mark.slow
def test_records_a_day_of_the_settings_fires_whatever_history_says(honest, model):
    rules = honest.settings
    busiest = honest.score(model, SCORED).filter(pl.col("entity_kind") == ACCOUNT)
    most = int(busiest["rows"].max())
    strict = replace(rules, impact=replace(rules.impact, records_a_day=most))
    scored = replace(honest, settings=strict).score(model, SCORED)
    due = scored.filter(pl.col("entity_kind") == ACCOUNT, pl.col("rows") >= most)
    assert not due.is_empty()
    assert (due["surprise"] >= model.threshold).all()


def test_who_has_neither_past_nor_peers_is_not_called_normal(model):
    lone = _at_once(STRANGER, SCORED[0], 500)
    scored = Office.of(joined(lone)).score(model, SCORED[:1])
    assert _of(scored, STRANGER)["surprise"].to_list() == [None]
    theft = _at_once(STRANGER, SCORED[0], 43_000_000)
    scored = Office.of(joined(theft)).score(model, SCORED[:1])
    assert _of(scored, STRANGER)["alarming"].any()


def test_no_voice_has_a_veto(honest, model):
    """However trees judge a day, it is worth what its oddest voices support."""
    judge = model.kind_models[ACCOUNT]
    accounts = honest.score(model, SCORED).filter(pl.col("entity_kind") == ACCOUNT)
    surprises = judge.ensemble.surprises(accounts)
    there = available_families(FAMILIES, judge.ensemble.feature_names)
    support = judge.ensemble.support_score(
        surprises, judge.ensemble.forest_surprise(accounts, surprises), there
    )
    least = np.round(judge.final_calibration.surprise(support), 6)
    assert (accounts["surprise"].to_numpy() >= least - 1e-6).all()
    assert (support > 0).any()


@given(st.integers(0, len(FOREST_COLUMNS) - 1), st.floats(0, 8), st.floats(0, 8))
def test_the_features_of_the_population_only_add(model, at, low, high):
    """Who does more, in one figure, is never less odd by that figure."""
    low, high = sorted((low, high))
    tail = model.kind_models[ACCOUNT].ensemble.calibrations[NAMES.index(FOREST_COLUMNS[at])]
    less, more = tail.surprise(np.array([low, high]))
    assert more >= less


def test_every_figure_of_the_population_is_heard(honest, model):
    scored = honest.score(model, SCORED)
    accounts = scored.filter(pl.col("entity_kind") == ACCOUNT)
    for figure in FIGURE_NAMES:
        excess = accounts[f"{figure}_excess"]
        assert excess.null_count() == 0
        assert excess.is_between(0, 8).all()
    assert (accounts["month_records"] >= accounts["rows"]).all()


def test_the_month_is_the_sum_of_its_days(honest, model):
    day = SCORED[-1]
    scored = _of(honest.score(model, [day]), agent(3)).sort("hour")
    hours = honest.hours.filter(
        pl.col("account") == agent(3),
        pl.col("hour").dt.date().is_between(day - timedelta(days=27), day),
    )
    assert scored["month_records"][-1] == hours["rows"].sum()
    assert scored["month_hours"][-1] == hours["hour"].n_unique()


def test_without_a_past_of_anybody_nobody_is_in_excess_of_peers(model):
    """A ledger that was begun anew: what is not known is no reason."""
    first = Office.of(honest_events()).since(SCORED[0])
    scored = first.score(model, SCORED[:1]).filter(pl.col("entity_kind") == ACCOUNT)
    for figure in FIGURE_NAMES:
        assert (scored[f"{figure}_excess"] == 0).all()
    assert len(scored.filter("alarming")) <= 3
