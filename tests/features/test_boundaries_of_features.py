"""The limits in features, each on both of its sides, worked out by hand and without a model."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from detector.core.schema import TOUCHED_VALUES
from detector.core.settings import Settings
from detector.features import minute_aggregates, novelty, robust_stats, workdays
from detector.features.expectation import CUSUM_DAYS, RECENT_DAYS
from detector.features.novelty import FOREIGN_DAYS, SHARED_ACCOUNTS

DAY = date(2024, 3, 1)
ADDRESS = "10.1.2.3"


def touches(*rows: tuple[str, int, str, str]) -> pl.DataFrame:
    """TOUCHED of (account, days after DAY, dimension, value)."""
    made = [
        (DAY + timedelta(days=at), who, dimension, value, 1, 1,
         datetime(2024, 3, 1, 9, tzinfo=UTC) + timedelta(days=at))
        for who, at, dimension, value in rows
    ]  # fmt: skip
    return pl.DataFrame(made, schema=dict(TOUCHED_VALUES), orient="row")


def nobody() -> pl.DataFrame:
    return pl.DataFrame(schema=novelty.KNOWN_SCHEMA)


@pytest.mark.parametrize(("gap", "new"), [(1, 1), (RECENT_DAYS, 1), (RECENT_DAYS + 1, 2)])
@pytest.mark.parametrize("remembered", [False, True])
def test_a_value_is_new_again_after_more_than_four_weeks(gap, new, remembered):
    log = touches(("ann", 0, "object", "person"), ("ann", gap, "object", "person"))
    if remembered:
        known = novelty.known_values(log[:1], DAY)
        assert novelty.first_touches(log[1:], known).height == new - 1
    else:
        assert novelty.first_touches(log, nobody()).height == new


@pytest.mark.parametrize(
    ("last", "there"), [(-1, 0), (0, 1), (RECENT_DAYS - 1, 1), (RECENT_DAYS, 0)]
)
def test_a_model_remembers_the_values_of_its_last_four_weeks(last, there):
    log = touches(("ann", 0, "object", "person"))
    assert novelty.known_values(log, DAY + timedelta(days=last)).height == there


def weighed(others: int, days_before: int, dimension: str) -> tuple[float, float]:
    """(weight, foreign) of Ann's new value, which others used so many days before."""
    used = touches(*((f"other{n}", -days_before, dimension, ADDRESS) for n in range(others)))
    own = touches(("ann", 0, dimension, ADDRESS))
    log = pl.concat([used, own])
    groups = pl.DataFrame(schema={"account": pl.String, "group": pl.String})
    users = pl.DataFrame(schema=novelty.USAGE_SCHEMA)
    new = novelty.first_touches(log, nobody()).filter(pl.col("account") == "ann")
    return novelty.add_weights(new, log, nobody(), groups, users).select("weight", "foreign").row(0)


@pytest.mark.parametrize(
    ("others", "days_before", "weight"),
    [
        (SHARED_ACCOUNTS - 1, 1, 1.0), (SHARED_ACCOUNTS, 1, 0.0), (SHARED_ACCOUNTS, 0, 1.0),
        (SHARED_ACCOUNTS, RECENT_DAYS, 0.0),
        (SHARED_ACCOUNTS, RECENT_DAYS + 1, 1.0),
    ],
)  # fmt: skip
def test_an_address_of_three_others_in_four_weeks_is_shared(others, days_before, weight):
    assert weighed(others, days_before, "client_address") == (weight, 0.0)


@pytest.mark.parametrize(
    ("days_before", "foreign"),
    [
        (1, 1.0),
        (FOREIGN_DAYS - 1, 1.0),
        (FOREIGN_DAYS, 0.0),
        (CUSUM_DAYS, 0.0),
        (CUSUM_DAYS + 1, 1.0),
    ],
)
def test_a_network_is_foreign_that_nobody_used_before_the_last_two_weeks(days_before, foreign):
    assert weighed(1, days_before, "network")[1] == foreign
    assert weighed(1, days_before, "client_address")[1] == 0.0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2"), ("::ffff:10.1.2.3", "10.1.2"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:"), ("[local]", "[local]"),
        ("desk7.north.example", "north.example"), ("desk7", "desk7"),
    ],
)  # fmt: skip
def test_the_network_of_an_address(address, network):
    found = novelty.add_networks(touches(("ann", 0, "client_address", address)))
    assert found.filter(pl.col("dimension") == "network")["value"].to_list() == [network]


