"""Who stands out in the days that a model is to learn from: a theft under way must not be usual.

The span is cut in two blocks of days, and each is judged by what was learned from the other, by
voices that never saw a staged theft, and by how accounts stand among their peers (``population``),
which needs no honest past. What is found is a list for people, and *suspects*: accounts so far out
that training keeps them from shaping what it takes for honest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from detector.features import table as features
from detector.features.feature import Family
from detector.features.learning import learn
from detector.features.levels import measured
from detector.features.measures import ACCOUNT, local_day
from detector.features.table import Learned
from detector.forests import tail as tails
from detector.forests import voices as joining
from detector.forests.data import Data
from detector.forests.lessons import services
from detector.forests.voices import Points, Voices

#: Of the block before the held-out days one day in so many is judged: windows reach a week and
#: four weeks back.
EVERY: Final = 7
#: This share of the accounts, the most unlike the others, has no part in calibration: what is
#: looked for must not say how rare it is.
LEFT_OUT: Final = 0.01
#: A suspect is found by chance among all accounts less often than one time in ten.
RARER: Final = 1.0
#: The least scale of the joint score's tail: as in ``trial``.
SCALE: Final = 0.1


def lookback(data: Data, held_out: Sequence[date], later: pl.DataFrame) -> pl.DataFrame:
    """Accounts of the span by how far they stand out, the furthest first: one row each.

    ``later`` is the feature table at the ends of the days ``held_out``, over baselines learned
    before them. Columns: those of the feature table on the account's worst day, with
    <feature>_surprise; ``surprise`` (-log10 of a calibrated p-value), ``forest`` (that of the
    isolation forest over the population), ``since``, the first day as far out, and ``suspect``.
    """
    parts = [_earlier(data, held_out), later]
    days = pl.concat([part for part in parts if not part.is_empty()], how="diagonal")
    accounts = days.filter(pl.col("entity_kind") == ACCOUNT)
    judged = _judged(accounts, data.families, data.settings.seed)
    number = max(2, judged["entity"].n_unique())
    level = np.log10(number) + RARER
    out = pl.col("surprise") >= level
    found = judged.with_columns(
        # What a service does is what it was made for: people are asked, training is not bent.
        suspect=out & ~pl.col("entity").is_in(sorted(services(data.directory))),
        rank=pl.col("surprise") + pl.col("forest"),
    )
    since = (
        found.filter(out | (pl.col("surprise") == pl.col("surprise").max().over("entity")))
        .group_by("entity")
        .agg(since=pl.col("day").min())
    )
    worst = found.sort("rank", "entity", "day").group_by("entity", maintain_order=True).last()
    return worst.join(since, on="entity", how="left").sort(
        "rank", "entity", descending=[True, False]
    )


def _earlier(data: Data, held_out: Sequence[date]) -> pl.DataFrame:
    """The feature table at the ends of some of the days before ``held_out``, over baselines learned
    from these.
    """
    before = [day for day in data.days() if day < held_out[0]]
    inside = local_day("hour", data.settings) >= held_out[0]
    hourly = data.hourly
    learned = learn(
        data.hours.filter(inside),
        data.touched.filter(pl.col("day") >= held_out[0]),
        data.directory,
        data.settings,
        None if hourly is None else hourly.filter(pl.col("day") >= held_out[0]),
    )
    return features.table(
        data.hours, data.touched, before[::-EVERY], learned, data.directory, data.settings,
        data.families, ends=True, hourly=data.hourly,
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
