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
from detector.features.aggregates import ACCOUNT
from detector.features.baseline_training import train_baselines, train_until
from detector.features.baselines import baseline_aggregates
from detector.features.feature import Family
from detector.features.feature_table import TrainedBaselines
from detector.ledger.aggregate import local_day
from detector.model import calibration as tails
from detector.model import ensemble as joining
from detector.model.ensemble import Ensemble, Points
from detector.model.synthetic_positives import service_accounts
from detector.model.training_data import MIN_DAYS, TrainingData

#: Training judges one day in so many of the block before its held-out days: windows reach a week
#: and four weeks back. Whoever asks for a lookback alone gets every day.
DAY_STEP: Final = 7
#: Of so few days of past nothing is known of what is new, or usual.
MIN_PAST_DAYS: Final = 14
#: Days further apart than this are not of one theft.
MAX_GAP_DAYS: Final = 14
#: This share of the accounts, the most unlike the others, has no part in calibration: what is
#: looked for must not say how rare it is.
EXCLUDED_SHARE: Final = 0.01
#: A suspect is found by chance among all accounts less often than one time in thirty, day by day.
SUSPECT_MARGIN: Final = 1.5
#: The least scale of the joint score's tail: as in ``trial``.
MIN_SCALE: Final = 0.1


def rank_accounts(
    data: TrainingData, held_out: Sequence[date], later: pl.DataFrame, every: int = DAY_STEP
) -> pl.DataFrame:
    """Accounts of the span by how far they stand out, the furthest first: one row each.

    ``later`` is the feature table at the ends of the days ``held_out``, over baselines learned
    before them; of the days before these, one in ``every`` is judged. Accounts that the tables of
    ``data`` leave out are held against their peers alone.
    Columns: those of the feature table on the account's worst day, with <feature>_surprise;
    ``surprise`` (-log10 of a calibrated p-value), ``forest`` (that of the isolation forest over the
    population), ``since``, the first day as far out, and ``suspect``.
    """
    parts = [part for part in (_earlier_table(data, held_out, every), later) if not part.is_empty()]
    days = pl.concat(parts, how="diagonal").filter(pl.col("entity_kind") == ACCOUNT)
    judged = [_score_days(days, data.families, data.settings.seed)]
    if data.all_shards is not None:
        judged += _score_others(data, judged[0]["entity"].unique())
    return _rank(pl.concat(judged, how="diagonal"), data)


