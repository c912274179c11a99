"""The feature table: one row per entity and active hour of the scored days.

Pure: frames in, frame out. Each row uses only what lies before the end of its hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TypeAlias

import numpy as np
import polars as pl

from detector.core.schema import SUBJECT
from detector.core.settings import Settings
from detector.features import aggregates, baselines, expectation, group_deviation, intraday, novelty
from detector.features import daily_matrix as panels
from detector.features.account_signals import AccountSignals, compute_signals
from detector.features.aggregate_columns import AGGREGATE_COLUMNS
from detector.features.aggregates import ACCOUNT, ADDRESS, ENTITY_KINDS, GROUP
from detector.features.expectation import History
from detector.features.feature import Family, Feature, to_count
from detector.features.peer_groups import assign_groups as peer_groups
from detector.features.peer_groups import groups_by_account

#: What precedes the first scored day and is needed to score it.
LOOKBACK_DAYS = expectation.CUSUM_DAYS
#: The dimensions of TOUCHED that features use.
FEATURE_DIMENSIONS = ("client_address", "object", "application", SUBJECT)
#: Levels that are told to people as counts.
COUNT_COLUMNS = {
    "centre": "usual",
    "frozen_centre": "frozen_usual",
    "group_largest": "group_largest",
}
#: Of features.
DECIMALS = 9
#: An address with fewer accounts in a day, or a group with fewer in training, is judged through its
#: accounts: it would only repeat them.
MIN_MEMBERS = 3


@dataclass(frozen=True, slots=True)
class TrainedBaselines:
    """The frozen part of what is expected.

    ``levels`` and ``peers`` (see ``levels.learn``) have a column ``entity_kind``. ``seen`` and
    ``habits`` (SEEN) are the hours of accounts and of their groups; ``known`` and ``used`` see
    ``novelty``; ``groups`` is what ``groups.groups_by_usage`` made of the training span.
    """

    levels: pl.DataFrame
    peers: pl.DataFrame
    seen: pl.DataFrame
    habits: pl.DataFrame
    known: pl.DataFrame
    used: pl.DataFrame
    groups: pl.DataFrame


@dataclass(frozen=True, slots=True)
class EntityKind:
    """One kind of entity over some days: HOURLY, and the group of each entity (by name).

    ``hired`` is the day from which an account could have read, where the directory says; and it
    says which are ``services`` (None of other kinds of entity).
    """

    name: str
    hourly: pl.DataFrame
    groups_by_entity: dict[str, str] = field(default_factory=dict)
    hire_dates: dict[str, date] = field(default_factory=dict)
    services: frozenset[str] | None = None

    @classmethod
    def from_accounts(cls, hourly: pl.DataFrame, accounts: pl.DataFrame) -> EntityKind:
        """The accounts; ``accounts`` is ``groups.groups`` of them."""
        hired = accounts.filter(pl.col("hired").is_not_null())
        return cls(
            ACCOUNT,
            hourly,
            groups_by_account(accounts),
            dict(hired.select("account", "hired").iter_rows()),
            frozenset(accounts.filter(pl.col("service"))["account"]),
        )

    def matrix(self, since: date, until: date, settings: Settings) -> panels.DailyMatrix:
        """Its days from ``since`` to ``until``, as arrays."""
        return panels.build_matrix(self.hourly, since, until, settings, per_head=self.name == GROUP)

    def entity_groups(self, entities: list[str]) -> list[str]:
        """The group of each entity; kinds without groups are one."""
        return [self.groups_by_entity.get(entity, f"all {self.name}s") for entity in entities]


#: A kind of entity with its days, and what only accounts have.
KindPart: TypeAlias = tuple[EntityKind, panels.DailyMatrix, AccountSignals | None]


def entity_kinds(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    accounts: pl.DataFrame,
    learned: TrainedBaselines,
    settings: Settings,
    hourly: pl.DataFrame | None,
) -> Iterator[EntityKind]:
    """Each kind of entity in the ledger's tables; ``accounts`` is ``groups.groups`` of them."""
    each = aggregates.hourly_by_account(hours, touched, settings) if hourly is None else hourly
    usual = group_deviation.account_levels(accounts, learned.levels, learned.peers)
    for name in ENTITY_KINDS:
        if name == ACCOUNT:
            yield EntityKind.from_accounts(each, accounts)
        elif name == GROUP:
            yield group_kind(each, accounts, usual, settings)
        else:
            yield EntityKind(
                name,
                drop_small_addresses(name, aggregates.hourly_by_value(touched, name, settings)),
            )


