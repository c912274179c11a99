"""What changes for honest reasons: each aspect alone, often, beside a calm agency."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from simulation.agency import CALM, Agency, Life, Plan, catalogue, jobs, workdays
from simulation.agency.people import SERVICE
from simulation.agency.realism import local

PLAN = Plan(seed=8, accounts=150, days=120, theft_days=0, thieves=0, doublers=0, rate=0.4)


def living(**life: float) -> Agency:
    return Agency.found(replace(PLAN, life=replace(CALM, **life)))


@pytest.fixture(scope="module")
def calm() -> Agency:
    return living()


def test_a_life_can_be_scaled_and_never_runs_backwards() -> None:
    assert Life().times(2).moves == 2 * Life().moves
    assert Life().times(0) == CALM
    with pytest.raises(ValueError, match="less often than never"):
        Life(moves=-1)


def test_movers_read_elsewhere_under_their_old_name() -> None:
    agency = living(moves=1.0)
    people, count = agency.people, PLAN.accounts
    later = np.arange(count, len(people))
    assert 20 < len(later) < 80
    first = np.array([people.account.index(people.account[row]) for row in later])
    assert (people.group[later] != people.group[first]).all()
    assert (people.first[later] == people.last[first] + 1).all()
    assert (people.rate[later] != people.rate[first]).all()
    statements = agency.days.statements
    for old, new in zip(first, later, strict=True):
        moved = people.first[new]
        assert statements[old, moved:].sum() == statements[new, :moved].sum() == 0
    assert not set(agency.addresses.of_day[later].ravel()[:5]) & set(
        agency.addresses.of_day[first[0]]
    ) - set(agency.addresses.pool)


def test_the_directory_lags_four_weeks_behind_a_move(calm: Agency) -> None:
    agency = living(moves=1.0)
    shown = dict(agency.directory().select("account", "group").rows())
    before = dict(calm.directory().select("account", "group").rows())
    assert list(shown) == list(before)
    assert (
        agency.directory()["hired"].to_list() == calm.directory()["hired"].to_list()
    )  # a move is no hiring
    people, late, known = agency.people, 0, 0
    for row in range(PLAN.accounts, len(people)):
        name, recent = people.account[row], people.first[row] >= PLAN.days - 28
        assert shown[name] == (before[name] if recent else people.groups[people.group[row]])
        late, known = late + recent, known + (not recent)
    assert late
    assert known


def test_some_are_away_for_weeks_and_come_back(calm: Agency) -> None:
    def returns(agency: Agency) -> int:
        worked = [np.flatnonzero(days) for days in agency.days.statements]
        return sum(len(days) > 1 and np.diff(days).max() >= 35 for days in worked)

    assert returns(living(absences=1.0)) > returns(calm) + 7


def test_quarter_ends_press_some_groups_more_than_others(calm: Agency) -> None:
    pressed = living(quarter_ends=1.0)
    plan = replace(PLAN, start=date(2024, 1, 1), days=91)
    pressure = workdays.quarter_end(plan)
    assert pressure[0] == 0.5
    assert pressure[40] == 0
    assert pressure[-1] == 1.0
    ends = workdays.quarter_end(PLAN) == 1.0
    more = pressed.days.statements[:, ends].sum() / calm.days.statements[:, ends].sum()
    same = pressed.days.statements[:, ~ends].sum() / calm.days.statements[:, ~ends].sum()
    assert more > 1.25
    assert same < 1.15


def test_auditors_read_little_and_once_much(calm: Agency) -> None:
    agency = living(audits=60.0)
    once = agency.once
    auditors = np.unique(once.account)
    assert len(auditors) >= 1
    human = agency.people.role != SERVICE
    assert (agency.people.rate[auditors] < np.median(agency.people.rate[human])).all()
    for one in auditors:
        mine = once.account == one
        assert 95_000 < once.rows[mine].sum() < 2_010_000
        assert 1 <= len(np.unique(once.day[mine])) <= 5
        tables = {catalogue.ALL[code].table for code in once.template[mine]}
        assert 2 <= len(tables) <= 6
    assert len(calm.once.day) == 0


def test_now_and_then_somebody_looks_into_a_rare_table() -> None:
    log = living(curiosity=6.0).events().filter(pl.col("object").is_in(catalogue.RARE_TABLES))
    assert 0.6 < log["account"].n_unique() / 100 < 1.5
    assert log.group_by("account").len()["len"].max() < 12


def test_a_renumbered_site_has_new_addresses_from_one_day_on(calm: Agency) -> None:
    agency = living(renumbered=100.0)
    day = agency.people.group == agency.people.group[0]
    old, new = calm.addresses, agency.addresses
    changed = old.of_day != new.of_day
    assert set(new.of_day[changed]) & set(old.of_day.ravel()) == set()
    mine = changed[day].any(axis=0)
    assert mine.argmax() > 0
    # Before it nobody's, after it everybody's at a desk.
    assert changed[day][:, mine.argmax() :].mean() > 0.5
    names = [new.book[code] for code in np.unique(new.of_day[changed])]
    assert len(set(names)) == len(names)
    assert not set(names) & set(old.book)


def test_on_a_day_of_snow_most_come_through_the_vpn(calm: Agency) -> None:
    agency = living(vpn_days=12.0)
    desk = np.flatnonzero(agency.people.role < 3)

    def share(one: Agency) -> np.ndarray:
        return np.isin(one.addresses.of_day[desk], one.addresses.pool).mean(axis=0)

    weekdays = workdays.weekday(PLAN) < 5
    assert share(calm)[weekdays].max() < 0.3
    snow = (share(agency) > 0.45).sum() - (share(calm) > 0.45).sum()
    assert 1 <= snow <= 12


def test_an_outage_leaves_hours_out_and_nothing_else(calm: Agency) -> None:
    whole, holed = calm.events(), living(outages=20.0).events()
    lost = whole.join(holed, on=whole.columns, how="anti", nulls_equal=True)
    assert len(lost) > 100
    assert len(whole) - len(holed) == pytest.approx(len(lost), rel=0.05)
    days = (
        local(lost)
        .group_by("day")
        .agg(pl.col("hour").min().alias("from"), pl.col("hour").max().alias("to"))
    )
    assert len(days) <= 15
    assert days["from"].min() >= 5
    assert days["to"].max() <= 23


def test_a_roll_out_changes_every_statement_of_an_application(calm: Agency) -> None:
    before, after = calm.events(), living(roll_outs=6.0).events()
    assert_frame_equal(before.drop("statement"), after.drop("statement"))
    both = local(before.with_columns(after["statement"].alias("new")))
    told = both.filter(pl.col("statement").is_not_null()).with_columns(
        (pl.col("statement") != pl.col("new")).alias("changed")
    )
    by_day = told.group_by("application", "day").agg(
        pl.col("changed").any().alias("any"), pl.col("changed").all().alias("all")
    )
    assert (by_day["any"] == by_day["all"]).all()
    first, last = (
        by_day.sort("day")
        .group_by("application")
        .agg(pl.col("any").first().alias("first"), pl.col("any").last().alias("last"))
        .select(pl.col("first").sum(), pl.col("last").sum())
        .row(0)
    )
    assert first < last


def test_new_jobs_start_late_and_some_jobs_grow() -> None:
    agency = living(new_jobs=2.0)
    services = np.flatnonzero(agency.people.role == SERVICE)
    late = [one for one in services if agency.people.first[one] > 0]
    assert late
    log = local(agency.events())
    for one in late:
        hers = log.filter(pl.col("account") == agency.people.account[one])
        if len(hers):
            assert hers["day"].min() >= PLAN.day(int(agency.people.first[one]))
    growing = replace(PLAN, life=replace(CALM, growing_jobs=1.0))
    grows = [jobs.growth(growing, index) for index in range(8)]
    assert min(grows) >= 0.5
    assert jobs.growth(PLAN, 0) == 0.08


def test_a_lively_log_is_whole_and_made_from_its_seed() -> None:
    plan = replace(PLAN, days=40, life=Life().times(3))
    one, two = Agency.found(plan), Agency.found(plan)
    assert_frame_equal(one.events(), two.events())
    assert one.directory()["account"].is_unique().all()
    assert set(one.events()["account"].unique()) <= set(one.directory()["account"])
