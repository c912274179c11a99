"""How far a group's members lie above what is usual of each of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from small_office import CUT, DAYS, PEOPLE, START, Office, days, desk, directory, joined, multiplied

from detector.core.settings import Settings
from detector.features import aggregates, group_deviation
from detector.features import daily_matrix as panels
from detector.features.aggregates import ACCOUNT
from detector.features.baseline_training import train_baselines
from detector.features.feature_table import group_kind
from detector.features.peer_groups import assign_groups as peer_groups
from detector.features.peer_groups import groups_by_account

SETTINGS = Settings()
SOUTH = [number for number in range(PEOPLE) if desk(number) == "south"]


def _panel(hourly: pl.DataFrame, *, per_head: bool) -> panels.DailyMatrix:
    last = days(START, DAYS)[-1]
    return panels.build_matrix(hourly, START, last, SETTINGS, per_head=per_head)


def _groups(
    office: Office,
) -> tuple[panels.DailyMatrix, panels.DailyMatrix, pl.DataFrame, dict[str, str]]:
    """The groups' panel by the hour, that of the accounts, their levels and groups."""
    before = office.before(CUT)
    learned = train_baselines(before.hours, before.touched, directory(), SETTINGS)
    accounts = peer_groups(office.hours["account"], directory(), learned.groups)
    each = aggregates.hourly_by_account(office.hours, office.touched, SETTINGS)
    usual = group_deviation.account_levels(accounts, learned.levels, learned.peers)
    hourly = group_kind(each, accounts, usual, SETTINGS).hourly
    own = learned.levels.filter(pl.col("entity_kind") == ACCOUNT)
    of = groups_by_account(accounts)
    return _panel(hourly, per_head=True), _panel(each, per_head=False), own, of


def test_hours_add_up_to_the_departures_of_days_that_training_learns_from(honest):
    by_hour, accounts, levels, group_of = _groups(honest)
    by_day = group_deviation.add_group_deviation(by_hour, accounts, group_of, levels)
    np.testing.assert_allclose(by_day.logs["departure"], by_hour.logs["departure"], atol=1e-9)
    assert np.nanstd(by_day.logs["departure"]) > 0


def test_who_was_not_learned_is_given_the_level_of_the_group(honest):
    learned = train_baselines(honest.hours, honest.touched, directory(), SETTINGS)
    group = learned.levels.filter(pl.col("entity_kind") == ACCOUNT)["group"][0]
    newcomer = pl.DataFrame({"account": ["newcomer"], "group": [group]})
    found = group_deviation.account_levels(newcomer, learned.levels, learned.peers).row(
        0, named=True
    )
    peers = learned.peers.filter(pl.col("entity_kind") == ACCOUNT, pl.col("group") == group)
    assert found["centre"] == found["off_centre"] == peers["log_rows_group_centre"][0]


def _moved(honest_log: pl.DataFrame, thieves: list[int], times: float) -> float:
    """By how much the group of ``thieves`` departs further than without them, on a day."""
    taken = [multiplied(honest_log, n, [CUT], [times], seed=40 + n) for n in thieves]
    quiet, *_ = _groups(Office.of(honest_log))
    loud, *_ = _groups(Office.of(joined(honest_log, *taken)))
    moved = loud.logs["departure"] - quiet.logs["departure"]
    return float(np.nanmax(moved[:, quiet.days.index(CUT)]))


def test_one_member_alone_hardly_moves_its_group(honest_log):
    assert (
        0
        < _moved(honest_log, SOUTH[:1], 500.0)
        <= 2 * group_deviation.MAX_SPREADS / np.sqrt(len(SOUTH))
    )


@pytest.mark.slow
@pytest.mark.parametrize("times", [1.4, 1.8])
def test_members_who_all_read_a_little_more_move_it_more_than_one_who_reads_all(honest_log, times):
    assert _moved(honest_log, SOUTH, times) > 1.5 * _moved(honest_log, SOUTH[:1], 500.0)
