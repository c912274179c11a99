from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from detector.core.schema import ACTIONS, DIRECTORY, EVENTS
from simulation.agency import Agency, Plan, simulate
from simulation.agency.realism import local

SMALL = Plan(seed=5, accounts=40, days=28, theft_days=10, stolen=200_000)


def test_the_same_seed_gives_the_same_log() -> None:
    assert_frame_equal(simulate(SMALL), simulate(SMALL))


def test_another_seed_gives_another_log() -> None:
    assert not simulate(SMALL).equals(simulate(replace(SMALL, seed=6)))


def test_the_log_has_the_columns_of_events(events: pl.DataFrame) -> None:
    # A database's log: who its records are of it does not say.
    unsaid = ("other_objects", "subject")
    canonical = {name: kind for name, kind in EVENTS.items() if name not in unsaid}
    log = events.drop("day", "hour")
    assert dict(log.schema) == canonical
    assert list(log.columns) == list(canonical)


def test_values_are_canonical(events: pl.DataFrame) -> None:
    assert set(events["action"].unique()) <= set(ACTIONS)
    for required in ("timestamp", "account", "client_address", "database", "action", "success"):
        assert events[required].null_count() == 0
    rows = events["rows"]
    assert rows.drop_nulls().min() == 0
    assert set(events.filter(pl.col("rows").is_null())["action"]) == {"export"}
    assert set(events.filter(pl.col("object").is_null())["action"]) == {"login"}
    failed = events.filter(~pl.col("success"))
    assert 0.002 < len(failed) / len(events) < 0.02
    assert failed["rows"].sum() == 0


def test_the_directory_has_its_columns_and_every_account(
    agency: Agency, events: pl.DataFrame
) -> None:
    directory = agency.directory()
    assert dict(directory.schema) == dict(DIRECTORY)
    assert directory["account"].is_unique().all()
    assert set(events["account"].unique()) <= set(directory["account"])


def test_the_log_is_in_order_and_in_range(events: pl.DataFrame) -> None:
    assert events["timestamp"].is_sorted()
    assert events["day"].min() == date(2023, 12, 7)
    assert events["day"].max() == date(2024, 3, 5)
    assert events["day"].n_unique() == 90


def test_months_are_local_and_make_up_the_whole(agency: Agency, events: pl.DataFrame) -> None:
    total = 0
    for month, frame in agency.months():
        assert local(frame)["day"].dt.strftime("%Y-%m").unique().to_list() == [month]
        total += len(frame)
    assert total == len(events)


def test_daylight_saving_loses_no_day_and_shifts_the_office_by_an_hour() -> None:
    plan = Plan(seed=1, accounts=60, start=date(2024, 3, 18), days=28, thieves=0, doublers=0)
    log = simulate(plan)
    assert local(log)["day"].n_unique() == 28
    office = log.filter(pl.col("account").str.starts_with("adv."))
    utc = office.group_by(pl.col("timestamp").dt.date() >= date(2024, 3, 31)).agg(
        pl.col("timestamp").dt.hour().cast(pl.Float64).mean().alias("hour")
    )
    winter, summer = utc.sort("timestamp")["hour"]
    assert 0.7 < winter - summer < 1.3


@pytest.mark.parametrize("days", [1, 2, 40])
def test_short_and_small_agencies_can_be_made(days: int) -> None:
    log = simulate(Plan(seed=2, accounts=20, days=days, theft_days=1, stolen=1000))
    assert local(log)["day"].n_unique() == days


@pytest.mark.parametrize(
    "wrong",
    [{"accounts": 3}, {"days": 0}, {"theft_days": 91}, {"stolen": 0}],
)
def test_a_senseless_plan_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(Plan(), **wrong)


def test_more_thieves_than_partner_accounts_are_refused() -> None:
    with pytest.raises(ValueError, match="only 4 have the role"):
        Agency.found(replace(SMALL, thieves=9))


def test_what_a_theft_adds_leaves_everything_else_as_it_was() -> None:
    """Thefts have their own random stream, so honest and robbed logs can be compared."""
    honest = simulate(replace(SMALL, thieves=0, doublers=0))
    robbed = simulate(SMALL)
    keys = [pl.all().exclude("duration_ms")]
    missing = (
        honest.select(keys)
        .with_columns(pl.lit(1).alias("n"))
        .group_by(pl.all().exclude("n"))
        .len("honest")
        .join(
            robbed.select(keys).group_by(pl.all()).len("robbed"),
            on=[name for name in honest.columns if name != "duration_ms"],
            how="left",
            nulls_equal=True,
        )
        .filter(pl.col("robbed").fill_null(0) < pl.col("honest"))
    )
    assert len(missing) == 0
    assert len(robbed) > len(honest)


def test_day_of_plan_counts_from_its_start() -> None:
    assert SMALL.dates() == [SMALL.start + timedelta(days=index) for index in range(28)]
