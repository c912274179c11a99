"""A theft under way when a model is made is named, and does not become usual."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from small_office import (
    CUT,
    FAMILIES,
    FEW,
    JOB,
    SCORED,
    Office,
    agent,
    days,
    directory,
    honest_events,
    joined,
    pages,
)

from detector.alerts import lookback_report
from detector.features.aggregates import ACCOUNT
from detector.model.lookback import rank_span, restrict_suspects
from detector.model.training_data import TrainingData

THIEF = agent(11)
BEGINS = CUT - timedelta(days=20)


def _data(office: Office, people: pl.DataFrame | None = None) -> TrainingData:
    return TrainingData(office.hours, office.touched, people, office.settings, FAMILIES)


@pytest.fixture(scope="module")
def under_way():
    return Office.of(joined(honest_events(), pages(11, days(BEGINS, 40), 300)))


@pytest.fixture(scope="module")
def found(under_way):
    """What a lookback says on the eve of the scored days."""
    return rank_span(_data(under_way.before(CUT)))


@pytest.fixture(scope="module")
def few():
    return Office.of(joined(honest_events(), pages(11, days(BEGINS, 40), 300)).filter(FEW))


@pytest.fixture(scope="module")
def trained(few):
    """The model that was made in the middle of the theft."""
    return few.before(CUT).model()


def test_a_theft_under_way_leads_the_list(found):
    first = found.row(0, named=True)
    assert (first["entity"], first["suspect"]) == (THIEF, True)
    assert BEGINS <= first["since"] <= BEGINS + timedelta(days=7)


@pytest.mark.slow
def test_a_theft_under_way_fires_on_the_first_scored_day(few, trained):
    assert THIEF in trained.contaminated_accounts
    scored = few.score(trained, SCORED[:1])
    theirs = scored.filter(pl.col("entity_kind") == ACCOUNT, pl.col("entity") == THIEF)
    assert theirs["alarming"].any()


@pytest.mark.slow
def test_honest_offices_have_hardly_a_suspect(honest):
    found = rank_span(_data(honest.before(CUT)))
    assert found.height == found["entity"].n_unique()
    people = found.filter(pl.col("entity") != "svc.nightly")  # a service that no directory names
    assert people["suspect"].sum() <= 2


def test_a_few_days_are_enough_to_look_back(under_way):
    few = Office(
        under_way.hours.filter(pl.col("hour").dt.date().is_between(CUT, CUT + timedelta(days=6))),
        under_way.touched.filter(pl.col("day").is_between(CUT, CUT + timedelta(days=6))),
    )
    assert rank_span(_data(few))["entity"][0] == THIEF


@pytest.mark.slow
def test_accounts_left_out_of_the_sample_are_looked_at_too(under_way):
    office = under_way.before(CUT)
    some = pl.col("account").is_in([agent(n) for n in range(48, 96)])
    data = TrainingData(
        office.hours.filter(some),
        office.touched.filter(some),
        None,
        office.settings,
        FAMILIES,
        all_shards=lambda: iter([(office.hours, office.touched)]),
        sample_share=0.5,
    )
    found = rank_span(data)
    assert found["entity"].n_unique() == office.hours["account"].n_unique()
    assert THIEF in found.head(3)["entity"]


@pytest.mark.slow
def test_services_are_listed_and_bend_no_training(honest):
    found = rank_span(_data(honest.before(CUT), directory()))
    service = found.filter(pl.col("entity") == JOB)
    assert service["suspect"].to_list() == [False]


def test_a_suspect_keeps_what_looks_honest_of_its_baseline(trained):
    learned = trained.baselines
    mine = learned.levels.filter(pl.col("entity_kind") == ACCOUNT, pl.col("entity") == THIEF)
    assert (mine["rows_centre"] <= mine["rows_floor"] + 1e-9).all()
    assert restrict_suspects(learned, pl.Series([], dtype=pl.String)) is learned
    again = restrict_suspects(learned, pl.Series([THIEF]))
    assert again.levels.columns == learned.levels.columns
    others = pl.col("entity") != THIEF
    assert again.levels.filter(others).equals(learned.levels.filter(others))


def test_the_list_says_why_in_words(found):
    shown = lookback_report.to_dicts(found, FAMILIES, 3)
    assert shown[0]["account"] == THIEF
    assert shown[0]["reasons"]
    words = lookback_report.lines(shown)
    assert THIEF in words[0]
    assert "peers" in words[0]
