"""The feature table of a day that runs: what lies before it is prepared once.

What accounts and groups are expected to do depends on earlier days alone; of the day itself only
its own sums are needed. The last hour of each entity's day so far comes out as ``table.table``
gives it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from detector.core.settings import Settings
from detector.features import aggregates, intraday, novelty
from detector.features import feature_table as tables
from detector.features.account_signals import AccountSignals, add_places
from detector.features.aggregates import ACCOUNT, GROUP
from detector.features.distinct_subjects import MonthHistory
from detector.features.expectation import History
from detector.features.feature import Family
from detector.features.feature_table import EntityKind, TrainedBaselines
from detector.features.history import PastData
from detector.features.population import Population
from detector.features.robust_stats import Floats

VALUE_KEYS = ("account", "dimension", "value")


@dataclass(frozen=True, slots=True)
class RunningDay:
    """``accounts`` see ``groups.groups``, ``usual`` see ``departures``. ``networked`` (addresses
    and networks) and ``known`` are what was touched before the day (see ``novelty``). ``expected``
    is ``History.expected`` of the day, by kind, ``population`` ``History.population`` of accounts;
    ``subjects`` whom they read in the month before.
    """

    day: date
    learned: TrainedBaselines
    settings: Settings
    families: Sequence[Family]
    accounts: pl.DataFrame
    usual: pl.DataFrame
    kinds: dict[str, tuple[EntityKind, History]]
    signals: AccountSignals
    networked: pl.DataFrame
    known: pl.DataFrame
    members: frozenset[str]
    expectations: dict[str, dict[str, Floats]]
    subjects: MonthHistory | None
    population: Population | None

    @classmethod
    def from_past(cls, past: PastData, families: Sequence[Family]) -> RunningDay | None:
        """From what lies before the day; None where nobody was active."""
        day, learned = past.day, past.learned
        kinds: dict[str, tuple[EntityKind, History]] = {}
        expected: dict[str, dict[str, Floats]] = {}
        signs = population = None
        for kind, panel, theirs in past.kind_parts((ACCOUNT, GROUP)):
            # Only of the day itself are hours asked for, and they are yet to come.
            bare = replace(kind, hourly=kind.hourly.clear())
            history = tables.kind_history(kind, panel, learned)
            expected[kind.name] = history.expectation(day)
            kinds[kind.name] = (bare, history.without_days())
            if theirs is not None:
                population = history.population(day)
                signs = replace(
                    theirs, new_values={}, today_hours=theirs.activity.hour_surprise(panel, day)
                )
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
        return aggregates.hourly_by_account(hours, touched, self.settings, self.subjects)

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
                groups = tables.group_kind(each, self.accounts, self.usual, self.settings)
                fit = tables.drop_small_groups(groups, self.learned)
            signs = replace(self.signals, new_values={self.day: new}) if name == ACCOUNT else None
            if fit.hourly.is_empty():
                continue
            figures = intraday.figures(
                {self.day: fit.hourly}, history, signs, ends=ends, only=asked[name],
                known=self.expectations[name],
                population=self.population if name == ACCOUNT else None,
            )  # fmt: skip
            if figures.is_empty():
                continue
            parts.append(figures.with_columns(entity_kind=pl.lit(name)))
        if not parts:
            return pl.DataFrame()
        whole = tables.complete_figures(
            pl.concat(parts, how="diagonal"), {self.day: new}, self.settings
        )
        return tables.add_features(whole, self.families)

    def group_accounts(self, asked: Mapping[str, Collection[str]]) -> pl.Series:
        """The accounts among those that are ``asked`` for by kind, and of the groups among them."""
        theirs = pl.col("account").is_in(list(asked.get(ACCOUNT, ())))
        theirs |= pl.col("group").is_in(list(asked.get(GROUP, ())))
        return self.accounts.filter(theirs)["account"]

    def new_values(self, touched: pl.DataFrame) -> pl.DataFrame:
        """What is new today, as ``signs.compute_signals`` has it of each day."""
        networked = novelty.add_networks(touched)
        mine = self.known.join(networked.select(VALUE_KEYS).unique(), on=VALUE_KEYS, how="semi")
        firsts = novelty.first_touches(networked, mine)
        groups = self.accounts
        new = novelty.add_weights(
            firsts, self.networked, self.learned.known, groups, self.learned.used
        )
        panel = self.kinds[ACCOUNT][1].panel
        return add_places(panel, new, self.settings)
