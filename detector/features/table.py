"""The feature table: one row per account and active hour of the scored days.

Pure: frames in, frame out. Each row uses only what lies before the end of its hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.features import baseline, days, novelty, shift
from detector.features.feature import Family
from detector.features.groups import groups as peer_groups
from detector.settings import Settings

#: What precedes the first scored day and is needed to score it.
LOOKBACK = baseline.LOOKBACK
#: The dimensions of TOUCHED that features use.
DIMENSIONS = tuple(novelty.NAMES)
#: Of features.
DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Learned:
    """The frozen part of the baselines: accounts, groups (see ``baseline.frozen``), known."""

    accounts: pl.DataFrame
    levels: pl.DataFrame
    known: pl.DataFrame


def learn(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    directory: pl.DataFrame | None,
    settings: Settings,
) -> Learned:
    """The frozen baselines of a training span (HOURS and TOUCHED of all its days)."""
    daily = days.daily(_hourly(hours, touched, settings))
    accounts, levels = baseline.frozen(daily, peer_groups(daily["account"], directory))
    known = novelty.known(touched, touched["day"].max(), LOOKBACK)  # type: ignore[arg-type]
    return Learned(accounts, levels, known)


def _hourly(hours: pl.DataFrame, touched: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    return days.with_objects(days.hourly(hours, settings), touched)


def table(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    scored: Sequence[date],
    learned: Learned,
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
) -> pl.DataFrame:
    """Figures and features of each account and active hour of ``scored``, sorted.

    ``hours`` and ``touched`` cover the scored days and the LOOKBACK days before the first.
    Beside the features: account, day, hour, hour_rows, group, the measures of the day so far,
    new_addresses, new_objects and their names, what was expected, and <measure>_usual and
    <measure>_group_usual as plain counts.
    """
    each = _hourly(hours, touched, settings)
    daily = days.daily(each)
    groups = peer_groups(daily["account"], directory)
    levels = baseline.expected(daily, list(scored), groups, learned.accounts, learned.levels)
    new = novelty.novelty(touched, learned.known, LOOKBACK)
    wanted = each.filter(pl.col("day").is_in(list(scored)))
    frame = (
        novelty.new_so_far(days.so_far(wanted), new)
        .join(levels, on=["account", "day"], how="left")
        .join(shift.shifts(daily, levels), on=["account", "day"], how="left")
    )
    # To an account without any past everything is new, which says nothing.
    unseen = (pl.col("past_days") == 0) & pl.col("frozen_days").is_null()
    frame = shift.with_today(frame).with_columns(
        *(
            pl.when(unseen).then(None).otherwise(f"new_{what}").alias(f"new_{what}")
            for what in novelty.NAMES.values()
        ),
        *_plain_counts(),
    )
    # Rounded: an engine may divide by a constant column in another way than by a varying one,
    # and the last bit must not decide in which leaf of a tree a point falls.
    features = [
        feature.expression.cast(pl.Float64).round(DECIMALS).alias(feature.name)
        for family in families
        for feature in family.features
    ]
    return frame.with_columns(features).sort("account", "hour")


def _plain_counts() -> list[pl.Expr]:
    pairs = {"centre": "usual", "group_centre": "group_usual", "frozen_centre": "frozen_usual"}
    return [
        pl.col(f"{m}_{level}").exp().sub(1).clip(0).alias(f"{m}_{name}")
        for m in days.MEASURES
        for level, name in pairs.items()
    ] + [
        pl.col(f"{m}_group_largest").exp().sub(1).round().alias(f"{m}_group_largest")
        for m in days.MEASURES
    ]
