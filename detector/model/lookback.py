"""Who stands out in the days that a model is to learn from: a theft under way must not be usual.

The span is cut in two blocks of days, and each is judged by what was learned from the other, by
voices that never saw a staged theft, and by how accounts stand among their peers (``population``),
which needs no honest past. What is found is a list for people, and *suspects*: accounts so far out
that training keeps them from shaping what it takes for honest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from detector.features import feature_table as features
from detector.features.aggregates import ACCOUNT, local_day
from detector.features.baseline_training import learn, learn_until
from detector.features.baselines import measured
from detector.features.feature import Family
from detector.features.feature_table import Learned
from detector.model import calibration as tails
from detector.model import ensemble as joining
from detector.model.ensemble import Points, Voices
from detector.model.synthetic_positives import services
from detector.model.training_data import FEWEST_DAYS, Data

#: Training judges one day in so many of the block before its held-out days: windows reach a week
#: and four weeks back. Whoever asks for a lookback alone gets every day.
EVERY: Final = 7
#: Of so few days of past nothing is known of what is new, or usual.
FEWEST_PAST: Final = 14
#: Days further apart than this are not of one theft.
GAP: Final = 14
#: This share of the accounts, the most unlike the others, has no part in calibration: what is
#: looked for must not say how rare it is.
LEFT_OUT: Final = 0.01
#: A suspect is found by chance among all accounts less often than one time in thirty, day by day.
RARER: Final = 1.5
#: The least scale of the joint score's tail: as in ``trial``.
SCALE: Final = 0.1


def lookback(
    data: Data, held_out: Sequence[date], later: pl.DataFrame, every: int = EVERY
) -> pl.DataFrame:
    """Accounts of the span by how far they stand out, the furthest first: one row each.

    ``later`` is the feature table at the ends of the days ``held_out``, over baselines learned
    before them; of the days before these, one in ``every`` is judged. Accounts that the tables of
    ``data`` leave out are held against their peers alone.
    Columns: those of the feature table on the account's worst day, with <feature>_surprise;
    ``surprise`` (-log10 of a calibrated p-value), ``forest`` (that of the isolation forest over the
    population), ``since``, the first day as far out, and ``suspect``.
    """
    parts = [part for part in (_earlier(data, held_out, every), later) if not part.is_empty()]
    days = pl.concat(parts, how="diagonal").filter(pl.col("entity_kind") == ACCOUNT)
    judged = [_judged(days, data.families, data.settings.seed)]
    if data.everyone is not None:
        judged += _others(data, judged[0]["entity"].unique())
    return _ranked(pl.concat(judged, how="diagonal"), data)


def at_once(data: Data) -> pl.DataFrame:
    """``lookback`` of any span; of one too short to learn from, by the population alone."""
    days = data.days()
    if len(days) >= FEWEST_DAYS:
        held_out = days[len(days) // 2 :]
        learned = learn_until(
            data.hours, data.touched, held_out[0] - timedelta(days=1), data.directory, data.settings
        )
        later = _table(data, data.hours, data.touched, held_out, learned)
        return lookback(data, held_out, later, every=1)
    if data.everyone is not None:
        return _ranked(pl.concat(_others(data, pl.Series([], dtype=pl.String))), data)
    return _ranked(_among_peers(data, data.hours, data.touched), data)


def _others(data: Data, known: pl.Series) -> list[pl.DataFrame]:
    """Those of everyone who are not ``known``, some after the others."""
    assert data.everyone is not None
    rest = ~pl.col("account").is_in(known.implode())
    shards = ((hours.filter(rest), touched.filter(rest)) for hours, touched in data.everyone())
    return [_among_peers(data, *shard) for shard in shards if shard[0].height]


def _among_peers(data: Data, hours: pl.DataFrame, touched: pl.DataFrame) -> pl.DataFrame:
    """What the population says of some accounts, at the ends of their days."""
    day = local_day("hour", data.settings)
    days: list[date] = hours.select(day.unique().sort()).to_series().to_list()
    learned = learn(hours, touched, data.directory, data.settings)
    table = _table(data, hours, touched, days, learned)
    families = [family for family in data.families if family.name == joining.POPULATION]
    accounts = table.filter(pl.col("entity_kind") == ACCOUNT)
    unheard = [
        pl.lit(0.0).alias(f"{feature.name}_surprise")
        for family in data.families
        if family not in families
        for feature in family.features
    ]
    return _judged(accounts, families, data.settings.seed).with_columns(unheard)


def _ranked(judged: pl.DataFrame, data: Data) -> pl.DataFrame:
    level = np.log10(max(2, judged["entity"].n_unique())) + RARER
    out = pl.col("surprise") >= level
    found = judged.with_columns(
        # What a service does is what it was made for: people are asked, training is not bent.
        suspect=out & ~pl.col("entity").is_in(sorted(services(data.directory))),
        rank=pl.col("surprise") + pl.col("forest"),
    )
    worst = found.sort("rank", "entity", "day").group_by("entity", maintain_order=True).last()
    return worst.join(_since(found.filter(out), worst), on="entity", how="left").sort(
        "rank", "entity", descending=[True, False]
    )


def _since(out: pl.DataFrame, worst: pl.DataFrame) -> pl.DataFrame:
    """entity, since: the first of the days ``out`` that lead to the worst without a gap of more
    than GAP; the worst day itself where none does.
    """
    days = pl.concat([out.select("entity", "day"), worst.select("entity", "day")]).unique()
    gap = (pl.col("day") - pl.col("day").shift(1).over("entity")).dt.total_days() > GAP
    begins = pl.when(gap.fill_null(value=True)).then("day").forward_fill().over("entity")
    runs = days.sort("entity", "day").with_columns(since=begins)
    return worst.select("entity", "day").join(runs, on=["entity", "day"]).drop("day")


def _earlier(data: Data, held_out: Sequence[date], every: int) -> pl.DataFrame:
    """The feature table at the ends of some of the days before ``held_out``, over baselines learned
    from these.
    """
    before = [day for day in data.days() if day < held_out[0]][FEWEST_PAST:]
    if not before:
        return pl.DataFrame()
    inside = local_day("hour", data.settings) >= held_out[0]
    hourly = data.hourly
    learned = learn(
        data.hours.filter(inside),
        data.touched.filter(pl.col("day") >= held_out[0]),
        data.directory,
        data.settings,
        None if hourly is None else hourly.filter(pl.col("day") >= held_out[0]),
    )
    return _table(data, data.hours, data.touched, before[::-every], learned)


def _table(
    data: Data,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: Sequence[date],
    learned: Learned,
) -> pl.DataFrame:
    """The feature table at the ends of ``days``."""
    hourly = data.hourly if hours is data.hours else None
    return features.table(
        hours, touched, days, learned, data.directory, data.settings, data.families, ends=True,
        hourly=hourly,
    )  # fmt: skip


def _judged(days: pl.DataFrame, families: Sequence[Family], seed: int) -> pl.DataFrame:
    """The feature table with what voices say that were calibrated on all but the most unlike."""
    first = joining.fit(days, families, seed)
    top = (
        days.select("entity", odd=pl.Series(first.odd(days, first.surprises(days))))
        .group_by("entity")
        .agg(pl.col("odd").max())
        .sort("odd", "entity", descending=[True, False])
    )
    apart = top.head(max(3, round(LEFT_OUT * len(top))))["entity"]
    rest = days.filter(~pl.col("entity").is_in(apart.implode()))
    voices = joining.fit(rest if len(rest) else days, families, seed)
    surprises = voices.surprises(days)
    odd = voices.odd(days, surprises)
    total = voices.joint(days, surprises, odd, families)
    change = _calibrated(total, rest, voices, families)
    whole = np.fmax(change, voices.support(surprises, odd, families))
    return days.with_columns(
        *(pl.Series(f"{name}_surprise", surprises[:, at]) for at, name in enumerate(voices.names)),
        surprise=pl.Series(whole),
        forest=pl.Series(odd),
    )


def _calibrated(
    total: Points, rest: pl.DataFrame, voices: Voices, families: Sequence[Family]
) -> Points:
    surprises = voices.surprises(rest)
    honest = voices.joint(rest, surprises, voices.odd(rest, surprises), families)
    return tails.fit(honest, SCALE).surprise(total)


def kept_honest(learned: Learned, suspects: pl.Series) -> Learned:
    """``learned``, but of ``suspects`` only what looks honest: baselines no higher than in their
    own lowest month, nor than their peers vary, and no hours of their own.
    """
    if suspects.is_empty():
        return learned
    mine = (pl.col("entity_kind") == ACCOUNT) & pl.col("entity").is_in(suspects.implode())
    accounts = learned.peers.filter(pl.col("entity_kind") == ACCOUNT)
    levels = learned.levels.join(
        accounts.drop("entity_kind", "entities"), on="group", how="left", maintain_order="left"
    )
    lowered = []
    for measure in measured(learned.levels.columns):
        most = pl.min_horizontal(
            f"{measure}_floor",
            pl.col(f"{measure}_group_centre") + pl.col(f"{measure}_group_within"),
        )
        lowered += [
            _where(mine, pl.min_horizontal(name, most), name)
            for name in (f"{measure}_centre", f"{measure}_off_centre", f"{measure}_floor")
        ]
        apart = f"{measure}_spread"
        lowered.append(_where(mine, pl.min_horizontal(apart, f"{measure}_group_within"), apart))
    theirs = pl.col("entity").is_in(suspects.implode())
    return replace(
        learned,
        levels=levels.with_columns(lowered).select(learned.levels.columns),
        seen=learned.seen.filter(~theirs),
    )


def _where(mine: pl.Expr, value: pl.Expr, name: str) -> pl.Expr:
    return pl.when(mine & value.is_finite()).then(value).otherwise(name).alias(name)
