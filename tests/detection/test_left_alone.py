"""What must not alert: a busy day for all, an outage of the log, one more record, small change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from small_office import (
    CUT,
    DESKS,
    JOB,
    LATER,
    PEOPLE,
    START,
    TERMINALS,
    Office,
    address,
    agent,
    days,
    desk,
    directory,
    honest_events,
    joined,
    reads,
)

from detector.features import baseline_training
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP

WORK = [day for day in LATER if day.isoweekday() <= 5]


def _alerts(scored: pl.DataFrame, some: list) -> set[str]:
    return set(
        scored.filter("alarming", pl.col("entity_kind") == ACCOUNT, pl.col("day").is_in(some))[
            "entity"
        ]
    )


def _knowing(model, office: Office, people: pl.DataFrame | None = None):
    """The model with the baselines of another office: what is usual changes, the judges stay."""
    learned = baseline_training.train_baselines(
        office.hours, office.touched, people, office.settings
    )
    return replace(model, baselines=learned)


def _account(scored: pl.DataFrame, name: str) -> pl.DataFrame:
    return scored.filter(pl.col("entity_kind") == ACCOUNT, pl.col("entity") == name)


@pytest.fixture(scope="module")
def usual(honest, model):
    return honest.score(model, LATER)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1.5, 2.0])
def test_a_campaign_day_of_the_whole_organisation_does_not_alert_everyone(times, model, usual):
    """All read so many times as much on two days, and everyone is above the own usual day."""
    busy = WORK[8:10]
    office = Office.of(honest_events(busy=dict.fromkeys(busy, times)))
    scored = office.score(model, LATER)
    ends = scored.filter(pl.col("day").is_in(busy), pl.col("entity_kind") == ACCOUNT)
    above = (
        ends.group_by("entity", "day")
        .last()
        .select(pl.col("statements") > pl.col("statements_usual"))
    )
    assert above.to_series().mean() > 0.75
    assert len(_alerts(scored, busy) - _alerts(usual, busy)) <= 0.15 * PEOPLE


@pytest.mark.slow
def test_what_all_do_more_of_is_taken_out_of_what_one_does(model):
    """On a day when all read twice as much, who reads twice as much is as far from usual as on
    a day when nobody does more."""
    busy = WORK[8]
    plain, moved = honest_events(), honest_events(busy={busy: 2.0})
    held = []
    for log in (plain, moved):
        ends = Office.of(log).score(model, [busy]).filter(pl.col("entity_kind") == ACCOUNT)
        held.append(ends.group_by("entity").last()["statements_vs_own"].median())
    assert abs(held[1] - held[0]) < 0.5


def _without(log: pl.DataFrame, some: list) -> pl.DataFrame:
    return log.filter(~pl.col("timestamp").dt.date().is_in(some))


@pytest.mark.slow
def test_days_that_the_log_missed_are_not_days_on_which_nothing_was_read(honest_log, model):
    """Twelve of the past twenty workdays are missing; what is usual stays what it was."""
    day = WORK[-1]
    past = [other for other in WORK if other < day][-20:]
    holes = [other for at, other in enumerate(past) if at % 5 < 3]
    told = [
        Office.of(log).score(model, [day]).filter(pl.col("entity_kind") == ACCOUNT)
        for log in (honest_log, _without(honest_log, holes))
    ]
    for usual in ("statements_usual", "peak_usual", "hours_usual"):
        both = told[0].join(told[1], on=["entity", "hour"], suffix="_later")
        change = both.select((pl.col(f"{usual}_later") + 1) / (pl.col(usual) + 1)).to_series()
        assert len(change) > PEOPLE
        assert 0.9 < change.median() < 1.1, usual
        assert change.quantile(0.05) > 0.6, usual


@pytest.mark.slow
def test_half_days_that_the_log_missed_do_not_make_the_next_weeks_odd(honest_log, model):
    half = pl.col("timestamp").dt.date().is_in(WORK[6:8]) & (pl.col("timestamp").dt.hour() >= 13)
    scored = Office.of(honest_log.filter(~half)).score(model, LATER)
    after = [day for day in LATER if day > WORK[7]]
    # The promise itself: honest days, so all of these are false alerts.
    assert len(_alerts(scored, after)) <= model.alerts_per_day * len(after)


@pytest.mark.slow
def test_a_week_that_the_log_missed_does_not_make_the_next_weeks_odd(honest_log, model):
    holes = days(LATER[7], 7)
    scored = Office.of(_without(honest_log, holes)).score(model, LATER)
    after = [day for day in LATER if day > holes[-1]]
    assert len(_alerts(scored, after)) <= model.alerts_per_day * len(after)


def _steady(log: pl.DataFrame, number_of_records: int, last: dict[int, int]) -> pl.DataFrame:
    """The log with an account that reads ten lists of so many records on every workday, and on
    the days in ``last`` (by number of workday in WORK) so many in all."""
    rng = np.random.default_rng(3)
    frames = []
    for day in days(START, (LATER[-1] - START).days + 1):
        if day.isoweekday() > 5:
            continue
        made = reads(rng, day, np.zeros(10, int), np.full(10, 10.5), 0.0)
        rows = np.full(10, number_of_records)
        if day in WORK and WORK.index(day) in last:
            rows[0] += last[WORK.index(day)] - 10 * number_of_records
        frames.append(made.with_columns(rows=pl.Series(rows)))
    mine = pl.concat(frames).with_columns(
        account=pl.lit("steady"), client_address=pl.lit("10.0.0.200"), object=pl.lit("north.file")
    )
    return joined(log, mine)


@pytest.mark.slow
@pytest.mark.parametrize("records", [1, 10])
def test_a_constant_history_does_not_make_one_more_record_an_anomaly(honest_log, model, records):
    office = Office.of(_steady(honest_log, records, {5: 10 * records + 1}))
    scored = office.score(_knowing(model, office.before(CUT)), WORK[:6])
    own = _account(scored, "steady")
    assert not own["alarming"].any()
    before, after = (own.filter(pl.col("day") == WORK[at])["surprise"].max() for at in (4, 5))
    assert after - before < 0.3


def test_and_a_hundred_times_as_many_is_one(honest_log, model):
    """So that the test above is not passed by an account that can never alert."""
    office = Office.of(_steady(honest_log, 10, {5: 10_000}))
    scored = office.score(_knowing(model, office.before(CUT)), WORK[:6])
    assert _account(scored, "steady")["alarming"].any()


def test_addresses_of_one_person_are_judged_through_the_person(usual):
    """A private address would only repeat its account, and shared ones be compared with it."""
    judged = set(usual.filter(pl.col("entity_kind") == ADDRESS)["entity"])
    assert judged == set(TERMINALS)
    assert address(0) not in judged


def test_a_group_of_one_is_judged_through_its_account(honest, model):
    """The nightly job alone is the services of its desk."""
    known = _knowing(model, honest.before(CUT), directory())
    scored = honest.score(known, WORK[:2], directory())
    groups = set(scored.filter(pl.col("entity_kind") == GROUP)["entity"])
    assert groups == {f"desk {name}" for name in DESKS}
    assert _account(scored, JOB)["group"].unique().to_list() == ["desk north (services)"]


@pytest.mark.slow
def test_a_new_address_that_many_share_says_less_than_a_private_one(honest_log, model):
    day = WORK[0]
    today = pl.col("timestamp").dt.date() == day
    new = {"private": "172.16.0.9", "shared": TERMINALS[0]}
    told = {}
    for what, other in new.items():
        log = honest_log.with_columns(
            client_address=pl.when(today & (pl.col("account") == agent(0)))
            .then(pl.lit(other))
            .otherwise("client_address")
        )
        told[what] = _account(Office.of(log).score(model, [day]), agent(0))["new_addresses"].max()
    assert told["private"] == 1
    assert told["shared"] == 0


def test_a_service_account_is_no_colleague_of_the_people_it_works_for(honest, model):
    """What people of a desk are held against must not hold the nightly job's 20,000 records."""
    known = _knowing(model, honest.before(CUT), directory())
    scored = honest.score(known, WORK[:1], directory()).filter(pl.col("entity_kind") == ACCOUNT)
    groups = dict(scored.select("entity", "group").unique().iter_rows())
    assert groups[JOB] != groups[agent(0)]
    assert {groups[agent(n)] for n in range(PEOPLE) if agent(n) in groups} == {
        f"desk {name}" for name in DESKS
    }
    largest = dict(scored.select("entity", "rows_group_largest").unique().iter_rows())
    assert largest[JOB] > 10_000
    assert max(largest[agent(n)] for n in range(PEOPLE) if agent(n) in largest) < 5_000


