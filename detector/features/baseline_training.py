"""The frozen baselines of a training span, of all accounts at once or of some after the others.

A hundred thousand accounts are more than memory should hold: their hours come in *shards* of some
accounts each, and only daily totals are kept of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import polars as pl

from detector.core.settings import Settings
from detector.features import active_hours, aggregates, baselines, group_deviation, novelty
from detector.features import daily_matrix as panels
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT
from detector.features.feature_table import Kind, Learned, shared
from detector.features.peer_groups import by_dominant, dominant, group_of
from detector.features.peer_groups import groups as peer_groups

#: HOURS and TOUCHED of some accounts, all their days.
Shard: TypeAlias = tuple[pl.DataFrame, pl.DataFrame]
#: All shards, each account in one of them; asked for twice.
Shards: TypeAlias = Callable[[], Iterator[Shard]]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is kept of all shards. ``sums`` are what their accounts add up to."""

    panel: panels.Panel
    sums: aggregates.Sums
    known: pl.DataFrame
    used: pl.DataFrame


def learn(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    directory: pl.DataFrame | None,
    settings: Settings,
    hourly: pl.DataFrame | None = None,
) -> Learned:
    """The frozen baselines of a training span (HOURS and TOUCHED of all its days). ``hourly`` is
    ``measures.of_accounts`` of both, where that is at hand.
    """
    if hourly is None:
        hourly = aggregates.of_accounts(hours, touched, settings)
    return _learned(lambda: iter([(hours, touched)]), [(hourly, touched)], directory, settings)


def learn_until(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    day: date,
    directory: pl.DataFrame | None,
    settings: Settings,
    hourly: pl.DataFrame | None = None,
) -> Learned:
    """``learn`` from the days up to ``day`` of tables that go on."""
    return learn(
        hours.filter(aggregates.local_day("hour", settings) <= day),
        touched.filter(pl.col("day") <= day),
        directory,
        settings,
        None if hourly is None else hourly.filter(pl.col("day") <= day),
    )


def learn_shards(shards: Shards, directory: pl.DataFrame | None, settings: Settings) -> Learned:
    """The frozen baselines of a training span that comes in ``shards``. As ``learn``, to the last
    digit.
    """
    summed = ((aggregates.of_accounts(*shard, settings), shard[1]) for shard in shards())
    return _learned(shards, summed, directory, settings)


def _learned(
    shards: Shards, summed: Iterable[Shard], directory: pl.DataFrame | None, settings: Settings
) -> Learned:
    """``summed`` has HOURLY and TOUCHED of each shard."""
    since, until, uses, names = _looked_over(shards, settings)
    by_usage = by_dominant(uses)
    groups = peer_groups(names, directory, by_usage)
    found = _gathered(summed, groups, (since, until), settings)
    own: list[pl.DataFrame] = []
    peers: list[pl.DataFrame] = []
    for name, panel, theirs in _panels(found, groups, (since, until), settings):
        if name == GROUP:
            # Accounts came first: what is usual of each is known.
            panel = group_deviation.of_groups(  # noqa: PLW2901 - the panel, complete
                panel, found.panel, group_of(groups), own[0]
            )
        entities, shared_levels = baselines.learn(panel, theirs, baselines.floor(name))
        own.append(entities.with_columns(entity_kind=pl.lit(name)))
        peers.append(shared_levels.with_columns(entity_kind=pl.lit(name)))
    seen = active_hours.learn(found.panel)
    return Learned(
        levels=_together(own),
        peers=_together(peers),
        seen=seen,
        habits=active_hours.habits(seen, groups),
        known=found.known,
        used=found.used,
        groups=by_usage,
    )


def _together(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The levels of all kinds; NaN of what only accounts have."""
    whole = pl.concat(parts, how="diagonal")
    return whole.with_columns(pl.col(pl.Float64).fill_null(float("nan")))


def _looked_over(shards: Shards, settings: Settings) -> tuple[date, date, pl.DataFrame, pl.Series]:
    """The first and the last day, what each account uses most, and the accounts."""
    days, uses, names = [], [], []
    for hours, touched in shards():
        days.append(hours.select(aggregates.local_day("hour", settings).unique()).to_series())
        uses.append(dominant(touched))
        names.append(hours["account"].unique())
    each = pl.concat(days)
    since, until = each.min(), each.max()
    assert isinstance(since, date)
    assert isinstance(until, date)
    return since, until, pl.concat(uses).sort("account"), pl.concat(names)


def _gathered(
    summed: Iterable[Shard], groups: pl.DataFrame, span: tuple[date, date], settings: Settings
) -> Gathered:
    accounts, known, used = [], [], []
    sums = aggregates.Sums()
    for each, touched in summed:
        accounts.append(Kind(ACCOUNT, each).panel(*span, settings))
        sums.add(each, groups, touched)
        known.append(novelty.known(novelty.with_networks(touched), span[1]))
        used.append(novelty.used(touched, groups))
    return Gathered(
        panels.joined(accounts),
        sums,
        pl.concat(known).sort("account", "dimension", "value"),
        novelty.joined_used(pl.concat(used)),
    )


def _panels(
    found: Gathered, groups: pl.DataFrame, span: tuple[date, date], settings: Settings
) -> Iterator[tuple[str, panels.Panel, list[str]]]:
    """Each kind of entity: its name, its days, and the group of each entity."""
    accounts = Kind.of_accounts(pl.DataFrame(), groups)
    yield ACCOUNT, found.panel, accounts.groups(found.panel.entities)
    for name in (GROUP, ADDRESS, OBJECT):
        kind = Kind(name, shared(name, found.sums.hourly(name, settings)))
        panel = kind.panel(*span, settings)
        yield name, panel, kind.groups(panel.entities)
