"""The assortment of thefts: is each what its name says, and is the truth about it true?"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from simulation.agency import Agency, Plan, catalogue
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.kinds import KINDS
from simulation.agency.people import SERVICE
from simulation.agency.realism import local, restlessness, unlike_real_people

PLAN = Plan(
    seed=3, accounts=600, days=150, theft_days=60, thieves=0, doublers=0, campaigns=1, rate=0.5
)
FROM = PLAN.day(PLAN.theft_from)


@pytest.fixture(scope="module")
def robbed() -> Agency:
    return Agency.found(PLAN)


@pytest.fixture(scope="module")
def log(robbed: Agency) -> pl.DataFrame:
    return local(robbed.events())


def campaign(agency: Agency, kind: str) -> Campaign:
    return next(one for one in agency.campaigns if one.kind == kind)


def times_the_usual(agency: Agency, one: Campaign) -> float:
    """Statements of the campaign over those of the accounts' own work on the same days."""
    accounts = np.unique(one.statements.account)
    days = np.unique(one.statements.day)
    own = agency.days.statements[np.ix_(accounts, days)].sum()
    return float((one.statements.template != catalogue.LOGIN).sum() / own)


def test_every_kind_happens_once_and_steals(robbed: Agency) -> None:
    assert [one.kind for one in robbed.campaigns] == list(KINDS)
    assert all(one.taken.sum() > 0 for one in robbed.campaigns)


def test_no_account_steals_for_two_campaigns(robbed: Agency) -> None:
    accounts = robbed.incidents().filter(pl.col("entity_kind") == "account")
    assert accounts["entity"].is_unique().all()


def test_all_is_stolen_in_the_last_days_but_for_what_began_before(robbed: Agency) -> None:
    kind = pl.col("campaign").str.replace(r"-\d+$", "")
    when = local(robbed.stolen()).group_by(kind).agg(pl.col("day").min())
    began = dict(when.rows())
    before = {name: began.pop(name) for name in ("poisoned", "under_way", "resident")}
    assert min(began.values()) >= FROM
    assert FROM - timedelta(days=29) <= before["poisoned"] <= FROM - timedelta(days=14)
    assert FROM - timedelta(days=60) <= before["under_way"] <= FROM - timedelta(days=20)
    assert before["resident"] <= PLAN.start + timedelta(days=10)


@pytest.mark.parametrize("kind", ["under_way", "resident"])
def test_what_began_before_goes_on_to_the_end(robbed: Agency, kind: str) -> None:
    one = campaign(robbed, kind)
    assert one.statements.day.max() >= PLAN.days - 10
    active = len(np.unique(one.statements.day))
    assert active > 0.3 * (PLAN.days - one.statements.day.min())
    assert len(np.unique(one.statements.account)) == 1


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_lasting_thefts_take_much_by_some_way(seed: int) -> None:
    several = replace(PLAN, seed=seed, accounts=200, kinds=("under_way", "resident"), campaigns=3)
    agency = Agency.found(several)
    assert len(agency.campaigns) == 6
    for one in agency.campaigns:
        account = one.statements.account[0]
        days = len(np.unique(one.statements.day))
        by_pages = {*one.statements.template} <= {catalogue.PAGE, catalogue.LOGIN}
        if by_pages:
            assert 2_000 < one.taken.sum() / days < 230_000
        else:
            assert 0.85 < times_the_usual(agency, one) < 8
        assert agency.people.role[account] != SERVICE


def test_an_unlisted_account_is_in_no_directory_and_reads_much() -> None:
    plan = replace(PLAN, accounts=40, days=30, theft_days=20, kinds=("unlisted",), campaigns=8)
    agency = Agency.found(plan)
    known = agency.incidents().filter(pl.col("entity_kind") == "account")
    assert known["campaign"].n_unique() == known["entity"].n_unique() == len(known) == 8
    assert not set(known["entity"]) & set(agency.directory()["account"])
    assert known["records"].is_between(19_000, 5_100_000).all()
    log = agency.events().filter(pl.col("account").is_in(known["entity"].to_list()))
    assert log.filter(pl.col("action") == "login")["account"].n_unique() == 8
    assert log["rows"].sum() == known["records"].sum()
    days = local(log).group_by("account").agg(pl.col("day").n_unique())["day"]
    assert 1 <= days.min() <= days.max() <= 13
    assert local(log)["day"].min() >= plan.day(plan.theft_from)
    assert set(agency.events()["account"]) - set(known["entity"]) <= set(
        agency.directory()["account"]
    )


