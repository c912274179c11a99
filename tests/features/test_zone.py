"""The time zone that is set is held against the hours at which people are active."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from detector.features.timezone_check import TimezoneEvidence, activity_warning

HOUR = timedelta(hours=1)
#: Of 100 people, how many are active in each hour of their clock.
OFFICE = [0] * 7 + [20, 70, 90, 90, 85, 45, 60, 90, 88, 70, 35, 8, 2, 1, 0, 0, 0]
AROUND_THE_CLOCK = [30] * 24


def activity(zone, first, days, day=OFFICE, size=1.0, seed=1, base="UTC"):
    """What people whose clock is that of ``zone`` do, in UTC; ``base`` is what the log takes for
    UTC where it names no zone.
    """
    random = np.random.default_rng(seed)
    rows = []
    for n in range(days):
        on = date.fromisoformat(first) + timedelta(days=n)
        busy = 0.04 if on.isoweekday() > 5 else random.uniform(0.85, 1.0)
        for hour, people in enumerate(day):
            local = datetime(on.year, on.month, on.day, hour, tzinfo=ZoneInfo(zone))
            count = random.poisson(people * busy * size)
            moment = local.astimezone(UTC)
            if base != "UTC":
                moment = local.replace(tzinfo=ZoneInfo(base)).astimezone(UTC)
            if count:
                rows.append((moment.replace(minute=0), count))
    schema = {"hour": pl.Datetime("us", "UTC"), "accounts": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


SPRING, AUTUMN = ("2024-02-20", 60), ("2024-09-20", 60)


@pytest.mark.parametrize("span", [SPRING, AUTUMN])
@pytest.mark.parametrize(
    ("people", "fits"),
    [
        ("Europe/Paris", "Europe/"),
        ("America/New_York", "America/"),
        ("America/Los_Angeles", "America/"),
        ("Australia/Sydney", "Australia/"),
    ],
)
def test_clock_changes_contradict_utc_and_name_what_fits(span, people, fits):
    words = activity_warning(activity(people, *span), "UTC", "UTC")
    assert "doubtful" in words
    assert f"like '{fits}" in words


@pytest.mark.parametrize("span", [SPRING, AUTUMN])
@pytest.mark.parametrize(
    "people",
    ["Europe/Paris", "Europe/London", "Europe/Athens", "America/Chicago", "Australia/Sydney",
     "UTC", "Asia/Kolkata", "Asia/Tokyo", "Africa/Algiers", "Asia/Jerusalem", "Africa/Casablanca",
     "America/Sao_Paulo", "Pacific/Auckland"],
)  # fmt: skip
def test_the_right_zone_is_not_doubted(span, people):
    assert activity_warning(activity(people, *span), people, "UTC") == ""


def test_a_zone_whose_clocks_change_is_doubted_where_people_keep_theirs():
    words = activity_warning(activity("Africa/Algiers", *SPRING), "Europe/Paris", "UTC")
    assert "2024-03-31" in words
    assert "did not move" in words
    # The other reading: the log's times are local ones, taken for UTC.
    assert "log_timezone" in words
    local = activity("Europe/Paris", *SPRING, base="Etc/GMT")
    assert "log_timezone" in activity_warning(local, "Europe/Paris", "UTC")


def test_europe_is_told_from_america_by_the_weeks_between_their_changes():
    evidence = TimezoneEvidence.from_activity(activity("Europe/Paris", *SPRING), "America/New_York")
    assert evidence.contradictions("America/New_York")
    assert not evidence.contradictions("Europe/Berlin")


@pytest.mark.parametrize(("people", "wrong"), [("Asia/Tokyo", "UTC"), ("Asia/Kolkata", "UTC")])
def test_without_a_change_the_rhythm_of_the_day_speaks(people, wrong):
    words = activity_warning(activity(people, "2024-01-08", 30), wrong, "UTC")
    assert "working day" in words
    assert "'Asia/" in words


def test_the_rhythm_alone_does_not_tell_neighbours_apart():
    """Who begins at seven, and who at nine: an hour or two is no contradiction."""
    for zone in ("UTC", "Europe/Paris", "Europe/Helsinki"):
        assert activity_warning(activity("Europe/Paris", "2024-01-08", 30), zone, "UTC") == ""


@pytest.mark.parametrize(
    ("day", "size"), [(AROUND_THE_CLOCK, 1.0), (OFFICE, 0.02)], ids=["all night", "a few people"]
)
def test_where_the_day_has_no_shape_nothing_is_said(day, size):
    found = activity("Asia/Tokyo", *SPRING, day=day, size=size)
    assert activity_warning(found, "Europe/Paris", "UTC") == ""


def test_nothing_is_said_of_nothing():
    empty = activity("UTC", "2024-01-08", 0)
    assert activity_warning(empty, "Europe/Paris", "UTC") == ""


def test_one_who_works_by_night_and_much_changes_nothing():
    """Accounts count, not statements: a job of each hour of the night is one."""
    job = activity("UTC", *SPRING, day=[1] * 24)
    found = pl.concat([activity("Europe/Paris", *SPRING), job])
    found = found.group_by("hour").agg(pl.col("accounts").sum())
    assert activity_warning(found, "Europe/Paris", "UTC") == ""
    assert "'Europe/" in activity_warning(found, "UTC", "UTC")


def test_a_dead_log_and_a_holiday_beside_the_change_hide_nothing():
    found = activity("Europe/Paris", *SPRING)
    day = pl.col("hour").dt.date()
    found = found.filter(~day.is_in([date(2024, 4, 1), date(2024, 3, 29), date(2024, 3, 28)]))
    assert "2024-03-31" in activity_warning(found, "UTC", "UTC")


@pytest.mark.parametrize("by", [-1, 1, 2])
def test_an_office_that_begins_at_another_hour_on_another_day_is_no_other_zone(by):
    """Summer hours from the 15th of May: the organisation's own movement."""
    before = activity("UTC", "2024-04-10", 35)
    after = activity("UTC", "2024-05-15", 30).with_columns(pl.col("hour") + by * HOUR)
    assert activity_warning(pl.concat([before, after]), "UTC", "UTC") == ""
