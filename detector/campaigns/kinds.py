"""The kinds of campaign, each staged among the people of a ledger.

What they imitate: accounts taken over and drained by pages or at once (France Travail 2024),
insiders who take a little more each day (low and slow), exports, and crowds of stolen accounts.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias

import numpy as np
import polars as pl

from detector.campaigns.ledger_rows import CAMPAIGN_ROWS
from detector.campaigns.patterns import (
    Campaign,
    Paging,
    Scenario,
    Targets,
    page_reads,
    repeat_reading,
)
from detector.campaigns.population import MIN_ACTIVE_DAYS, Population
from detector.core.schema import empty

#: Accounts cast and what they do, as ACTS, with all entities behind it; None where nobody fits.
CampaignBuilder: TypeAlias = Callable[[Scenario], tuple[pl.DataFrame, Targets] | None]

PERSON = ~pl.col("service")
#: Settled: there before and during the stage, and a person.
ESTABLISHED_PERSON = PERSON & (pl.col("before") >= MIN_ACTIVE_DAYS) & (pl.col("during") >= 5)
DORMANT = PERSON & (pl.col("before") >= 5) & (pl.col("during") == 0)
NEWCOMER = PERSON & (pl.col("before") == 0) & (pl.col("during") >= 5)
SERVICE = pl.col("service") & (pl.col("before") >= MIN_ACTIVE_DAYS)
#: Fewer are no crowd.
MIN_CROWD = 4
#: Crowds on one stage, so that the honest remain many.
MAX_CROWDS = {"crowd_address": 2, "crowd_table": 2, "crowd_group": 14}
OFFICE_HOURS = tuple(range(9, 17))
NIGHT_HOURS = (0, 1, 2, 3, 4, 5, 20, 21, 22, 23)
#: The least that a day of theft takes, where an account's own days are small.
MIN_DAILY_ROWS = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of campaign: its name, one line for people, and how it is staged."""

    name: str
    description: str
    stage: CampaignBuilder


def _single_account(
    take: Callable[[Scenario, str], pl.DataFrame], wanted: pl.Expr = ESTABLISHED_PERSON
) -> CampaignBuilder:
    """A campaign of one account that is ``wanted``."""

    def stage(scene: Scenario) -> tuple[pl.DataFrame, Targets] | None:
        cast = scene.population.pick_accounts(wanted, scene.random, scene.used_accounts)
        return (take(scene, cast[0]), (("account", cast[0]),)) if cast else None

    return stage


def _many_accounts(
    take: Callable[[Scenario, list[str]], tuple[pl.DataFrame, tuple[str, str]]],
    crowd: Callable[[Scenario], list[str]],
) -> CampaignBuilder:
    """A campaign of a ``crowd``; ``take`` also says what unites it."""

    def stage(scene: Scenario) -> tuple[pl.DataFrame, Targets] | None:
        accounts = crowd(scene)
        if len(accounts) < MIN_CROWD:
            return None
        acts, shared = take(scene, accounts)
        return acts, (shared, *(("account", name) for name in accounts))

    return stage


def _baseline_rows(scene: Scenario, account: str) -> float:
    row = scene.population.baselines.row(by_predicate=pl.col("account") == account, named=True)
    return max(float(row["rows"] or 0), MIN_DAILY_ROWS)


def _is_scripted(scene: Scenario) -> bool:
    """Half of those who page do it by a program."""
    return bool(scene.random.random() < 0.5)


def _burst(scene: Scenario, account: str) -> pl.DataFrame:
    days = scene.workdays(*scene.random_span(len(scene.population.days), 1.0))
    day = days[int(scene.random.integers(0, len(days)))]
    start = int(scene.random.integers(9, 16))
    hours = tuple(range(start, start + int(scene.random.integers(1, 3))))
    size = float(scene.random.uniform(50_000, 500_000)) / len(hours)
    how = Paging(account, [day], hours, 40, size / 40, is_scripted=_is_scripted(scene))
    return page_reads(scene, how)


def _flat_month(scene: Scenario, account: str) -> pl.DataFrame:
    first, last = scene.random_span(28)
    days = [day for day in scene.population.days if first <= day <= last]
    size = float(scene.random.uniform(150, 500))
    how = Paging(
        account, days, range(24), 6, size, address=scene.random_address(), is_scripted=True
    )
    return page_reads(scene, how)


def _multiply(scene: Scenario, account: str) -> pl.DataFrame:
    more = float(scene.random.choice([0.5, 1.0, 2.0, 4.0]))
    return repeat_reading(scene, [account], scene.random_span(35), lambda _: more)


def _mimic(scene: Scenario, account: str) -> pl.DataFrame:
    more = float(scene.random.choice([0.7, 1.0, 2.0, 4.0]))
    return repeat_reading(scene, [account], scene.random_span(28), lambda _: more, longer=True)


