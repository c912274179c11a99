"""Is the invented office like an office? The bands are wide: they hold for other seeds too."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from simulation.agency import CALM, Agency, Life, Mix, Plan, workdays
from simulation.agency.realism import local, measure, restlessness, unlike_real_people


def humans(agency: Agency) -> list[str]:
    return agency.directory().filter(pl.col("kind") == "human")["account"].to_list()


def of(accounts: list[str], events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("account").is_in(accounts))


@pytest.mark.parametrize("seed", [1, 2])
def test_some_honest_days_are_ten_times_the_usual(seed: int) -> None:
    agency = Agency.found(Plan(seed=seed, thieves=0, doublers=0))
    figures = measure(agency.events(), humans(agency))
    assert 0.005 < figures.rows_beyond < 0.03
    assert 0.00005 < figures.statements_beyond < 0.003
    assert figures.spread > 1.7


@pytest.mark.parametrize(("seed", "mix"), [(11, Mix()), (12, Mix(0.25, 0.02, 0.1, 0.03))])
def test_a_lively_agency_of_any_mix_has_the_days_of_an_office(seed: int, mix: Mix) -> None:
    agency = Agency.found(
        Plan(seed=seed, accounts=300, mix=mix, thieves=0, doublers=0, life=Life())
    )
    staff = agency.directory().filter(~pl.col("role").is_in(["analyst", "service"]))
    log = agency.events()
    assert unlike_real_people(restlessness(of(humans(agency), log))) == []
    figures = measure(log, staff["account"].to_list())
    assert 0.01 < figures.rows_beyond < 0.022
    assert 0.0003 < figures.statements_beyond < 0.002
    quiet, low, middle, high, busy, _, frantic = figures.statements_quantiles
    assert 0.1 < quiet < 0.4 < low < 0.85
    assert middle == pytest.approx(1, abs=0.02)
    assert 1.3 < high < 1.8 < busy < 3.5 < frantic < 25
    assert 2 < figures.rows_quantiles[4] < 8


def test_the_sample_s_honest_people_are_as_restless_as_real_ones(
    agency: Agency, events: pl.DataFrame
) -> None:
    honest = sorted(set(humans(agency)) - set(agency.incidents()["entity"]))
    assert len(honest) == len(humans(agency)) - 4
    assert unlike_real_people(restlessness(of(honest, events))) == []


def test_a_calm_life_is_even_beside_it() -> None:
    calm = Agency.found(Plan(seed=14, thieves=0, doublers=0, life=CALM))
    figures = restlessness(of(humans(calm), calm.events()))
    faults = [fault.split()[0] for fault in unlike_real_people(figures)]
    assert faults == ["beyond_2", "beyond_3", "days", "weeks", "drift"]
    assert figures.beyond[0] < 0.09
    assert figures.days < 0.6
    assert figures.weeks < 0.35
    assert figures.drift < 0.16


def test_the_measure_of_restlessness_counts_what_it_says() -> None:
    """Forty days of a person: 10 events, then 20, but for one day of 46 and one of 151. Another's
    days are too few, a third's are too small.
    """
    first = np.full(20, 10)
    many = {"a": [*first, *np.full(20, 20)], "few": [50] * 29, "small": [4] * 40}
    many["a"][-2:] = [46, 151]
    log = pl.concat(
        pl.DataFrame(
            {
                "timestamp": np.repeat(np.arange(len(counts)), counts) * 86_400,
                "account": [name] * sum(counts),
            }
        )
        for name, counts in many.items()
    ).with_columns(pl.from_epoch("timestamp").dt.replace_time_zone("UTC"))
    figures = restlessness(log)
    days = np.log(many["a"])
    assert figures.people == 1
    assert figures.beyond == (2 / 40, 2 / 40, 1 / 40)  # the median is 15
    assert figures.days == pytest.approx(days.std(ddof=1))
    assert figures.drift == pytest.approx(days[20:].mean() - days[:20].mean())
    # 1 January 1970 was a Thursday: four days, five weeks, one day that makes no week.
    weeks = [days[:4], *np.split(days[4:39], 5)]
    assert figures.weeks == pytest.approx(np.std([week.mean() for week in weeks], ddof=1))


def test_nobody_to_measure_is_said() -> None:
    few = pl.DataFrame({"timestamp": [date(2024, 1, 8)], "account": ["a"]})
    with pytest.raises(ValueError, match="nobody worked on enough days"):
        restlessness(few.cast({"timestamp": pl.Datetime("us", "UTC")}))


def test_the_measure_of_realism_counts_days_beyond_ten_medians() -> None:
    """Ten days of 10 rows and one of 101: one in eleven is beyond, by rows only."""
    start = date(2024, 1, 8)
    days = pl.date_range(start, date(2024, 1, 18), eager=True).cast(pl.Datetime("us", "UTC"))
    log = pl.DataFrame(
        {
            "timestamp": days,
            "account": ["a"] * 11,
            "action": ["read"] * 11,
            "rows": [10] * 10 + [101],
        }
    )
    figures = measure(log, ["a"])
    assert figures.rows_beyond == pytest.approx(1 / 11)
    assert figures.statements_beyond == 0
    assert figures.rows_quantiles[2] == figures.statements_quantiles[-1] == 1
    assert figures.rows_quantiles[-1] > 9


def test_weekends_and_holidays_are_quiet(events: pl.DataFrame) -> None:
    desk = events.filter(pl.col("account").str.contains(r"^(adv|ana)\."))
    by_day = desk.group_by("day").len()
    office = by_day.filter(pl.col("day").dt.weekday() <= 5)["len"].median()
    weekend = by_day.filter(pl.col("day").dt.weekday() > 5)["len"].sum() / 26
    assert weekend < 0.02 * office
    for holiday in (date(2023, 12, 25), date(2024, 1, 1)):
        assert by_day.filter(pl.col("day") == holiday).is_empty()


def test_lunch_is_quieter_than_the_hours_around_it(events: pl.DataFrame) -> None:
    advisers = events.filter(pl.col("account").str.starts_with("adv."))
    hours = dict(advisers.group_by("hour").len().rows())
    assert hours[12] < 0.6 * min(hours[10], hours[14])
    assert sum(count for hour, count in hours.items() if 8 <= hour < 18) > 0.9 * len(advisers)


def test_people_differ_by_much_and_days_by_more_than_chance(events: pl.DataFrame) -> None:
    advisers = events.filter(pl.col("account").str.starts_with("adv."))
    days = advisers.group_by("account", "day").len()
    person = days.group_by("account").agg(
        pl.col("len").mean().alias("mean"), pl.col("len").var().alias("var")
    )
    assert person["mean"].quantile(0.95) > 3 * person["mean"].quantile(0.05)
    # A Poisson count's variance is its mean; these are over-dispersed.
    assert (person["var"] / person["mean"]).median() > 3


def test_honest_people_have_new_addresses_now_and_then(events: pl.DataFrame) -> None:
    advisers = events.filter(pl.col("account").str.starts_with("adv."))
    first = advisers.group_by("account", "client_address").agg(pl.col("day").min())
    joined = advisers.group_by("account").agg(pl.col("day").min().alias("began"))
    late = first.join(joined, on="account").filter(pl.col("day") > pl.col("began"))
    at_desk = late.filter(~pl.col("client_address").str.starts_with("10.250."))
    assert 0.1 < at_desk["account"].n_unique() / len(joined) < 0.95


def test_jobs_run_every_night_and_read_much(events: pl.DataFrame) -> None:
    nightly = events.filter(pl.col("account") == "svc.search_index")
    days = nightly.group_by("day").agg(pl.col("rows").sum())
    assert len(days) >= 88
    assert days["rows"].median() > 200_000
    assert set(nightly["hour"].unique()) <= {1, 2, 3, 4}


def test_people_join_and_leave(agency: Agency, events: pl.DataFrame) -> None:
    joined = agency.directory().filter(pl.col("hired") > date(2023, 12, 7))
    assert len(joined) >= 3
    seen = events.group_by("account").agg(pl.col("day").min().alias("began"))
    both = joined.join(seen, on="account")
    assert (both["began"] >= both["hired"]).all()


@pytest.mark.parametrize(
    ("year", "sunday"),
    [(2023, date(2023, 4, 9)), (2024, date(2024, 3, 31)), (2038, date(2038, 4, 25))],
)
def test_easter_is_on_its_sunday(year: int, sunday: date) -> None:
    assert workdays.easter(year) == sunday


def test_french_holidays_are_eleven_a_year() -> None:
    assert len(workdays.holidays(2023)) == 11
    assert date(2024, 5, 9) in workdays.holidays(2024)  # Ascension
    assert date(2024, 5, 20) in workdays.holidays(2024)  # Whit Monday


def test_an_hour_that_daylight_saving_skips_is_the_one_after_it() -> None:
    plan = Plan(start=date(2024, 3, 31), days=1, theft_days=0)
    hours = workdays.utc_hours(plan)
    assert hours[2] == hours[3]
    assert hours[4] - hours[1] == 2 * 3600
    assert (
        local(
            pl.DataFrame(
                {"timestamp": pl.Series([hours[0] * 1_000_000]).cast(pl.Datetime("us", "UTC"))}
            )
        )["hour"].item()
        == 0
    )