def test_a_fold_of_any_dose_is_between_its_bounds() -> None:
    many = Agency.found(replace(PLAN, accounts=200, kinds=("fold",), campaigns=24))
    doses = [times_the_usual(many, one) for one in many.campaigns]
    assert 0.2 < min(doses) < 1
    assert 3 < max(doses) < 8.5
    lengths = [len(np.unique(one.statements.day)) for one in many.campaigns]
    assert min(lengths) < 7
    assert max(lengths) > 15


def test_mixed_pages_differ_by_day_in_number_and_size(robbed: Agency) -> None:
    one = campaign(robbed, "pages_mixed")
    by_day = np.bincount(one.statements.day, weights=one.taken)
    number = np.bincount(one.statements.day)
    worked = number > 0
    size = by_day[worked] / number[worked]
    assert by_day[worked].max() > 1.5 * by_day[worked].min()
    assert size.max() > 2 * size.min()
    own = robbed.addresses.of_day[one.statements.account, one.statements.day]
    assert (one.statements.address == own).all()


@pytest.mark.parametrize("kind", ["fold_2", "fold_3", "ramp", "mimic", "new_address", "export"])
def test_no_two_thefts_of_a_kind_are_alike(kind: str) -> None:
    several = Agency.found(replace(PLAN, accounts=200, kinds=(kind,), campaigns=5))
    spans = [np.ptp(one.statements.day) for one in several.campaigns]
    assert len(set(spans)) > 1
    assert len({int(one.taken.sum()) for one in several.campaigns}) == 5


def test_the_truth_adds_up(robbed: Agency) -> None:
    records = robbed.incidents().unique("campaign").select("campaign", "records")
    hourly = robbed.stolen().group_by("campaign").agg(pl.col("rows").sum())
    both = records.join(hourly, on="campaign")
    assert len(both) == len(KINDS)
    assert (both["records"] == both["rows"]).all()


def test_stolen_records_stand_in_the_log(robbed: Agency, log: pl.DataFrame) -> None:
    """But for exports, whose rows no log says."""
    hourly = log.group_by(pl.col("timestamp").dt.truncate("1h").alias("timestamp"), "account").agg(
        pl.col("rows").sum().alias("logged"), pl.col("rows").null_count().alias("unsaid")
    )
    both = robbed.stolen().join(hourly, on=["timestamp", "account"], how="left")
    assert both["logged"].null_count() == 0
    said = both.filter(pl.col("unsaid") == 0)
    assert len(said) > 0.9 * len(both)
    assert (said["rows"] <= said["logged"]).all()
    export = both.filter(pl.col("campaign") == "export-1")
    assert (export["unsaid"] > 0).all()
    assert export["rows"].min() >= 5_000


def test_those_who_work_beside_thieves_are_restless_as_real_people(
    robbed: Agency, log: pl.DataFrame
) -> None:
    staff = robbed.directory().filter(pl.col("kind") == "human")["account"]
    honest = sorted(set(staff) - set(robbed.incidents()["entity"]))
    assert unlike_real_people(restlessness(log.filter(pl.col("account").is_in(honest)))) == []