def group_kind(
    each: pl.DataFrame, accounts: pl.DataFrame, usual: pl.DataFrame, settings: Settings
) -> EntityKind:
    """The groups, from HOURLY of their accounts and what is ``usual`` of each (``departures``)."""
    departing = group_deviation.add_deviation(each, usual, settings)
    return EntityKind(GROUP, aggregates.hourly_by_group(departing, accounts))


def drop_small_addresses(name: str, hourly: pl.DataFrame) -> pl.DataFrame:
    """HOURLY of a kind without the addresses that are judged through their accounts."""
    return hourly.filter(pl.col("others") >= MIN_MEMBERS) if name == ADDRESS else hourly


def build_table(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    scored: Sequence[date],
    learned: TrainedBaselines,
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
    *,
    ends: bool = False,
    hourly: pl.DataFrame | None = None,
    only: Mapping[str, Collection[str]] | None = None,
) -> pl.DataFrame:
    """Figures and features of each entity and active hour of ``scored``, sorted.

    ``hours`` and ``touched`` cover the scored days and the LOOKBACK days before the first. With
    ``ends``, only the last hour of each entity's day. ``hourly`` is ``measures.of_accounts`` of
    both, where that is at hand. ``only`` names the entities that are asked for, by kind (None:
    all); the others count as far as these are held against them. Columns: entity_kind, entity,
    group, day, hour, hour_rows, those of ``moment.figures``, and the features. Without any activity
    on the scored days, a frame without columns.
    """
    accounts = peer_groups(hours["account"], directory, learned.groups)
    since, until = min(scored) - timedelta(days=LOOKBACK_DAYS), max(scored)

    def parts() -> Iterator[KindPart]:
        for each in entity_kinds(hours, touched, accounts, learned, settings, hourly):
            kind = drop_small_groups(each, learned)
            panel = kind.matrix(since, until, settings)
            if panel.entities and kind.name == ACCOUNT:
                yield kind, panel, compute_signals(panel, touched, learned, accounts, settings)
            elif panel.entities:
                yield kind, panel, None

    return build_from_parts(parts(), scored, learned, settings, families, ends=ends, only=only)


def build_from_parts(
    kinds: Iterable[KindPart],
    scored: Sequence[date],
    learned: TrainedBaselines,
    settings: Settings,
    families: Sequence[Family],
    *,
    ends: bool,
    only: Mapping[str, Collection[str]] | None = None,
) -> pl.DataFrame:
    """``build_table`` of kinds of entities whose past is at hand; they need no other hours than
    those of ``scored``.
    """
    parts = []
    new: dict[date, pl.DataFrame] = {}
    for kind, panel, signs in kinds:
        asked = None if only is None else only.get(kind.name, ())
        of_days = _asked_for(kind.hourly, scored, asked)
        parted = of_days.partition_by("day", as_dict=True)
        by_day = {day: parted[(day,)] for day in sorted(scored) if (day,) in parted}
        if by_day:
            history = kind_history(kind, panel, learned)
            figures = intraday.figures(by_day, history, signs, ends=ends, only=asked)
            parts.append(figures.with_columns(entity_kind=pl.lit(kind.name)))
            if signs is not None:
                new = signs.new_values
    if not parts:
        return pl.DataFrame()
    return add_features(complete_figures(pl.concat(parts, how="diagonal"), new, settings), families)


