from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from simulation.agency import Agency

LATE = pl.col("day") >= date(2024, 2, 5)


def thieves(agency: Agency) -> list[str]:
    return by_account(agency, "theft")["account"].to_list()


def by_account(agency: Agency, kind: str) -> pl.DataFrame:
    mine = agency.stolen().filter(pl.col("campaign").str.starts_with(kind))
    return mine.group_by("account").agg(pl.col("rows").sum().alias("records"))


def stolen(agency: Agency, events: pl.DataFrame) -> pl.DataFrame:
    """The thieves' events from addresses that none used before the theft."""
    before = events.filter(~LATE)["client_address"].unique().to_list()
    mine = pl.col("account").is_in(thieves(agency))
    person = pl.col("object") == "public.person"
    return events.filter(LATE & mine & person & ~pl.col("client_address").is_in(before))


def test_three_partner_accounts_take_43_million_records(
    agency: Agency, events: pl.DataFrame
) -> None:
    who = thieves(agency)
    assert len(who) == 3
    assert all(name.startswith("partner.") for name in who)
    taken = stolen(agency, events)
    assert abs(taken["rows"].sum() - 43_000_000) < 430_000
    by_account = taken.group_by("account").agg(pl.col("rows").sum())["rows"]
    assert by_account.min() > 12_000_000


def test_incidents_say_what_was_taken(agency: Agency, events: pl.DataFrame) -> None:
    known = agency.incidents().filter(pl.col("kind") == "theft")
    assert known["records"].unique().to_list() == [43_000_000]
    accounts = known.filter(pl.col("entity_kind") == "account")["entity"]
    assert sorted(accounts) == sorted(thieves(agency))
    truth = by_account(agency, "theft")
    assert truth["records"].sum() == 43_000_000
    seen = stolen(agency, events).group_by("account").agg(pl.col("rows").sum())
    joined = truth.join(seen, on="account")
    assert len(joined) == 3
    # Within a thousandth: a device swapped in these days can be an address not seen before.
    assert ((joined["records"] - joined["rows"]).abs() < joined["records"] / 1000).all()


def test_every_one_of_the_30_days_has_its_share(agency: Agency, events: pl.DataFrame) -> None:
    days = stolen(agency, events).group_by("day").agg(pl.col("rows").sum())
    assert len(days) == 30
    assert days["rows"].min() > 1_000_000
    assert days["rows"].max() < 2_000_000


def test_the_theft_starts_at_full_speed_on_the_first_morning(
    agency: Agency, events: pl.DataFrame
) -> None:
    taken = stolen(agency, events)
    start = taken["timestamp"].min()
    assert isinstance(start, datetime)
    assert datetime(2024, 2, 5, 7, tzinfo=UTC) <= start < datetime(2024, 2, 5, 9, tzinfo=UTC)
    assert taken.filter(pl.col("day") == date(2024, 2, 5))["rows"].sum() > 1_200_000


def test_it_goes_on_day_and_night_in_pages_of_a_few_hundred(
    agency: Agency, events: pl.DataFrame
) -> None:
    taken = stolen(agency, events)
    assert taken["hour"].n_unique() == 24
    assert 150 < taken["rows"].quantile(0.1) < taken["rows"].quantile(0.9) < 500
    assert 120_000 < len(taken) < 170_000


def test_the_accounts_owners_go_on_working(agency: Agency, events: pl.DataFrame) -> None:
    own = events.filter(LATE & pl.col("account").is_in(thieves(agency)))
    own = own.filter(pl.col("client_address").str.starts_with("172."))
    assert own.group_by("account").agg(pl.col("day").n_unique())["day"].min() >= 12


def test_one_adviser_reads_twice_her_usual_from_her_desk_in_her_hours(
    agency: Agency, events: pl.DataFrame
) -> None:
    name = by_account(agency, "double")["account"].item()
    hers = events.filter(pl.col("account") == name, pl.col("action") != "login")
    days = hers.group_by("day").agg(pl.col("rows").sum())
    usual = days.filter(~LATE)["rows"].mean()
    now = days.filter(LATE)["rows"].mean()
    assert 1.8 < now / usual < 2.2
    before, during = hers.filter(~LATE), hers.filter(LATE)
    places = before["client_address"].value_counts(sort=True)
    assert (
        during["client_address"].value_counts(sort=True)["client_address"][0]
        == (places["client_address"][0])
    )
    assert abs(before["hour"].mean() - during["hour"].mean()) < 0.5
    assert during["hour"].is_between(6, 21).all()