def test_campaigns_leave_the_work_of_others_as_it_was(robbed: Agency, log: pl.DataFrame) -> None:
    honest = local(Agency.found(replace(PLAN, campaigns=0)).events())
    thieves = robbed.stolen()["account"].unique().to_list()
    others = ~pl.col("account").is_in(thieves)
    assert honest.filter(others).equals(log.filter(others))


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("fold_1_5", 0.42, 0.58),
        ("fold_2", 0.88, 1.12),
        ("fold_3", 1.75, 2.25),
        ("fold_5", 3.5, 4.5),
        ("poisoned", 1.75, 2.25),
        ("ramp", 1.8, 6.5),
        ("crowd_group", 0.45, 0.75),
        ("crowd_address", 0.35, 0.6),
        ("new_address", 0.37, 0.63),
        ("new_tables", 0.37, 0.63),
    ],
)
def test_volume_is_so_many_times_the_usual(
    robbed: Agency, kind: str, least: float, most: float
) -> None:
    assert least < times_the_usual(robbed, campaign(robbed, kind)) < most


def test_a_fold_stays_at_its_desk(robbed: Agency) -> None:
    one = campaign(robbed, "fold_3").statements
    assert (one.address == robbed.addresses.of_day[one.account, one.day]).all()


def test_a_mimic_reads_longer_lists_and_no_more_statements(
    robbed: Agency, log: pl.DataFrame
) -> None:
    one = campaign(robbed, "mimic")
    who = robbed.people.account[one.statements.account[0]]
    account, first, end = one.instead or (0, 0, 0)
    span = pl.col("day").is_between(PLAN.day(first), PLAN.day(end - 1))
    hers = log.filter(span, pl.col("account") == who, pl.col("action") != "login")
    assert len(hers) == robbed.days.statements[account, first:end].sum()
    usual = (one.statements.rows > 0) & (one.statements.template != catalogue.LONG_LIST)
    own = one.statements.rows[usual].sum() - one.taken.sum()
    assert 0.6 < one.taken.sum() / own < 1.35


def test_a_smash_is_over_in_three_hours(robbed: Agency) -> None:
    one = campaign(robbed, "smash")
    assert 195_000 < one.taken.sum() < 2_010_000
    assert np.ptp(one.statements.second) < 3 * 3600 + 120


def test_a_month_of_millions_goes_on_day_and_night(robbed: Agency, log: pl.DataFrame) -> None:
    one = campaign(robbed, "month_of_millions")
    hosts = [robbed.addresses.book[host] for host in one.hosts]
    taken = log.filter(pl.col("client_address").is_in(hosts))
    by_day = taken.group_by("day").agg(pl.col("rows").sum())["rows"]
    assert len(by_day) == 30
    assert 1_000_000 < by_day.min() < by_day.max() < 1_700_000
    assert taken["hour"].n_unique() == 24


def test_a_dormant_account_had_been_idle(robbed: Agency, log: pl.DataFrame) -> None:
    one = campaign(robbed, "dormant").statements
    hers = log.filter(pl.col("account") == robbed.people.account[one.account[0]])
    days = hers["day"].unique().sort()
    began = PLAN.day(int(one.day.min()))
    before = days.filter(days < began)
    assert len(before) >= 5
    assert (began - before.max()).days > 55


def test_a_newcomer_steals_from_the_third_day_on(robbed: Agency) -> None:
    one = campaign(robbed, "newcomer").statements
    account = one.account[0]
    hired = robbed.people.first[account]
    assert hired >= PLAN.theft_from - 14
    assert one.day.min() >= hired + 2
    everyone = robbed.days.statements[robbed.people.group == robbed.people.group[account]]
    own = robbed.days.statements[account, one.day.min() : one.day.max() + 1].sum()
    daily = (len(one.day) + own) / len(np.unique(one.day))
    assert 2.2 < daily / np.median(everyone[everyone > 0]) < 8


def test_a_service_account_is_used_by_hand(robbed: Agency) -> None:
    one = campaign(robbed, "service_abuse").statements
    account = one.account[0]
    assert robbed.people.role[account] == SERVICE
    assert (one.address != robbed.addresses.of_day[account, one.day]).all()
    assert not {*one.template} & set(range(catalogue.FIRST_JOB, catalogue.LOGIN))
    assert 7 * 3600 < np.median(one.second) < 19 * 3600