def test_without_a_directory_a_nightly_job_is_no_colleague_either(usual):
    groups = dict(
        usual.filter(pl.col("entity_kind") == ACCOUNT)
        .select("entity", "group")
        .unique()
        .iter_rows()
    )
    assert [name for name, group in groups.items() if group == groups[JOB]] == [JOB]
    assert desk(0) in groups[agent(0)]


@pytest.mark.slow
def test_days_with_few_records_stay_silent_however_odd_they_are(honest_log, model):
    """The floor of records is the user's; an export of unknown size is never below it."""
    night = WORK[3]
    rng = np.random.default_rng(4)
    odd = reads(rng, night, np.full(30, 1), np.full(30, 3.2), 0.0).with_columns(
        client_address=pl.lit("203.0.113.9"), object=pl.lit("secret.archive")
    )
    for rows, rings in ((0, False), (None, True)):
        log = joined(
            honest_log.filter(
                (pl.col("timestamp").dt.date() != night) | (pl.col("account") != agent(1))
            ),
            odd.with_columns(rows=pl.lit(rows, pl.Int64)),
        )
        scored = _account(Office.of(log).score(model, [night]), agent(1))
        assert scored["surprise"].max() >= model.threshold
        assert scored["alarming"].any() == rings


def test_features_of_kinds_that_lack_a_measure_are_unknown_not_zero(usual):
    """Addresses and tables are summed by the day: no hours, no largest list, no exports."""
    tables = usual.filter(pl.col("entity_kind") == "object")
    for name in ("largest_vs_own", "hours_vs_own", "exports_vs_own", "new_addresses"):
        assert tables[name].null_count() == len(tables), name
        assert (tables[f"{name}_surprise"] == 0).all()


def test_days_after_the_last_one_known_are_not_needed(honest, model, usual):
    assert (
        honest.before(LATER[3] + timedelta(days=1))
        .score(model, LATER[:4])
        .equals(usual.filter(pl.col("day") <= LATER[3]), null_equal=True)
    )