def rank_span(data: TrainingData) -> pl.DataFrame:
    """``rank_accounts`` of any span; of one too short to learn from, by the population alone."""
    days = data.days()
    if len(days) >= MIN_DAYS:
        held_out = days[len(days) // 2 :]
        learned = train_until(
            data.hours, data.touched, held_out[0] - timedelta(days=1), data.directory, data.settings
        )
        later = _feature_table(data, data.hours, data.touched, held_out, learned)
        return rank_accounts(data, held_out, later, every=1)
    if data.all_shards is not None:
        return _rank(pl.concat(_score_others(data, pl.Series([], dtype=pl.String))), data)
    return _rank(_score_by_population(data, data.hours, data.touched), data)


def _score_others(data: TrainingData, known: pl.Series) -> list[pl.DataFrame]:
    """Those of everyone who are not ``known``, some after the others."""
    assert data.all_shards is not None
    rest = ~pl.col("account").is_in(known.implode())
    shards = ((hours.filter(rest), touched.filter(rest)) for hours, touched in data.all_shards())
    return [_score_by_population(data, *shard) for shard in shards if shard[0].height]


def _score_by_population(
    data: TrainingData, hours: pl.DataFrame, touched: pl.DataFrame
) -> pl.DataFrame:
    """What the population says of some accounts, at the ends of their days."""
    day = local_day("hour", data.settings.timezone)
    days: list[date] = hours.select(day.unique().sort()).to_series().to_list()
    learned = train_baselines(hours, touched, data.directory, data.settings)
    table = _feature_table(data, hours, touched, days, learned)
    families = [family for family in data.families if family.name == joining.POPULATION_FAMILY]
    accounts = table.filter(pl.col("entity_kind") == ACCOUNT)
    unheard = [
        pl.lit(0.0).alias(f"{feature.name}_surprise")
        for family in data.families
        if family not in families
        for feature in family.features
    ]
    return _score_days(accounts, families, data.settings.seed).with_columns(unheard)


def _rank(judged: pl.DataFrame, data: TrainingData) -> pl.DataFrame:
    level = np.log10(max(2, judged["entity"].n_unique())) + SUSPECT_MARGIN
    out = pl.col("surprise") >= level
    found = judged.with_columns(
        # What a service does is what it was made for: people are asked, training is not bent.
        suspect=out & ~pl.col("entity").is_in(sorted(service_accounts(data.directory))),
        rank=pl.col("surprise") + pl.col("forest"),
    )
    worst = found.sort("rank", "entity", "day").group_by("entity", maintain_order=True).last()
    return worst.join(_first_days(found.filter(out), worst), on="entity", how="left").sort(
        "rank", "entity", descending=[True, False]
    )


def _first_days(out: pl.DataFrame, worst: pl.DataFrame) -> pl.DataFrame:
    """entity, since: the first of the days ``out`` that lead to the worst without a gap of more
    than GAP; the worst day itself where none does.
    """
    days = pl.concat([out.select("entity", "day"), worst.select("entity", "day")]).unique()
    gap = (pl.col("day") - pl.col("day").shift(1).over("entity")).dt.total_days() > MAX_GAP_DAYS
    begins = pl.when(gap.fill_null(value=True)).then("day").forward_fill().over("entity")
    runs = days.sort("entity", "day").with_columns(since=begins)
    return worst.select("entity", "day").join(runs, on=["entity", "day"]).drop("day")


def _earlier_table(data: TrainingData, held_out: Sequence[date], every: int) -> pl.DataFrame:
    """The feature table at the ends of some of the days before ``held_out``, over baselines learned
    from these.
    """
    before = [day for day in data.days() if day < held_out[0]][MIN_PAST_DAYS:]
    if not before:
        return pl.DataFrame()
    inside = local_day("hour", data.settings.timezone) >= held_out[0]
    hourly = data.hourly
    learned = train_baselines(
        data.hours.filter(inside),
        data.touched.filter(pl.col("day") >= held_out[0]),
        data.directory,
        data.settings,
        None if hourly is None else hourly.filter(pl.col("day") >= held_out[0]),
    )
    return _feature_table(data, data.hours, data.touched, before[::-every], learned)


def _feature_table(
    data: TrainingData,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: Sequence[date],
    learned: TrainedBaselines,
) -> pl.DataFrame:
    """The feature table at the ends of ``days``."""
    hourly = data.hourly if hours is data.hours else None
    return features.build_table(
        hours, touched, days, learned, data.directory, data.settings, data.families, ends=True,
        hourly=hourly,
    )  # fmt: skip


def _score_days(days: pl.DataFrame, families: Sequence[Family], seed: int) -> pl.DataFrame:
    """The feature table with what voices say that were calibrated on all but the most unlike."""
    first = joining.fit(days, families, seed)
    top = (
        days.select("entity", odd=pl.Series(first.forest_surprise(days, first.surprises(days))))
        .group_by("entity")
        .agg(pl.col("odd").max())
        .sort("odd", "entity", descending=[True, False])
    )
    apart = top.head(max(3, round(EXCLUDED_SHARE * len(top))))["entity"]
    rest = days.filter(~pl.col("entity").is_in(apart.implode()))
    voices = joining.fit(rest if len(rest) else days, families, seed)
    surprises = voices.surprises(days)
    odd = voices.forest_surprise(days, surprises)
    total = voices.joint_score(days, surprises, odd, families)
    change = _calibrate(total, rest, voices, families)
    whole = np.fmax(change, voices.support_score(surprises, odd, families))
    return days.with_columns(
        *(
            pl.Series(f"{name}_surprise", surprises[:, at])
            for at, name in enumerate(voices.feature_names)
        ),
        surprise=pl.Series(whole),
        forest=pl.Series(odd),
    )


def _calibrate(
    total: Points, rest: pl.DataFrame, voices: Ensemble, families: Sequence[Family]
) -> Points:
    surprises = voices.surprises(rest)
    honest = voices.joint_score(rest, surprises, voices.forest_surprise(rest, surprises), families)
    return tails.fit(honest, MIN_SCALE).surprise(total)


def restrict_suspects(learned: TrainedBaselines, suspects: pl.Series) -> TrainedBaselines:
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
    for measure in baseline_aggregates(learned.levels.columns):
        most = pl.min_horizontal(
            f"{measure}_floor",
            pl.col(f"{measure}_group_centre") + pl.col(f"{measure}_group_within"),
        )
        lowered += [
            _replace_where(mine, pl.min_horizontal(name, most), name)
            for name in (f"{measure}_centre", f"{measure}_off_centre", f"{measure}_floor")
        ]
        apart = f"{measure}_spread"
        lowered.append(
            _replace_where(mine, pl.min_horizontal(apart, f"{measure}_group_within"), apart)
        )
    theirs = pl.col("entity").is_in(suspects.implode())
    return replace(
        learned,
        levels=levels.with_columns(lowered).select(learned.levels.columns),
        seen=learned.seen.filter(~theirs),
    )


def _replace_where(mine: pl.Expr, value: pl.Expr, name: str) -> pl.Expr:
    return pl.when(mine & value.is_finite()).then(value).otherwise(name).alias(name)