def test_new_tables_are_new_to_the_account(robbed: Agency, log: pl.DataFrame) -> None:
    one = campaign(robbed, "new_tables")
    tables = {catalogue.ALL[code].table for code in one.statements.template}
    assert 5 <= len(tables) <= 10
    began = PLAN.day(int(one.statements.day.min()))
    who = robbed.people.account[one.statements.account[0]]
    before = log.filter(pl.col("account") == who, pl.col("day") < began)
    assert not tables & set(before["object"])


def test_weekend_nights_are_out_of_hours(robbed: Agency) -> None:
    one = campaign(robbed, "weekend_nights").statements
    dates = [PLAN.day(int(day)) for day in one.day]
    weekend = np.array([day.weekday() >= 5 for day in dates])
    night = (one.second < 6 * 3600) | (one.second > 21.9 * 3600)
    assert (weekend | night).all()
    assert weekend.any()
    assert night.any()


def test_slow_pages_are_minutes_apart(robbed: Agency) -> None:
    one = campaign(robbed, "slow_pages")
    by_day = np.bincount(one.statements.day, weights=one.taken)
    assert 1_500 < by_day[by_day > 0].min() < by_day.max() < 6_100
    gaps = np.diff(one.statements.second)[np.diff(one.statements.day) == 0]
    assert 119 <= gaps.min() <= gaps.max() <= 481


def test_a_crowd_shares_an_address(robbed: Agency, log: pl.DataFrame) -> None:
    known = robbed.incidents().filter(pl.col("kind") == "crowd_address")
    host = known.filter(pl.col("entity_kind") == "client_address")["entity"].item()
    through = log.filter(pl.col("client_address") == host)
    assert through["account"].n_unique() >= 40
    assert through["day"].min() >= FROM
    groups = robbed.directory().filter(pl.col("account").is_in(through["account"].to_list()))
    assert groups["group"].n_unique() > 5


def test_a_crowd_shares_a_table(robbed: Agency) -> None:
    one = campaign(robbed, "crowd_table")
    known = robbed.incidents().filter(pl.col("kind") == "crowd_table")
    assert known.filter(pl.col("entity_kind") == "object")["entity"].to_list() == [*one.tables]
    statements = one.statements
    assert {catalogue.ALL[code].table for code in statements.template} == {*one.tables}
    daily = np.bincount(statements.account * PLAN.days + statements.day)
    assert 20 <= daily[daily > 0].min() <= daily.max() <= 50


def test_a_crowd_is_a_group(robbed: Agency) -> None:
    known = robbed.incidents().filter(pl.col("kind") == "crowd_group")
    group = known.filter(pl.col("entity_kind") == "group")["entity"].item()
    members = robbed.directory().filter(pl.col("group") == group)["account"]
    thieves = known.filter(pl.col("entity_kind") == "account")["entity"]
    assert set(thieves) <= set(members)
    assert len(thieves) > 0.55 * len(members)


def test_some_kinds_can_be_asked_for() -> None:
    some = Agency.found(replace(PLAN, campaigns=2, kinds=("fold_2", "smash")))
    assert sorted({one.name for one in some.campaigns}) == [
        "fold_2-1",
        "fold_2-2",
        "smash-1",
        "smash-2",
    ]


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no kind of theft is called fold_9; there are .*fold_2"):
        Agency.found(replace(PLAN, kinds=("fold_9",)))


def test_too_small_an_agency_says_what_it_lacks() -> None:
    with pytest.raises(ValueError, match=r"needs .* suitable accounts, only"):
        Agency.found(replace(PLAN, accounts=20, kinds=("smash",), campaigns=40))


def test_an_honest_agency_has_no_incidents() -> None:
    honest = Agency.found(replace(PLAN, accounts=20, days=30, campaigns=0, theft_days=0))
    assert honest.incidents().is_empty()
    assert honest.stolen().is_empty()
    assert honest.incidents().schema["start"] == pl.Datetime("us", "UTC")
    assert date(2023, 12, 7) == honest.plan.start
