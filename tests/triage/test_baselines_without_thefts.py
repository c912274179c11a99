"""Days of confirmed thefts are kept out of what is learned, and no others."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from detector.core.schema import EVENTS, HOURLY_SUMS, TOUCHED_VALUES, check, empty
from detector.core.settings import Settings
from detector.features import baseline_training
from detector.ledger.aggregate import hourly_sums, touched_values
from detector.triage.training_exclusions import exclude_days

START = date(2024, 1, 1)
DAYS = 28
PARIS = Settings(timezone="Europe/Paris")
THEFT = [START + timedelta(days=n) for n in range(14, 28)]


def log(people=6, theft=1):
    """Each reads 100 records a day at 10:00 UTC; eve 100 times as many from the 15th day on."""
    rows = [
        {
            "timestamp": datetime(2024, 1, 1, 10, tzinfo=UTC) + timedelta(days=n, minutes=minute),
            "account": name,
            "client_address": f"10.0.0.{at % 2}",
            "object": "person",
            "application": "front",
            "action": "read",
            "rows": 10 * (theft if name == "eve" and n >= 14 else 1),
        }
        for n in range(DAYS)
        for at, name in enumerate(["eve", *(f"a{k}" for k in range(people - 1))])
        for minute in range(10)
    ]
    frame = pl.DataFrame(rows, schema_overrides={"timestamp": EVENTS["timestamp"]})
    return pl.concat([empty(EVENTS), frame], how="diagonal")


def tables(events, settings=PARIS):
    return hourly_sums(events), touched_values(events, settings.timezone)


def eve(days):
    return [("account", "eve", day) for day in days]


def level(hours, touched):
    levels = baseline_training.train_baselines(hours, touched, None, PARIS).levels
    of_eve = levels.filter(pl.col("entity_kind") == "account", pl.col("entity") == "eve")
    return pl.select(pl.lit(of_eve["rows_centre"][0]).exp() - 1).item()


def test_a_confirmed_theft_no_longer_raises_the_level_and_a_benign_one_does():
    hours, touched = tables(log(theft=100))
    clean = exclude_days(hours, touched, eve(THEFT), None, PARIS)
    robbed, mended = level(hours, touched), level(clean.hours, clean.touched)
    honest = level(*tables(log()))
    assert robbed > 3 * honest
    assert mended == pytest.approx(honest, rel=0.15)
    # What is benign or expected gives no days, and nothing is left out.
    same = exclude_days(hours, touched, [], None, PARIS)
    assert level(same.hours, same.touched) == robbed


def test_nothing_but_the_days_of_the_account_goes():
    hours, touched = tables(log())
    clean = exclude_days(hours, touched, eve(THEFT[:3]), None, PARIS)
    check(clean.hours, HOURLY_SUMS, "hours")
    check(clean.touched, TOUCHED_VALUES, "touched")
    gone = hours.join(clean.hours, on=["hour", "account"], how="anti")
    assert set(gone["account"]) == {"eve"}
    assert set(gone["hour"].dt.date()) == set(THEFT[:3])
    assert clean.hours.equals(
        hours.filter((pl.col("account") != "eve") | ~pl.col("hour").dt.date().is_in(THEFT[:3]))
    )
    assert clean.touched.equals(
        touched.filter((pl.col("account") != "eve") | ~pl.col("day").is_in(THEFT[:3]))
    )
    assert clean.excluded_days.rows() == eve(THEFT[:3])


def test_a_day_is_one_of_the_organisation_s_clock():
    late = log().with_columns(pl.col("timestamp").dt.offset_by("13h30m"))
    clean = exclude_days(*tables(late), eve([THEFT[0]]), None, PARIS)
    hours, _ = tables(late)
    (gone,) = set(hours.join(clean.hours, on=["hour", "account"], how="anti")["hour"])
    # 00:30 in Paris is 23:30 of the day before in UTC.
    assert gone == datetime(2024, 1, 14, 23, tzinfo=UTC)


def test_days_that_are_not_in_the_ledger_are_not_counted():
    hours, touched = tables(log())
    days = [*eve([date(2020, 1, 1), THEFT[0]]), ("account", "nobody", THEFT[0])]
    clean = exclude_days(hours, touched, days, None, PARIS)
    assert clean.excluded_days.rows() == eve([THEFT[0]])


@pytest.mark.parametrize(("kind", "name"), [("client_address", "10.0.0.1"), ("object", "person")])
def test_of_an_address_or_table_only_what_was_touched_there_goes(kind, name):
    hours, touched = tables(log())
    clean = exclude_days(hours, touched, [(kind, name, THEFT[0])], None, PARIS)
    assert clean.hours.equals(hours)
    there = (pl.col("dimension") == kind) & (pl.col("value") == name)
    assert clean.touched.equals(touched.filter(~(there & (pl.col("day") == THEFT[0]))))
    assert clean.excluded_days.rows() == [(kind, name, THEFT[0])]


def test_of_a_group_the_days_of_all_members_go():
    hours, touched = tables(log())
    people = pl.DataFrame(
        {"account": ["eve", "a0", "a1"], "group": ["site", "site", "office"],
         "kind": ["human"] * 3, "hired": [None] * 3}
    )  # fmt: skip
    clean = exclude_days(hours, touched, [("group", "site", THEFT[0])], people, PARIS)
    gone = hours.join(clean.hours, on=["hour", "account"], how="anti")
    assert set(gone["account"]) == {"eve", "a0"}
    assert clean.excluded_days.rows() == [("group", "site", THEFT[0])]
