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
from detector.features.feature_table import EntityKind, TrainedBaselines, drop_small_addresses
from detector.features.peer_groups import assign_groups as peer_groups
from detector.features.peer_groups import groups_by_account, groups_by_main_usage, main_usage
from detector.ledger.aggregate import local_day

#: HOURS and TOUCHED of some accounts, all their days.
Shard: TypeAlias = tuple[pl.DataFrame, pl.DataFrame]
#: All shards, each account in one of them; asked for twice.
Shards: TypeAlias = Callable[[], Iterator[Shard]]


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What is kept of all shards. ``sums`` are what their accounts add up to."""

    panel: panels.DailyMatrix
    sums: aggregates.SumAccumulator
    known_values: pl.DataFrame
    group_usage: pl.DataFrame


def train_baselines(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    directory: pl.DataFrame | None,
    settings: Settings,
    hourly: pl.DataFrame | None = None,
) -> TrainedBaselines:
    """The frozen baselines of a training span (HOURS and TOUCHED of all its days). ``hourly`` is
    ``measures.of_accounts`` of both, where that is at hand.
    """
    if hourly is None:
        hourly = aggregates.hourly_by_account(hours, touched, settings)
    return _train(lambda: iter([(hours, touched)]), [(hourly, touched)], directory, settings)


def train_until(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    day: date,
    directory: pl.DataFrame | None,
    settings: Settings,
    hourly: pl.DataFrame | None = None,
) -> TrainedBaselines:
    """``train_baselines`` from the days up to ``day`` of tables that go on."""
    return train_baselines(
        hours.filter(local_day("hour", settings.timezone) <= day),
        touched.filter(pl.col("day") <= day),
        directory,
        settings,
        None if hourly is None else hourly.filter(pl.col("day") <= day),
    )


def train_shards(
    shards: Shards, directory: pl.DataFrame | None, settings: Settings
) -> TrainedBaselines:
    """The frozen baselines of a training span that comes in ``shards``. As ``train_baselines``, to
    the last digit.
    """
    summed = ((aggregates.hourly_by_account(*shard, settings), shard[1]) for shard in shards())
    return _train(shards, summed, directory, settings)


def _train(
    shards: Shards, summed: Iterable[Shard], directory: pl.DataFrame | None, settings: Settings
) -> TrainedBaselines:
    """``summed`` has HOURLY and TOUCHED of each shard."""
    since, until, uses, names = _scan_shards(shards, settings)
    by_usage = groups_by_main_usage(uses)
    groups = peer_groups(names, directory, by_usage)
    found = _summarize_shards(summed, groups, (since, until), settings)
    own: list[pl.DataFrame] = []
    peers: list[pl.DataFrame] = []
    for name, panel, theirs in _kind_matrices(found, groups, (since, until), settings):
        if name == GROUP:
            # Accounts came first: what is usual of each is known.
            panel = group_deviation.add_group_deviation(  # noqa: PLW2901 - the panel, complete
                panel, found.panel, groups_by_account(groups), own[0]
            )
        entities, shared_levels = baselines.fit(panel, theirs, baselines.min_spread(name))
        own.append(entities.with_columns(entity_kind=pl.lit(name)))
        peers.append(shared_levels.with_columns(entity_kind=pl.lit(name)))
    seen = active_hours.count_days(found.panel)
    return TrainedBaselines(
        levels=_concat_kinds(own),
        peers=_concat_kinds(peers),
        seen=seen,
        habits=active_hours.group_habits(seen, groups),
        known=found.known_values,
        used=found.group_usage,
        groups=by_usage,
    )


def _concat_kinds(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The levels of all kinds; NaN of what only accounts have."""
    whole = pl.concat(parts, how="diagonal")
    return whole.with_columns(pl.col(pl.Float64).fill_null(float("nan")))


def _scan_shards(shards: Shards, settings: Settings) -> tuple[date, date, pl.DataFrame, pl.Series]:
    """The first and the last day, what each account uses most, and the accounts."""
    days, uses, names = [], [], []
    for hours, touched in shards():
        days.append(hours.select(local_day("hour", settings.timezone).unique()).to_series())
        uses.append(main_usage(touched))
        names.append(hours["account"].unique())
    each = pl.concat(days)
    since, until = each.min(), each.max()
    assert isinstance(since, date)
    assert isinstance(until, date)
    return since, until, pl.concat(uses).sort("account"), pl.concat(names)


def _summarize_shards(
    summed: Iterable[Shard], groups: pl.DataFrame, span: tuple[date, date], settings: Settings
) -> ShardSummary:
    accounts, known, used = [], [], []
    sums = aggregates.SumAccumulator()
    for each, touched in summed:
        accounts.append(EntityKind(ACCOUNT, each).matrix(*span, settings))
        sums.add(each, groups, touched)
        known.append(novelty.known_values(novelty.add_networks(touched), span[1]))
        used.append(novelty.group_usage(touched, groups))
    return ShardSummary(
        panels.concat_entities(accounts),
        sums,
        pl.concat(known).sort("account", "dimension", "value"),
        novelty.merge_usage(pl.concat(used)),
    )


def _kind_matrices(
    found: ShardSummary, groups: pl.DataFrame, span: tuple[date, date], settings: Settings
) -> Iterator[tuple[str, panels.DailyMatrix, list[str]]]:
    """Each kind of entity: its name, its days, and the group of each entity."""
    accounts = EntityKind.from_accounts(pl.DataFrame(), groups)
    yield ACCOUNT, found.panel, accounts.entity_groups(found.panel.entities)
    for name in (GROUP, ADDRESS, OBJECT):
        kind = EntityKind(name, drop_small_addresses(name, found.sums.hourly(name, settings)))
        panel = kind.matrix(*span, settings)
        yield name, panel, kind.entity_groups(panel.entities)