def _asked_for(
    hourly: pl.DataFrame, scored: Sequence[date], only: Collection[str] | None
) -> pl.DataFrame:
    """HOURLY of all entities on the days of ``scored``; not on those without any of ``only``."""
    found = hourly.filter(pl.col("day").is_in(list(scored)))
    if only is None:
        return found
    theirs = found.filter(pl.col("entity").is_in(sorted(only)))
    return found.filter(pl.col("day").is_in(theirs["day"].implode()))


def kind_history(kind: EntityKind, panel: panels.DailyMatrix, learned: TrainedBaselines) -> History:
    """The past of a kind of entity, beside what was learned of it."""
    groups = kind.entity_groups(panel.entities)
    of_kind = pl.col("entity_kind") == kind.name
    frozen = baselines.lookup(
        panel,
        groups,
        learned.levels.filter(of_kind).drop("entity_kind"),
        learned.peers.filter(of_kind).drop("entity_kind"),
    )
    begins = np.array(
        [
            panel.column(kind.hire_dates[name]) if name in kind.hire_dates else np.nan
            for name in panel.entities
        ]
    )
    service = None
    if kind.services is not None:
        service = np.array([name in kind.services for name in panel.entities], dtype=bool)
    return History.from_matrix(
        panel, frozen, groups, baselines.min_spread(kind.name), begins, service
    )


def complete_figures(
    frame: pl.DataFrame, new: dict[date, pl.DataFrame], settings: Settings
) -> pl.DataFrame:
    """Adds the UTC hour, the names of what is new in it, and levels as plain counts."""
    # The ledger's hours are UTC's; where midnight lies between two, the later begins the day.
    begins = aggregates.midnight(pl.col("day"), settings) + pl.duration(minutes=59)
    hour = (begins + pl.duration(hours=pl.col("slot"))).dt.truncate("1h")
    frame = frame.with_columns(hour=hour)
    firsts = pl.concat(new.values()) if new else None
    for dimension, what in novelty.DIMENSION_NAMES.items():
        column = f"new_{what}_names"
        if firsts is None:
            frame = frame.with_columns(pl.lit(None, pl.List(pl.String)).alias(column))
            continue
        names = (
            firsts.filter(pl.col("dimension") == dimension)
            .group_by(entity="account", hour="hour")
            .agg(pl.col("value").sort().alias(column))
        )
        of_kind = names.with_columns(entity_kind=pl.lit(ACCOUNT))
        frame = frame.join(of_kind, on=["entity_kind", "entity", "hour"], how="left")
    usual = [
        to_count(m, level).alias(f"{m}_{name}")
        for m in (*AGGREGATE_COLUMNS, *aggregates.SUBJECT_COLUMNS)
        for level, name in COUNT_COLUMNS.items()
        if f"{m}_{level}" in frame.columns
    ]
    return frame.with_columns(usual).sort("entity_kind", "entity", "hour")


def drop_small_groups(kind: EntityKind, learned: TrainedBaselines) -> EntityKind:
    """The kind without groups too small in training to be judged by themselves."""
    if kind.name != GROUP:
        return kind
    large = learned.peers.filter(
        pl.col("entity_kind") == ACCOUNT,
        pl.col("entities") >= MIN_MEMBERS,
        pl.col("group").is_not_null(),
    )
    kept = kind.hourly.filter(pl.col("entity").is_in(large["group"].implode()))
    return replace(kind, hourly=kept)


def add_features(frame: pl.DataFrame, families: Sequence[Family]) -> pl.DataFrame:
    """Adds the features."""
    # Rounded: an engine may divide by a constant column in another way than by a varying one,
    # and the last bit must not decide in which leaf of a tree a point falls.
    return frame.with_columns(
        _expression(feature, frame)
        .cast(pl.Float64)
        .fill_nan(None)
        .round(DECIMALS)
        .alias(feature.name)
        for family in families
        for feature in family.features
    )


def _expression(feature: Feature, frame: pl.DataFrame) -> pl.Expr:
    """Null where it is rare, and the log has nothing to make it of."""
    lacks = feature.is_rare and not set(feature.expression.meta.root_names()) <= set(frame.columns)
    return pl.lit(None) if lacks else feature.expression