def _ramp(scene: Scenario, account: str) -> pl.DataFrame:
    first, last = scene.random_span(35)
    top = float(scene.random.uniform(3, 8))
    length = max(1, (last - first).days)

    def factor(day: date) -> float:
        return top * (day - first).days / length

    return repeat_reading(scene, [account], (first, last), factor)


def _weekend_nights(scene: Scenario, account: str) -> pl.DataFrame:
    first, last = scene.random_span(21)
    days = [day for day in scene.population.days if first <= day <= last]
    size = _baseline_rows(scene, account) / 30
    off = [day for day in days if day.isoweekday() > 5]
    some = [day for day in days if day.isoweekday() <= 5][:: int(scene.random.integers(1, 4))]
    start = int(scene.random.integers(0, 6))
    night, by_day = NIGHT_HOURS[start : start + 4], range(10, 18)
    scripted, size = _is_scripted(scene), max(size, 3)
    at_night = page_reads(scene, Paging(account, some, night, 5, size, is_scripted=scripted))
    weekend = page_reads(scene, Paging(account, off, by_day, 4, size, is_scripted=scripted))
    return pl.concat([at_night, weekend])


def _dormant(scene: Scenario, account: str) -> pl.DataFrame:
    days = scene.workdays(*scene.random_span(14))
    size = _baseline_rows(scene, account) * float(scene.random.uniform(1, 5)) / 64
    return page_reads(
        scene, Paging(account, days, OFFICE_HOURS, 8, size, is_scripted=_is_scripted(scene))
    )


def _service_abuse(scene: Scenario, account: str) -> pl.DataFrame:
    tables = scene.population.objects["object"].unique().sort()
    if tables.is_empty():
        return empty(CAMPAIGN_ROWS)
    how = Paging(
        account,
        scene.workdays(*scene.random_span(21)),
        OFFICE_HOURS[: int(scene.random.integers(3, 8))],
        10,
        float(scene.random.uniform(5, 100)),
        address=_random_person_value(scene, "client_address"),
        application="psql",
        table=str(tables[int(scene.random.integers(0, len(tables)))]),
    )
    return page_reads(scene, how)


def _random_person_value(scene: Scenario, column: str) -> str | None:
    values = scene.population.baselines.filter(~pl.col("service"))[column].drop_nulls()
    return str(values[int(scene.random.integers(0, len(values)))]) if len(values) else None


def _new_tables(scene: Scenario, account: str) -> pl.DataFrame:
    objects = scene.population.objects
    mine = set(objects.filter(pl.col("account") == account)["object"])
    tables = sorted(set(objects["object"]) - mine) or ["secret.archive"]
    picked = scene.random.permutation(len(tables))[: int(scene.random.integers(1, 6))]
    days = scene.workdays(*scene.random_span(21))
    size = _baseline_rows(scene, account) * float(scene.random.uniform(0.3, 1.0)) / 32
    acts = [
        page_reads(
            scene,
            Paging(account, days, OFFICE_HOURS[::2], 8 / len(picked), size, table=tables[int(at)]),
        )
        for at in picked
    ]
    return pl.concat(acts)


def _newcomer(scene: Scenario, account: str) -> pl.DataFrame:
    stage = scene.population.days
    more = float(scene.random.uniform(2, 5))
    return repeat_reading(scene, [account], (stage[0], stage[-1]), lambda _: more)


def _export(scene: Scenario, account: str) -> pl.DataFrame:
    how = Paging(
        account,
        scene.workdays(*scene.random_span(21)),
        (10, 15),
        float(scene.random.uniform(0.5, 3)),
        _baseline_rows(scene, account),
        action="export" if scene.random.random() < 0.5 else "read",
        has_row_counts=False,
    )
    return page_reads(scene, how)


def _new_address(scene: Scenario, account: str) -> pl.DataFrame:
    more = float(scene.random.uniform(0.4, 1.0))
    return repeat_reading(
        scene, [account], scene.random_span(21), lambda _: more, address=scene.random_address()
    )


def _crowd(scene: Scenario, share: float = 0.03) -> list[str]:
    cast = scene.population.pick_accounts(ESTABLISHED_PERSON, scene.random, scene.used_accounts)
    return cast[: max(MIN_CROWD, min(60, round(len(cast) * share)))]


def _group_members(scene: Scenario) -> list[str]:
    """Most of a group."""
    cast = scene.population.baselines.filter(
        ESTABLISHED_PERSON, ~pl.col("account").is_in(sorted(scene.used_accounts))
    )
    sizes = (
        cast.group_by("group").len().filter(pl.col("len").is_between(MIN_CROWD, 60)).sort("group")
    )
    if sizes.is_empty():
        return []
    group = sizes["group"][int(scene.random.integers(0, len(sizes)))]
    accounts = cast.filter(pl.col("group") == group)["account"].to_list()
    return accounts[: max(MIN_CROWD, round(0.8 * len(accounts)))]