def of_minutes(*numbers: int) -> tuple[float, float]:
    """(unbroken, even) of statements in these minutes of an hour."""
    mask = pl.Series([sum(1 << number for number in numbers)], dtype=pl.Int64)
    return minute_aggregates.minute_pattern(mask).select("unbroken", "even").row(0)


def test_of_fewer_than_five_steps_nothing_is_said_of_how_even_they_are():
    assert of_minutes(*range(0, 50, 10)) == (1.0, 0.0)  # four steps
    unbroken, even = of_minutes(*range(0, 60, 10))  # five
    # Greenwood's sum is 1/5; by chance 1/3, with the standard deviation 0.0797.
    assert (unbroken, even) == (1.0, round(1000 * (1 / 3 - 1 / 5) / np.sqrt(16 / (36 * 7 * 8))))
    assert of_minutes() == (0.0, 0.0)
    assert of_minutes(0, 1, 2, 58, 59) == (3.0, 0.0)


def test_quantiles_of_what_is_there_are_numpys_and_of_nothing_there_are_none():
    values = np.array([[3.0, np.nan, 1.0, 2.0], [7.0] + [np.nan] * 3, [np.nan] * 4])
    shares = (0.0, 0.25, 0.5, 0.9, 1.0)
    found = robust_stats.quantiles(values, *shares)
    for share, each in zip(shares, found, strict=True):
        assert each[:2] == pytest.approx(np.nanquantile(values[:2], share, axis=1))
        assert np.isnan(each[2])
    assert np.isnan(robust_stats.median(np.empty((2, 0)))).all()
    assert robust_stats.counts(values).tolist() == [3, 1, 0]


def test_a_wild_day_moves_the_centre_by_two_spreads_at_the_most():
    days = np.array([[0.0] * 9 + [each] for each in (0.0, 2.0, 2.5, 1e9, -1e9)])
    found = robust_stats.huber_mean(days, np.ones(5))
    assert found == pytest.approx([0.0, 0.2, 0.2, 0.2, -0.2])
    assert robust_stats.huber_mean(np.array([[5.0, np.nan]]), np.ones(1)) == pytest.approx([5.0])


def test_the_spread_is_that_of_a_normal_sample_or_its_floor():
    normal = np.random.default_rng(2).normal(size=(1, 20_001))
    assert robust_stats.spread(normal, 0.1) == pytest.approx([1.0], rel=0.03)
    assert robust_stats.spread(np.full((1, 9), 4.0), 0.1) == pytest.approx([0.1])
    # Nine of ten days without: the median deviation is blind, the 90th percentile is not.
    seldom = np.array([[0.0] * 8 + [10.0] * 2])
    assert robust_stats.spread(seldom, 0.1) == pytest.approx([10.0 / robust_stats.Q90_DISTANCE])


def test_what_few_days_tell_is_drawn_towards_the_prior_and_nothing_known_is_the_prior():
    own, prior = np.array([4.0, 4.0, np.nan]), np.array([1.0, 1.0, 1.0])
    found = robust_stats.shrink(np.array([0, 3, 3]), own, prior, 3.0)
    assert found.tolist() == [1.0, 2.5, 1.0]


def test_groups_without_members_have_no_median():
    places = robust_stats.group_members(np.array([2, 0, 2]), 4)
    assert [each.tolist() for each in places] == [[1], [], [0, 2], []]
    medians, sizes = robust_stats.group_medians(np.array([[1.0], [5.0], [3.0]]), places)
    assert sizes[:, 0].tolist() == [1, 0, 2, 0]
    assert medians[[0, 2], 0].tolist() == [5.0, 2.0]
    assert np.isnan(medians[[1, 3], 0]).all()


def test_days_off_are_weekends_of_the_settings_and_nulls_are_no_days():
    friday = date(2024, 3, 1)
    frame = pl.DataFrame({"day": [friday + timedelta(days=n) for n in range(4)] + [None]})
    found = frame.select(workdays.is_workday(frame, "day", Settings())).to_series().to_list()
    assert found[:4] == [True, False, False, True]
    assert workdays.days_off([], Settings()) == frozenset()
