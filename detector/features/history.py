"""What lies before a day, gathered from some accounts after the others.

The hours of all accounts over seven weeks are more than memory should hold while a log is watched:
they come in shards, and of each is kept what figures need. The same figures come of it, to the last
digit, as of all accounts at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

import polars as pl

from detector.core.settings import Settings
from detector.features import aggregates, group_deviation, novelty
from detector.features import daily_matrix as panels
from detector.features import feature_table as tables
from detector.features.account_signals import Signs, signs_from
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT, SUBJECTS
from detector.features.baseline_training import Shard
from detector.features.daily_matrix import Panel
from detector.features.distinct_subjects import Month
from detector.features.feature import Family
from detector.features.feature_table import Kind, Learned
from detector.features.peer_groups import groups as peer_groups

#: The first and the last day of a panel.
Span: TypeAlias = tuple[date, date]
NETWORKED = ("client_address", "network")


@dataclass(frozen=True, slots=True)
class Past:
    """``accounts`` see ``groups.groups``, ``usual`` see ``departures``. ``hourly`` is HOURLY of
    accounts from ``kept`` on, and of all days of the other kinds. ``networked`` are the addresses
    and networks of all days. ``known`` is when each account last touched each value before the
    ``day``. ``subjects`` is whom they read in the month before it.
    """

    day: date
    learned: Learned
    settings: Settings
    accounts: pl.DataFrame
    usual: pl.DataFrame
    panels: dict[Span, Panel]
    hourly: dict[str, pl.DataFrame]
    firsts: pl.DataFrame
    networked: pl.DataFrame
    known: pl.DataFrame
    subjects: Month | None

    def kinds(self, span: Span, names: Sequence[str]) -> Iterator[tables.Part]:
        """Each kind of entity with its panel over one of the spans."""
        for name in names:
            mine, hourly = name == ACCOUNT, self.hourly[name]
            every = Kind.of_accounts(hourly, self.accounts) if mine else Kind(name, hourly)
            kind = tables.scorable(every, self.learned)
            panel = self.panels[span] if mine else kind.panel(*span, self.settings)
            if panel.entities:
                yield kind, panel, self._signs(panel) if mine else None

    def tables(
        self, span: Span, scored: Sequence[date], families: Sequence[Family]
    ) -> Iterator[pl.DataFrame]:
        """``table.table`` of the ends of each of ``scored``, days that were kept: a day after the
        other, since a table of all would be most of what a watcher holds.
        """
        kinds = list(self.kinds(span, aggregates.KINDS))
        for day in scored:
            yield tables.of_parts(kinds, [day], self.learned, self.settings, families, ends=True)

    def _signs(self, panel: Panel) -> Signs:
        return signs_from(
            panel, self.firsts, self.networked, self.learned, self.accounts, self.settings
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is kept of one shard."""

    accounts: pl.DataFrame
    usual: pl.DataFrame
    panels: list[Panel]
    hourly: pl.DataFrame
    firsts: pl.DataFrame
    networked: pl.DataFrame
    known: pl.DataFrame
    subjects: Month | None


def gather(
    shards: Iterable[Shard],
    spans: Sequence[Span],
    kept: date,
    day: date,
    learned: Learned,
    directory: pl.DataFrame | None,
    settings: Settings,
) -> Past | None:
    """From HOURS and TOUCHED up to ``day``, each account in one shard; None where there is none.

    They reach as far back as all at once would: what was new is told from what came before it.
    """
    sums = aggregates.Sums()
    pieces = [
        _piece(shard, spans, kept, day, learned, directory, settings, sums)
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
    counts = [pl.col(name).fill_null(0) for name in SUBJECTS if name in whole["hourly"].columns]
    hourly = {ACCOUNT: whole["hourly"].with_columns(counts)}
    for name in (GROUP, ADDRESS, OBJECT):
        hourly[name] = tables.shared(name, sums.hourly(name, settings))
    joined = [panels.joined([each.panels[at] for each in pieces]) for at in range(len(spans))]
    return Past(
        day,
        learned,
        settings,
        whole["accounts"].sort("account"),
        whole["usual"],
        dict(zip(spans, joined, strict=True)),
        hourly,
        whole["firsts"].sort("account", "hour", "dimension", "value"),
        whole["networked"],
        whole["known"],
        Month.joined([each.subjects for each in pieces]),
    )  # fmt: skip


def _piece(
    shard: Shard,
    spans: Sequence[Span],
    kept: date,
    day: date,
    learned: Learned,
    directory: pl.DataFrame | None,
    settings: Settings,
    sums: aggregates.Sums,
) -> _Piece:
    """What is kept of a shard; what its accounts add up to goes to ``sums``."""
    hours, touched = shard
    accounts = peer_groups(hours["account"], directory, learned.groups)
    each = aggregates.of_accounts(hours, touched, settings)
    usual = group_deviation.usual(accounts, learned.levels, learned.peers)
    departing = group_deviation.departing(each, usual, settings)
    networked = novelty.with_networks(touched)
    seen = learned.known.filter(pl.col("account").is_in(accounts["account"].implode()))
    before = networked.filter(pl.col("day") < day)
    sums.add(departing, accounts, touched)
    return _Piece(
        accounts,
        usual,
        [Kind(ACCOUNT, each).panel(*span, settings) for span in spans],
        each.filter(pl.col("day") >= kept),
        novelty.firsts(networked, seen),
        networked.filter(pl.col("dimension").is_in(NETWORKED)),
        _remembered(before, seen, day),
        Month.of(touched, day),
    )


def _remembered(before: pl.DataFrame, seen: pl.DataFrame, day: date) -> pl.DataFrame:
    """When each account last touched each value, as far as firsts of ``day`` look back."""
    late = novelty.known(before, day - timedelta(days=1))
    return (
        pl.concat([late, seen.select(late.columns)])
        .filter(pl.col("day") < day)
        .group_by("account", "dimension", "value")
        .agg(pl.col("day").max())
    )
