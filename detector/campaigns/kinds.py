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

from detector.campaigns.ledger_rows import ACTS
from detector.campaigns.patterns import Paging, Scene, Staged, Targets, again, pages
from detector.campaigns.population import ESTABLISHED, World
from detector.core.schema import empty

#: Accounts cast and what they do, as ACTS, with all entities behind it; None where nobody fits.
Stage: TypeAlias = Callable[[Scene], tuple[pl.DataFrame, Targets] | None]

PERSON = ~pl.col("service")
#: Settled: there before and during the stage, and a person.
SETTLED = PERSON & (pl.col("before") >= ESTABLISHED) & (pl.col("during") >= 5)
QUIET = PERSON & (pl.col("before") >= 5) & (pl.col("during") == 0)
NEW = PERSON & (pl.col("before") == 0) & (pl.col("during") >= 5)
SERVICE = pl.col("service") & (pl.col("before") >= ESTABLISHED)
#: Fewer are no crowd.
FEWEST = 4
#: Crowds on one stage, so that the honest remain many.
MOST_CROWDS = {"crowd_address": 2, "crowd_table": 2, "crowd_group": 14}
OFFICE = tuple(range(9, 17))
NIGHT = (0, 1, 2, 3, 4, 5, 20, 21, 22, 23)
#: The least that a day of theft takes, where an account's own days are small.
LEAST = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of campaign: its name, one line for people, and how it is staged."""

    name: str
    says: str
    stage: Stage


def _by_one(take: Callable[[Scene, str], pl.DataFrame], wanted: pl.Expr = SETTLED) -> Stage:
    """A campaign of one account that is ``wanted``."""

    def stage(scene: Scene) -> tuple[pl.DataFrame, Targets] | None:
        cast = scene.world.cast(wanted, scene.random, scene.taken)
        return (take(scene, cast[0]), (("account", cast[0]),)) if cast else None

    return stage


def _by_many(
    take: Callable[[Scene, list[str]], tuple[pl.DataFrame, tuple[str, str]]],
    crowd: Callable[[Scene], list[str]],
) -> Stage:
    """A campaign of a ``crowd``; ``take`` also says what unites it."""

    def stage(scene: Scene) -> tuple[pl.DataFrame, Targets] | None:
        accounts = crowd(scene)
        if len(accounts) < FEWEST:
            return None
        acts, shared = take(scene, accounts)
        return acts, (shared, *(("account", name) for name in accounts))

    return stage


def _usual_rows(scene: Scene, account: str) -> float:
    row = scene.world.usual.row(by_predicate=pl.col("account") == account, named=True)
    return max(float(row["rows"] or 0), LEAST)


def _scripted(scene: Scene) -> bool:
    """Half of those who page do it by a program."""
    return bool(scene.random.random() < 0.5)


def _burst(scene: Scene, account: str) -> pl.DataFrame:
    days = scene.workdays(*scene.span(len(scene.world.days), 1.0))
    day = days[int(scene.random.integers(0, len(days)))]
    start = int(scene.random.integers(9, 16))
    hours = tuple(range(start, start + int(scene.random.integers(1, 3))))
    size = float(scene.random.uniform(50_000, 500_000)) / len(hours)
    how = Paging(account, [day], hours, 40, size / 40, scripted=_scripted(scene))
    return pages(scene, how)


def _flat_month(scene: Scene, account: str) -> pl.DataFrame:
    first, last = scene.span(28)
    days = [day for day in scene.world.days if first <= day <= last]
    size = float(scene.random.uniform(150, 500))
    how = Paging(account, days, range(24), 6, size, address=scene.address(), scripted=True)
    return pages(scene, how)


def _fold(scene: Scene, account: str) -> pl.DataFrame:
    more = float(scene.random.choice([0.5, 1.0, 2.0, 4.0]))
    return again(scene, [account], scene.span(35), lambda _: more)


def _mimic(scene: Scene, account: str) -> pl.DataFrame:
    more = float(scene.random.choice([0.7, 1.0, 2.0, 4.0]))
    return again(scene, [account], scene.span(28), lambda _: more, longer=True)


def _ramp(scene: Scene, account: str) -> pl.DataFrame:
    first, last = scene.span(35)
    top = float(scene.random.uniform(3, 8))
    length = max(1, (last - first).days)

    def factor(day: date) -> float:
        return top * (day - first).days / length

    return again(scene, [account], (first, last), factor)


def _weekend_nights(scene: Scene, account: str) -> pl.DataFrame:
    first, last = scene.span(21)
    days = [day for day in scene.world.days if first <= day <= last]
    size = _usual_rows(scene, account) / 30
    off = [day for day in days if day.isoweekday() > 5]
    some = [day for day in days if day.isoweekday() <= 5][:: int(scene.random.integers(1, 4))]
    start = int(scene.random.integers(0, 6))
    night, by_day = NIGHT[start : start + 4], range(10, 18)
    scripted, size = _scripted(scene), max(size, 3)
    at_night = pages(scene, Paging(account, some, night, 5, size, scripted=scripted))
    weekend = pages(scene, Paging(account, off, by_day, 4, size, scripted=scripted))
    return pl.concat([at_night, weekend])


def _dormant(scene: Scene, account: str) -> pl.DataFrame:
    days = scene.workdays(*scene.span(14))
    size = _usual_rows(scene, account) * float(scene.random.uniform(1, 5)) / 64
    return pages(scene, Paging(account, days, OFFICE, 8, size, scripted=_scripted(scene)))


def _service(scene: Scene, account: str) -> pl.DataFrame:
    tables = scene.world.objects["object"].unique().sort()
    if tables.is_empty():
        return empty(ACTS)
    how = Paging(
        account,
        scene.workdays(*scene.span(21)),
        OFFICE[: int(scene.random.integers(3, 8))],
        10,
        float(scene.random.uniform(5, 100)),
        address=_colleague(scene, "client_address"),
        application="psql",
        table=str(tables[int(scene.random.integers(0, len(tables)))]),
    )
    return pages(scene, how)


def _colleague(scene: Scene, column: str) -> str | None:
    values = scene.world.usual.filter(~pl.col("service"))[column].drop_nulls()
    return str(values[int(scene.random.integers(0, len(values)))]) if len(values) else None


def _new_tables(scene: Scene, account: str) -> pl.DataFrame:
    objects = scene.world.objects
    mine = set(objects.filter(pl.col("account") == account)["object"])
    tables = sorted(set(objects["object"]) - mine) or ["secret.archive"]
    picked = scene.random.permutation(len(tables))[: int(scene.random.integers(1, 6))]
    days = scene.workdays(*scene.span(21))
    size = _usual_rows(scene, account) * float(scene.random.uniform(0.3, 1.0)) / 32
    acts = [
        pages(
            scene,
            Paging(account, days, OFFICE[::2], 8 / len(picked), size, table=tables[int(at)]),
        )
        for at in picked
    ]
    return pl.concat(acts)


def _newcomer(scene: Scene, account: str) -> pl.DataFrame:
    stage = scene.world.days
    more = float(scene.random.uniform(2, 5))
    return again(scene, [account], (stage[0], stage[-1]), lambda _: more)


def _export(scene: Scene, account: str) -> pl.DataFrame:
    how = Paging(
        account,
        scene.workdays(*scene.span(21)),
        (10, 15),
        float(scene.random.uniform(0.5, 3)),
        _usual_rows(scene, account),
        action="export" if scene.random.random() < 0.5 else "read",
        known=False,
    )
    return pages(scene, how)


def _new_address(scene: Scene, account: str) -> pl.DataFrame:
    more = float(scene.random.uniform(0.4, 1.0))
    return again(scene, [account], scene.span(21), lambda _: more, address=scene.address())


def _crowd(scene: Scene, share: float = 0.03) -> list[str]:
    cast = scene.world.cast(SETTLED, scene.random, scene.taken)
    return cast[: max(FEWEST, min(60, round(len(cast) * share)))]


def _colleagues(scene: Scene) -> list[str]:
    """Most of a group."""
    cast = scene.world.usual.filter(SETTLED, ~pl.col("account").is_in(sorted(scene.taken)))
    sizes = cast.group_by("group").len().filter(pl.col("len").is_between(FEWEST, 60)).sort("group")
    if sizes.is_empty():
        return []
    group = sizes["group"][int(scene.random.integers(0, len(sizes)))]
    accounts = cast.filter(pl.col("group") == group)["account"].to_list()
    return accounts[: max(FEWEST, round(0.8 * len(accounts)))]


def _crowd_address(scene: Scene, accounts: list[str]) -> tuple[pl.DataFrame, tuple[str, str]]:
    more = float(scene.random.uniform(0.3, 0.7))
    address = scene.address()
    acts = again(scene, accounts, scene.span(21), lambda _: more, address=address)
    return acts, ("client_address", address)


def _crowd_table(scene: Scene, accounts: list[str]) -> tuple[pl.DataFrame, tuple[str, str]]:
    objects = scene.world.objects.group_by("object").agg(pl.col("statements").sum())
    tables = objects.sort("statements", "object")["object"]
    if tables.is_empty():
        return empty(ACTS), ("object", "")
    table = str(tables[int(scene.random.integers(0, max(1, len(tables) * 2 // 3)))])
    more = float(scene.random.uniform(0.4, 1.0))
    acts = again(scene, accounts, scene.span(21), lambda _: more, table=table)
    return acts, ("object", table)


def _crowd_group(scene: Scene, accounts: list[str]) -> tuple[pl.DataFrame, tuple[str, str]]:
    usual = scene.world.usual.row(by_predicate=pl.col("account") == accounts[0], named=True)
    more = float(scene.random.uniform(0.4, 1.0))
    acts = again(scene, accounts, scene.span(21), lambda _: more)
    return acts, ("group", str(usual["group"]))


def _poisoned(scene: Scene, account: str) -> pl.DataFrame:
    world = scene.world
    past = world.own.filter(pl.col("day") < world.first)["day"].unique().sort()
    begins = past[-min(len(past), 28)] if len(past) else world.first
    more = float(scene.random.choice([1.0, 2.0, 4.0]))
    return again_from(scene, account, begins, more)


def again_from(scene: Scene, account: str, begins: date, more: float) -> pl.DataFrame:
    """``again`` from a day before the stage to its end."""
    world = scene.world
    longer = Scene(replace(world, first=begins), scene.random, scene.taken)
    return again(longer, [account], (begins, world.last), lambda _: more)


KINDS: tuple[Kind, ...] = (
    Kind("burst", "everything within an hour or two of a working day", _by_one(_burst)),
    Kind(
        "flat_month",
        "pages, day and night, from a foreign address, for four weeks",
        _by_one(_flat_month),
    ),
    Kind("mimic", "in the own hours, by longer lists, for four weeks", _by_one(_mimic)),
    Kind("fold", "1.5 to 5 times the usual, for five weeks", _by_one(_fold)),
    Kind("ramp", "a little more every day, for five weeks", _by_one(_ramp)),
    Kind("weekend_nights", "at night and on days off, for three weeks", _by_one(_weekend_nights)),
    Kind("dormant", "an account long unused reads again, for two weeks", _by_one(_dormant, QUIET)),
    Kind(
        "service_abuse",
        "a service account used by hand, for three weeks",
        _by_one(_service, SERVICE),
    ),
    Kind(
        "new_tables", "tables the account never read before, for three weeks", _by_one(_new_tables)
    ),
    Kind(
        "newcomer",
        "a new account reads three to six times as much as it would",
        _by_one(_newcomer, NEW),
    ),
    Kind("export", "exports whose size the log does not tell, for three weeks", _by_one(_export)),
    Kind(
        "new_address", "half as much again or more, from a foreign address", _by_one(_new_address)
    ),
    Kind(
        "crowd_address",
        "many accounts take a little each through one address",
        _by_many(_crowd_address, _crowd),
    ),
    Kind(
        "crowd_table",
        "many accounts take a little each of one table",
        _by_many(_crowd_table, _crowd),
    ),
    Kind("crowd_group", "most of a group take a little each", _by_many(_crowd_group, _colleagues)),
    Kind(
        "poisoned", "2 to 5 times the usual, since the last weeks of training", _by_one(_poisoned)
    ),
)


def stage(world: World, seed: int, instances: int, kinds: tuple[Kind, ...] = KINDS) -> list[Staged]:
    """``instances`` campaigns of each kind on one stage, each on accounts of its own.

    Where a ledger has no account that fits (no service, nobody new), there are fewer. Named
    kind-1, kind-2, and so on.
    """
    taken: set[str] = set()
    found = []
    for number in range(1, instances + 1):
        for kind in kinds:
            if number > MOST_CROWDS.get(kind.name, number):
                continue
            random = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), number])
            staged = kind.stage(Scene(world, random, taken))
            if staged is None or staged[0].is_empty():
                continue
            acts, targets = staged
            taken |= {name for what, name in targets if what == "account"}
            found.append(Staged(f"{kind.name}-{number}", acts, targets))
    return found
