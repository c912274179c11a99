"""Signs of one account, by their figures: how long it was away, and what counts as a change."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from small_office import CUT, LATER, Office, agent, days, directory, reads

from detector.features import active_hours, robust_stats
from detector.features.aggregates import ACCOUNT, ENTITY_KINDS, SLOTS
from detector.features.daily_matrix import DailyMatrix

AWAY = agent(2)
BACK = CUT + timedelta(days=14)
NEW = "newcomer"


@pytest.fixture(scope="module")
def away(honest_log, model):
    """One person is away for the two weeks after training, and then back every day."""
    who = pl.col("account") == AWAY
    left = honest_log.filter(~(who & (pl.col("timestamp").dt.date() >= CUT)))
    rng = np.random.default_rng(3)
    back = [
        reads(rng, day, np.full(10, 2), rng.normal(13, 1.8, 10).clip(7, 19.9), 1.5)
        for day in days(BACK, 21)
    ]
    scored = Office.of(pl.concat([left, *back], how="diagonal")).score(model, LATER)
    own = scored.filter(pl.col("entity_kind") == ACCOUNT, pl.col("entity") == AWAY)
    return own.sort("hour").group_by("day", maintain_order=True).first()


def _on(away, day):
    return away.row(by_predicate=pl.col("day") == day, named=True)


@pytest.mark.slow
def test_who_comes_back_was_away_for_the_days_between(away):
    """Agents hardly ever work at weekends, so the last day before is a Friday or so."""
    first = _on(away, BACK)
    assert 14 <= first["idle_so_far"] <= 18
    assert first["idle_lately_days"] == first["idle_so_far"]
    assert first["idle_days"] == pytest.approx(np.log1p(first["idle_so_far"]))


def test_who_was_there_the_day_before_was_not_away_but_is_remembered_as_back(away):
    gap = _on(away, BACK)["idle_so_far"]
    for day in days(BACK + timedelta(days=1), 13):
        assert _on(away, day)["idle_so_far"] == 0
        assert _on(away, day)["idle_lately_days"] == gap


def test_after_two_weeks_the_absence_is_forgotten(away):
    assert _on(away, BACK + timedelta(days=16))["idle_lately_days"] == 0


@pytest.fixture(scope="module")
def newcomer(honest_log, model):
    """A new account reads every workday for four weeks; by the day the directory says it was hired,
    its first hours of each day.
    """
    rng = np.random.default_rng(5)
    first = CUT + timedelta(days=14)
    read = [
        reads(rng, day, np.full(10, 2), rng.normal(13, 1.8, 10).clip(7, 19.9), 1.5)
        for day in days(first, 28)
        if day.isoweekday() <= 5
    ]
    log = pl.concat(
        [honest_log, *(each.with_columns(account=pl.lit(NEW)) for each in read)], how="diagonal"
    )
    office = Office.of(log)

    def scored(hired):
        listed = directory()
        row = listed.head(1).with_columns(account=pl.lit(NEW), hired=pl.lit(hired, pl.Date))
        found = office.score(model, days(first, 28), pl.concat([listed, row]))
        own = found.filter(pl.col("entity_kind") == ACCOUNT, pl.col("entity") == NEW)
        return own.sort("hour").group_by("day", maintain_order=True).first()

    return first, scored


def test_an_account_hired_years_ago_that_reads_for_the_first_time_was_silent_until_today(newcomer):
    first, scored = newcomer
    found = scored(first - timedelta(days=2000))
    assert found["idle_so_far"][0] >= 30
    assert found["idle_days"][0] == pytest.approx(np.log1p(found["idle_so_far"][0]))
    assert found["idle_so_far"][1] == 0
    # Six weeks are looked back on: the first of them is another day by now.
    assert found["idle_lately_days"][1] == found["idle_so_far"][0] - 1


@pytest.mark.slow
@pytest.mark.parametrize("early", [0, 1, 3])
def test_who_was_hired_a_few_days_before_was_not_away(newcomer, early):
    first, scored = newcomer
    found = scored(first - timedelta(days=early))
    assert found["idle_so_far"][0] == early
    assert found["idle_lately_days"].max() <= 3


def test_a_directory_that_lags_behind_makes_no_absence(newcomer):
    first, scored = newcomer
    found = scored(first + timedelta(days=7))
    assert found["idle_so_far"].max() <= 3
    assert found["idle_lately_days"].max() <= 3


def test_without_a_day_of_hiring_nothing_is_said_of_a_new_account(newcomer):
    _, scored = newcomer
    found = scored(None)
    assert found["idle_days"].null_count() == len(found)
    assert found["idle_lately"].null_count() == len(found)


def test_an_hour_is_strange_by_the_days_before_today_alone():
    """That someone is here at three does not make three usual."""
    some = days(CUT - timedelta(days=35), 36)
    off = np.array([day.isoweekday() > 5 for day in some])
    active = np.zeros((1, len(some), SLOTS), dtype=bool)
    active[:, ~off, 10] = True
    active[:, -1, 3] = True
    panel = DailyMatrix(["ann"], some, {}, active, off, per_member=False)
    habit = np.full((2, 1, SLOTS), 0.002)
    own = active_hours.ActivityProfile.from_habits(
        np.zeros((2, 1, SLOTS + 1)), habit, pl.DataFrame(schema=active_hours.HOUR_SCHEMA), panel
    )
    strange = own.hour_surprise(panel, some[-1]).with_shift(active[:, -1].sum(axis=0))[0]
    # 20 workdays in the four weeks before, none at three; the group's habit weighs three days.
    assert strange[3] == pytest.approx(np.log10(0.1) - np.log10(3 * 0.002 / 23))
    assert strange[10] == 0


def test_nobody_is_held_to_be_steadier_than_the_floor(scored):
    """A person who never varied may read a third more; what many do together varies less."""
    least = {}
    for kind in ENTITY_KINDS:
        own = scored.filter(pl.col("entity_kind") == kind)
        spreads = own.select(pl.col("^(statements|rows|log_rows|hours)_(frozen_)?spread$").min())
        least[kind] = min(value for value in spreads.row(0) if value is not None)
    assert least.pop(ACCOUNT) >= 0.3 - 1e-9
    assert min(least.values()) >= 0.1 - 1e-9
    assert max(least.values()) < 0.3


def test_a_constant_history_has_the_floor_s_spread_and_a_varied_one_its_own():
    constant = np.full((1, 40), 2.0)
    assert robust_stats.spread(constant, 0.3) == pytest.approx([0.3])
    varied = np.random.default_rng(1).normal(2.0, 0.8, (1, 4000))
    assert robust_stats.spread(varied, 0.3) == pytest.approx([0.8], rel=0.1)


def test_a_measure_that_is_nothing_on_most_days_has_the_spread_of_its_other_days():
    """Its median deviation is 0, as for work at night; the 90th percentile sees it."""
    seldom = np.tile([0.0, 0.0, 0.0, 0.0, 3.0], 20)[None, :]
    assert robust_stats.spread(seldom, 0.3)[0] > 2