def _crowd_address(scene: Scenario, accounts: list[str]) -> tuple[pl.DataFrame, tuple[str, str]]:
    more = float(scene.random.uniform(0.3, 0.7))
    address = scene.random_address()
    acts = repeat_reading(scene, accounts, scene.random_span(21), lambda _: more, address=address)
    return acts, ("client_address", address)


def _crowd_table(scene: Scenario, accounts: list[str]) -> tuple[pl.DataFrame, tuple[str, str]]:
    objects = scene.population.objects.group_by("object").agg(pl.col("statements").sum())
    tables = objects.sort("statements", "object")["object"]
    if tables.is_empty():
        return empty(CAMPAIGN_ROWS), ("object", "")
    table = str(tables[int(scene.random.integers(0, max(1, len(tables) * 2 // 3)))])
    more = float(scene.random.uniform(0.4, 1.0))
    acts = repeat_reading(scene, accounts, scene.random_span(21), lambda _: more, table=table)
    return acts, ("object", table)


def _crowd_group(scene: Scenario, accounts: list[str]) -> tuple[pl.DataFrame, tuple[str, str]]:
    usual = scene.population.baselines.row(
        by_predicate=pl.col("account") == accounts[0], named=True
    )
    more = float(scene.random.uniform(0.4, 1.0))
    acts = repeat_reading(scene, accounts, scene.random_span(21), lambda _: more)
    return acts, ("group", str(usual["group"]))


def _poisoned(scene: Scenario, account: str) -> pl.DataFrame:
    world = scene.population
    past = world.hourly_reads.filter(pl.col("day") < world.first)["day"].unique().sort()
    begins = past[-min(len(past), 28)] if len(past) else world.first
    more = float(scene.random.choice([1.0, 2.0, 4.0]))
    return repeat_from(scene, account, begins, more)


def repeat_from(scene: Scenario, account: str, begins: date, more: float) -> pl.DataFrame:
    """``again`` from a day before the stage to its end."""
    world = scene.population
    longer = Scenario(replace(world, first=begins), scene.random, scene.used_accounts)
    return repeat_reading(longer, [account], (begins, world.last), lambda _: more)


KINDS: tuple[Kind, ...] = (
    Kind("burst", "everything within an hour or two of a working day", _single_account(_burst)),
    Kind(
        "flat_month",
        "pages, day and night, from a foreign address, for four weeks",
        _single_account(_flat_month),
    ),
    Kind("mimic", "in the own hours, by longer lists, for four weeks", _single_account(_mimic)),
    Kind("fold", "1.5 to 5 times the usual, for five weeks", _single_account(_multiply)),
    Kind("ramp", "a little more every day, for five weeks", _single_account(_ramp)),
    Kind(
        "weekend_nights",
        "at night and on days off, for three weeks",
        _single_account(_weekend_nights),
    ),
    Kind(
        "dormant",
        "an account long unused reads again, for two weeks",
        _single_account(_dormant, DORMANT),
    ),
    Kind(
        "service_abuse",
        "a service account used by hand, for three weeks",
        _single_account(_service_abuse, SERVICE),
    ),
    Kind(
        "new_tables",
        "tables the account never read before, for three weeks",
        _single_account(_new_tables),
    ),
    Kind(
        "newcomer",
        "a new account reads three to six times as much as it would",
        _single_account(_newcomer, NEWCOMER),
    ),
    Kind(
        "export",
        "exports whose size the log does not tell, for three weeks",
        _single_account(_export),
    ),
    Kind(
        "new_address",
        "half as much again or more, from a foreign address",
        _single_account(_new_address),
    ),
    Kind(
        "crowd_address",
        "many accounts take a little each through one address",
        _many_accounts(_crowd_address, _crowd),
    ),
    Kind(
        "crowd_table",
        "many accounts take a little each of one table",
        _many_accounts(_crowd_table, _crowd),
    ),
    Kind(
        "crowd_group",
        "most of a group take a little each",
        _many_accounts(_crowd_group, _group_members),
    ),
    Kind(
        "poisoned",
        "2 to 5 times the usual, since the last weeks of training",
        _single_account(_poisoned),
    ),
)


def build_campaigns(
    world: Population, seed: int, instances: int, kinds: tuple[Kind, ...] = KINDS
) -> list[Campaign]:
    """``instances`` campaigns of each kind on one stage, each on accounts of its own.

    Where a ledger has no account that fits (no service, nobody new), there are fewer. Named
    kind-1, kind-2, and so on.
    """
    taken: set[str] = set()
    found = []
    for number in range(1, instances + 1):
        for kind in kinds:
            if number > MAX_CROWDS.get(kind.name, number):
                continue
            random = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), number])
            staged = kind.stage(Scenario(world, random, taken))
            if staged is None or staged[0].is_empty():
                continue
            acts, targets = staged
            taken |= {name for what, name in targets if what == "account"}
            found.append(Campaign(f"{kind.name}-{number}", acts, targets))
    return found
