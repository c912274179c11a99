"""Sustained excess over the frozen baseline: the mean of recent days, in spreads."""

from __future__ import annotations

from datetime import date

import polars as pl

#: Days a window reaches back, today included.
WINDOWS = {"week": 7, "month": 28}
SHIFTING = ("rows", "statements")
#: One day weighs at most this many spreads: a shift is many days, not one.
CLIP = 3.0
#: Excess is summed in millionths, as integers: floating-point sums depend on their order.
FIXED = 1_000_000


def _excess(measure: str) -> pl.Expr:
    raw = (pl.col(measure).log1p() - pl.col(f"{measure}_frozen_centre")) / pl.col(
        f"{measure}_frozen_spread"
    )
    return (raw.clip(-CLIP, CLIP) * FIXED).round().cast(pl.Int64)


def shifts(days: pl.DataFrame, levels: pl.DataFrame) -> pl.DataFrame:
    """Per account and scored day (those of ``levels``): sums over the days before it.

    Columns: account, day, <measure>_<window>_before (millionths of spreads) and
    <window>_before_days, of active days strictly before ``day``.
    """
    frozen = levels.group_by("account").agg(
        pl.first(f"{m}_frozen_{part}") for m in SHIFTING for part in ("centre", "spread")
    )
    excess = days.join(frozen, on="account").select(
        "account",
        past=pl.col("day"),
        **{m: _excess(m) for m in SHIFTING},
    )
    scored = levels["day"].unique().sort()
    return pl.concat([_before(excess, day) for day in scored])


def _before(excess: pl.DataFrame, day: date) -> pl.DataFrame:
    age = (pl.lit(day) - pl.col("past")).dt.total_days()
    sums = []
    for window, reach in WINDOWS.items():
        inside = age < reach
        sums.append(inside.sum().cast(pl.Int64).alias(f"{window}_before_days"))
        sums += [pl.col(m).filter(inside).sum().alias(f"{m}_{window}_before") for m in SHIFTING]
    return (
        excess.filter(age.is_between(1, max(WINDOWS.values()) - 1))
        .group_by("account")
        .agg(pl.lit(day).alias("day"), *sums)
    )


def with_today(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds today so far: <measure>_<window>_excess (mean, spreads) and _days (active days)."""
    columns = []
    for window in WINDOWS:
        days = pl.col(f"{window}_before_days").fill_null(0) + 1
        for m in SHIFTING:
            total = pl.col(f"{m}_{window}_before").fill_null(0) + _excess(m)
            columns.append((total / FIXED / days).alias(f"{m}_{window}_excess"))
            columns.append(days.alias(f"{m}_{window}_days"))
    return frame.with_columns(columns)
