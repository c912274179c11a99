"""Days and hours are those of the organisation's clock, on the days it is changed too."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from small_office import FAMILIES, Office

from detector.core.schema import EVENTS, TIMESTAMP
from detector.core.settings import Settings
from detector.features import aggregates, baseline_training, feature_table
from detector.features.aggregates import SLOTS
from detector.features.daily_matrix import build_matrix

#: Zone, a day, its hours. Summer time begins at midnight in Cairo and Asuncion, so that midnight
#: does not exist; it ends at one in Havana, whose midnight comes twice.
DAYS = [
    ("UTC", date(2024, 3, 31), 24),
    ("Europe/Paris", date(2024, 3, 30), 24),
    ("Europe/Paris", date(2024, 3, 31), 23),
    ("Europe/Paris", date(2024, 10, 27), 25),
    ("Africa/Cairo", date(2024, 4, 26), 23),
    ("America/Asuncion", date(2023, 10, 1), 23),
    ("America/Asuncion", date(2024, 3, 24), 24),
    ("America/Havana", date(2024, 3, 10), 23),
    ("America/Havana", date(2024, 11, 3), 25),
]
zones = st.sampled_from(sorted({zone for zone, _, _ in DAYS}))


def _events(first: datetime, hours: int, account: str = "ann") -> pl.DataFrame:
    """One read in each of some UTC hours."""
    rows = [
        dict.fromkeys(EVENTS)
        | {
            "timestamp": first + timedelta(hours=n, minutes=30),
            "account": account,
            "client_address": "10.0.0.1",
            "application": "front",
            "object": "person",
            "action": "read",
            "rows": 10,
            "success": True,
        }
        for n in range(hours)
    ]
    return pl.DataFrame(rows, schema=dict(EVENTS), orient="row")


def _around(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=2)


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_the_hours_of_a_day_are_numbered_from_its_midnight(zone, day, hours):
    settings = Settings(timezone=zone)
    office = Office.of(_events(_around(day), 120), settings)
    found = aggregates.hourly_by_account(office.hours, office.touched, settings)
    own = found.filter(pl.col("day") == day)["slot"].sort().to_list()
    assert own == list(range(hours))
    assert found["slot"].max() < SLOTS


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_what_is_summed_by_the_day_stands_in_its_last_hour(zone, day, hours):
    settings = Settings(timezone=zone)
    office = Office.of(_events(_around(day), 120), settings)
    found = aggregates.hourly_by_value(office.touched, "object", settings).filter(
        pl.col("day") == day
    )
    assert found["slot"].to_list() == [hours - 1]


@given(zones, st.datetimes(datetime(2023, 1, 1), datetime(2025, 1, 1)))  # noqa: DTZ001
@hypothesis_settings(max_examples=80)
def test_midnight_and_the_number_of_an_hour_give_the_hour_back(zone, moment):
    settings = Settings(timezone=zone)
    hour = moment.replace(tzinfo=UTC, minute=0, second=0, microsecond=0)
    frame = pl.DataFrame({"hour": [hour]}, schema={"hour": TIMESTAMP})
    placed = aggregates.add_slots(frame, "hour", settings)
    assert 0 <= placed["slot"].item() < SLOTS
    begins = placed.select(aggregates.midnight(pl.col("day"), settings)).item()
    assert begins + timedelta(hours=placed["slot"].item()) == hour


def _whole(
    zone: str, first: datetime, days: int, hours: Collection[int] = range(24)
) -> tuple[Office, pl.DataFrame]:
    """The log of three people at one address, who read at some hours of UTC, and the feature
    table of its last week."""
    settings = Settings(timezone=zone)
    log = pl.concat([_events(first, 24 * days, name) for name in ("ann", "bob", "cyd")])
    log = log.filter(pl.col("timestamp").dt.hour().is_in(list(hours)))
    office = Office.of(log, settings)
    told = office.touched["day"].unique().sort().to_list()
    past = office.before(told[-8])
    learned = baseline_training.train_baselines(past.hours, past.touched, None, settings)
    return office, feature_table.build_table(
        office.hours, office.touched, told[-8:-1], learned, None, settings, FAMILIES
    )


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_the_feature_table_has_every_hour_of_the_log_once(zone, day, hours):
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=45)
    office, found = _whole(zone, first, 48)
    own = found.filter(pl.col("entity_kind") == "account", pl.col("entity") == "ann")
    today = own.filter(pl.col("day") == day)
    assert len(today) == hours
    read = office.hours.filter(pl.col("account") == "ann")["hour"]
    assert own["hour"].is_in(read.implode()).all()
    assert own["hour"].is_unique().all()
    # All of the day is in its last hour, and the day's sums are those of its hours.
    assert today.sort("hour")["rows"].to_list() == [10 * n for n in range(1, hours + 1)]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Africa/Cairo", "America/Asuncion"])
def test_a_longer_or_shorter_day_is_no_change(zone):
    """Reading every hour of a day of 23 or 25 hours is no more than 10 % more or less."""
    day = next(day for name, day, hours in DAYS if name == zone and (hours != 24 or zone == "UTC"))
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=45)
    _, found = _whole(zone, first, 48)
    ends = found.filter(pl.col("entity_kind") == "account").group_by("entity", "day").last()
    assert ends.filter(pl.col("day") == day)["statements_vs_own"].abs().max() < 0.5


@pytest.mark.parametrize("hours", [range(24), (4, 19), (18,)])
def test_hours_of_a_zone_with_half_hours_are_the_log_s(hours):
    """A day in Kolkata begins at 18:30 UTC; the hours of the ledger are those of UTC."""
    office, found = _whole("Asia/Kolkata", datetime(2024, 2, 1, tzinfo=UTC), 48, hours)
    own = found.filter(pl.col("entity_kind") == "account", pl.col("entity") == "ann")
    assert own["hour"].is_in(office.hours["hour"].implode()).all()
    assert set(own["hour"].dt.hour()) == set(hours)


def test_days_off_are_those_of_the_settings():
    """Where people work from Sunday to Thursday, Friday and Saturday are off."""
    empty = pl.DataFrame(schema=aggregates.HOURLY_AGGREGATES)
    sunday = date(2024, 3, 3)
    rules = Settings(workdays=(7, 1, 2, 3, 4))
    week = build_matrix(empty, sunday, sunday + timedelta(days=6), rules, per_head=False)
    assert week.off.tolist() == [False] * 5 + [True] * 2
    assert week.same_kind_days(sunday, 0, 7).tolist() == [0, 1, 2, 3, 4]
