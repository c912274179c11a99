"""The feature table of a day that runs: what lies before it is prepared once.

What accounts and groups are expected to do depends on earlier days alone; of the day itself only
its own sums are needed. The last hour of each entity's day so far comes out as ``table.table``
gives it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import polars as pl

from detector.core.settings import Settings
from detector.features import aggregates, intraday, novelty
from detector.features import feature_table as tables
from detector.features.account_signals import Signs, placed_in
from detector.features.aggregates import ACCOUNT, GROUP
from detector.features.distinct_subjects import Month
from detector.features.expectation import History
from detector.features.feature import Family
from detector.features.feature_table import LOOKBACK, Kind, Learned
from detector.features.history import Past, Span
from detector.features.population import Population
from detector.features.robust_stats import Floats

KEYS = ("account", "dimension", "value")


@dataclass(frozen=True, slots=True)
class Today:
    """``accounts`` see ``groups.groups``, ``usual`` see ``departures``. ``networked`` (addresses
    and networks) and ``known`` are what was touched before the day (see ``novelty``). ``expected``
    is ``History.expected`` of the day, by kind, ``population`` ``History.population`` of accounts;
    ``subjects`` whom they read in the month before.
    """

    day: date
    learned: Learned
    settings: Settings
    families: Sequence[Family]
    accounts: pl.DataFrame
    usual: pl.DataFrame
    kinds: dict[str, tuple[Kind, History]]
    signs: Signs
    networked: pl.DataFrame
    known: pl.DataFrame
    members: frozenset[str]
    expected: dict[str, dict[str, Floats]]
    subjects: Month | None
    population: Population | None

    @classmethod
    def of(cls, past: Past, families: Sequence[Family]) -> Today | None:
        """From what lies before the day; None where nobody was active."""
        day, learned = past.day, past.learned
        kinds: dict[str, tuple[Kind, History]] = {}
        expected: dict[str, dict[str, Floats]] = {}
        signs = population = None
        for kind, panel, theirs in past.kinds(span(day), (ACCOUNT, GROUP)):
            # Only of the day itself are hours asked for, and they are yet to come.
            bare = replace(kind, hourly=kind.hourly.clear())
            history = tables.history_of(kind, panel, learned)
            expected[kind.name] = history.expected(day)
            kinds[kind.name] = (bare, history.bare())
            if theirs is not None:
                population = history.population(day)
                signs = replace(theirs, new={}, today=theirs.rhythm.strange(panel, day))
        if signs is None:
            return None
        return cls(
            day, learned, past.settings, families, past.accounts, past.usual, kinds, signs,
            past.networked.filter(pl.col("day") < day), past.known,
            # Not those whose last day lies before the panel: they are yet to be prepared for.
            frozenset(kinds[ACCOUNT][1].panel.entities),
            expected, past.subjects, population,
        )  # fmt: skip

    def hourly(self, hours: pl.DataFrame, touched: pl.DataFrame) -> pl.DataFrame:
        """HOURLY of accounts, of the whole day so far, of no account that is not a member."""
        return aggregates.of_accounts(hours, touched, self.settings, self.subjects)

    def table(
        self,
        each: pl.DataFrame,
        new: pl.DataFrame,
        asked: Mapping[str, Collection[str] | None],
        *,
        ends: bool = True,
    ) -> pl.DataFrame:
        """The last hour so far of the entities that are ``asked`` for by kind, or of all of it.

        Without ``ends`` all hours so far. ``each`` is ``hourly`` of the day, ``new`` is
        ``new(touched)``.
        """
        parts = []
        for name, (kind, history) in self.kinds.items():
            if name not in asked:
                continue
            if name == ACCOUNT:
                fit = replace(kind, hourly=each)
            else:
                groups = tables.grouped(each, self.accounts, self.usual, self.settings)
                fit = tables.scorable(groups, self.learned)
            signs = replace(self.signs, new={self.day: new}) if name == ACCOUNT else None
            if fit.hourly.is_empty():
                continue
            figures = intraday.figures(
                {self.day: fit.hourly}, history, signs, ends=ends, only=asked[name],
                known=self.expected[name],
                population=self.population if name == ACCOUNT else None,
            )  # fmt: skip
            if figures.is_empty():
                continue
            parts.append(figures.with_columns(entity_kind=pl.lit(name)))
        if not parts:
            return pl.DataFrame()
        whole = tables.finished(pl.concat(parts, how="diagonal"), {self.day: new}, self.settings)
        return tables.with_features(whole, self.families)

    def members_of(self, asked: Mapping[str, Collection[str]]) -> pl.Series:
        """The accounts among those that are ``asked`` for by kind, and of the groups among them."""
        theirs = pl.col("account").is_in(list(asked.get(ACCOUNT, ())))
        theirs |= pl.col("group").is_in(list(asked.get(GROUP, ())))
        return self.accounts.filter(theirs)["account"]

    def new(self, touched: pl.DataFrame) -> pl.DataFrame:
        """What is new today, as ``signs.signs_of`` has it of each day."""
        networked = novelty.with_networks(touched)
        mine = self.known.join(networked.select(KEYS).unique(), on=KEYS, how="semi")
        firsts = novelty.firsts(networked, mine)
        groups = self.accounts
        new = novelty.weighed(firsts, self.networked, self.learned.known, groups, self.learned.used)
        panel = self.kinds[ACCOUNT][1].panel
        return placed_in(panel, new, self.settings)


def span(day: date) -> Span:
    """The days of the panel that ``Today`` needs."""
    return day - timedelta(days=LOOKBACK), day
