"""A public holiday is a day off, in every place that asks."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta

import polars as pl
import pytest

from detector.core.errors import SettingsError
from detector.core.settings import Settings, from_mapping
from detector.features import daily_matrix as panels
from detector.features import group_deviation, workdays
from detector.features.aggregates import HOURLY_AGGREGATES

EASTER_MONDAY = date(2024, 4, 1)
SPAN = [date(2024, 3, 18) + timedelta(days=n) for n in range(28)]


def off(code):
    return workdays.days_off(SPAN, Settings(holidays=code))


def test_holidays_are_days_off_beside_weekends():
    weekends = {day for day in SPAN if day.isoweekday() > 5}
    assert off(None) == weekends
    assert off("FR") == weekends | {EASTER_MONDAY}


@pytest.mark.parametrize(("code", "free"), [("DE-BY", True), ("DE-BE", False), ("DE", False)])
def test_a_region_has_its_own(code, free):
    """Epiphany is a holiday in Bavaria."""
    epiphany = date(2025, 1, 6)
    assert (epiphany in workdays.days_off([epiphany], Settings(holidays=code))) == free


def test_years_are_told_apart():
    mondays = [date(2023, 4, 10), date(2024, 4, 10), date(2025, 4, 21)]
    assert workdays.days_off(mondays, Settings(holidays="FR")) == {mondays[0], mondays[2]}


def hourly(days):
    frame = pl.DataFrame({"entity": ["ann"] * len(days), "day": days, "slot": [9] * len(days)})
    more = [pl.lit(1.0).alias(name) for name in HOURLY_AGGREGATES if name not in frame.columns]
    return frame.with_columns(more).cast(HOURLY_AGGREGATES).select(*HOURLY_AGGREGATES)


def test_panels_mark_them_off():
    made = panels.build_matrix(
        hourly(SPAN), SPAN[0], SPAN[-1], Settings(holidays="FR"), per_head=False
    )
    assert {day for day, free in zip(made.days, made.off, strict=True) if free} == off("FR")


def test_what_members_depart_from_is_the_level_of_days_off():
    usual = pl.DataFrame({"entity": ["ann"], "centre": [3.0], "off_centre": [0.0], "spread": [1.0]})
    days = [EASTER_MONDAY, EASTER_MONDAY + timedelta(days=1)]
    of = {
        code: group_deviation.add_deviation(hourly(days), usual, Settings(holidays=code))[
            "departure"
        ]
        for code in (None, "FR")
    }
    assert of[None][0] == of[None][1] == of["FR"][1]
    assert of["FR"][0] > of[None][0]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("XX", "no country 'XX'"),
        ("fr", "did you mean 'FR'?"),
        ("DE-ZZ", "DE has no region 'ZZ'; its regions are BB"),
        ("France", "no country 'France'"),
        ("", "must name a country"),
        (33, "must name a country"),
        (["FR"], "must name a country"),
        ("F" * 5000, "is no country"),
        ("FR\n", "no country"),
    ],
)
def test_what_is_no_country_is_refused_in_one_line(code, said):
    with pytest.raises(SettingsError) as error:
        from_mapping({"holidays": code}, "detector.toml")
    assert said in str(error.value)
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("detector.toml: ")


def test_the_library_is_not_imported_where_no_setting_asks_for_it():
    code = "import sys, detector.cli.app; assert not {'holidays', 'icalendar'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
