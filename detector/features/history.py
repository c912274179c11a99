"""What lies before a day, gathered from some accounts after the others.

The hours of all accounts over seven weeks are more than memory should hold while a log is watched:
they come in shards, and of each is kept what figures need. The same figures come of it, to the last
digit, as of all accounts at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from detector.core.settings import Settings
from detector.features import aggregates, group_deviation, novelty
from detector.features import daily_matrix as panels
from detector.features import feature_table as tables
from detector.features.account_signals import AccountSignals, signals_from_firsts
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT, SUBJECT_COLUMNS
from detector.features.baseline_training import Shard
from detector.features.daily_matrix import DailyMatrix
from detector.features.distinct_subjects import MonthHistory
from detector.features.feature_table import LOOKBACK_DAYS, EntityKind, TrainedBaselines
from detector.features.peer_groups import assign_groups as peer_groups

NETWORK_DIMENSIONS = ("client_address", "network")


@dataclass(frozen=True, slots=True)
class PastData:
    """``accounts`` see ``assign_groups``, ``usual`` see ``account_levels``. ``matrix`` is the
    accounts'. ``hourly`` is HOURLY of accounts on the ``day``, and of all days of the other kinds.
    ``networked`` are the addresses and networks of all days. ``known`` is when each account last
    touched each value before the ``day``. ``subjects`` is whom they read in the month before it.
    """

    day: date
    learned: TrainedBaselines
    settings: Settings
    accounts: pl.DataFrame
    usual: pl.DataFrame
    matrix: DailyMatrix
    hourly: dict[str, pl.DataFrame]
    firsts: pl.DataFrame
    networked: pl.DataFrame
    known: pl.DataFrame
    subjects: MonthHistory | None

    def kind_parts(self, names: Sequence[str]) -> Iterator[tables.KindPart]:
        """Each kind of entity with its matrix."""
        for name in names:
            mine, hourly = name == ACCOUNT, self.hourly[name]
            every = (
                EntityKind.from_accounts(hourly, self.accounts)
                if mine
                else EntityKind(name, hourly)
            )
            kind = tables.drop_small_groups(every, self.learned)
            matrix = self.matrix if mine else kind.matrix(*matrix_span(self.day), self.settings)
            if matrix.entities:
                yield kind, matrix, self._account_signals() if mine else None

    def _account_signals(self) -> AccountSignals:
        return signals_from_firsts(
            self.matrix, self.firsts, self.networked, self.learned, self.accounts, self.settings
        )


def matrix_span(day: date) -> tuple[date, date]:
    """The first and the last day of the matrices that say what is expected of a day."""
    return day - timedelta(days=LOOKBACK_DAYS), day


@dataclass(frozen=True, slots=True)
class _ShardData:
    """What is kept of one shard."""

    accounts: pl.DataFrame
    usual: pl.DataFrame
    matrix: DailyMatrix
    hourly: pl.DataFrame
    firsts: pl.DataFrame
    networked: pl.DataFrame
    known: pl.DataFrame
    subjects: MonthHistory | None


def gather(
    shards: Iterable[Shard],
    day: date,
    learned: TrainedBaselines,
    directory: pl.DataFrame | None,
    settings: Settings,
) -> PastData | None:
    """From HOURS and TOUCHED up to ``day``, each account in one shard; None where there is none.

    They reach as far back as all at once would: what was new is told from what came before it.
    """
    sums = aggregates.SumAccumulator()
    pieces = [
        _gather_shard(shard, day, learned, directory, settings, sums)
        for shard in shards
        if shard[0].height
    ]
    if not pieces:
        return None
    whole = {
        name: pl.concat([getattr(each, name) for each in pieces], how="diagonal")
        for name in ("accounts", "usual", "hourly", "firsts", "networked", "known")
    }
    # Where some read the records of people, all others read those of nobody.
    counts = [
        pl.col(name).fill_null(0) for name in SUBJECT_COLUMNS if name in whole["hourly"].columns
    ]
    hourly = {ACCOUNT: whole["hourly"].with_columns(counts)}
    for name in (GROUP, ADDRESS, OBJECT):
        hourly[name] = tables.drop_small_addresses(name, sums.hourly(name, settings))
    return PastData(
        day,
        learned,
        settings,
        whole["accounts"].sort("account"),
        whole["usual"],
        panels.concat_entities([each.matrix for each in pieces]),
        hourly,
        whole["firsts"].sort("account", "hour", "dimension", "value"),
        whole["networked"],
        whole["known"],
        MonthHistory.concat([each.subjects for each in pieces]),
    )  # fmt: skip


def _gather_shard(
    shard: Shard,
    day: date,
    learned: TrainedBaselines,
    directory: pl.DataFrame | None,
    settings: Settings,
    sums: aggregates.SumAccumulator,
) -> _ShardData:
    """What is kept of a shard; what its accounts add up to goes to ``sums``."""
    hours, touched = shard
    accounts = peer_groups(hours["account"], directory, learned.groups)
    each = aggregates.hourly_by_account(hours, touched, settings)
    usual = group_deviation.account_levels(accounts, learned.levels, learned.peers)
    departing = group_deviation.add_deviation(each, usual, settings)
    networked = novelty.add_networks(touched)
    seen = learned.known.filter(pl.col("account").is_in(accounts["account"].implode()))
    before = networked.filter(pl.col("day") < day)
    sums.add(departing, accounts, touched)
    return _ShardData(
        accounts,
        usual,
        EntityKind(ACCOUNT, each).matrix(*matrix_span(day), settings),
        each.filter(pl.col("day") == day),
        novelty.first_touches(networked, seen),
        networked.filter(pl.col("dimension").is_in(NETWORK_DIMENSIONS)),
        _last_touches(before, seen, day),
        MonthHistory.from_touched(touched, day),
    )


def _last_touches(before: pl.DataFrame, seen: pl.DataFrame, day: date) -> pl.DataFrame:
    """When each account last touched each value, as far as firsts of ``day`` look back."""
    late = novelty.known_values(before, day - timedelta(days=1))
    return (
        pl.concat([late, seen.select(late.columns)])
        .filter(pl.col("day") < day)
        .group_by("account", "dimension", "value")
        .agg(pl.col("day").max())
    )
