"""What an account is expected to do on a day: its recent past beside a frozen level.

All in log1p. *Frozen* is learned once, in training, and stored in the model. *Own* is learned
anew for each scored day from the 28 days before it, with each past day held to a few spreads
above the frozen level, so that days of theft cannot raise what is expected (a stateless guard:
it needs no memory of alerts), and shrunk to the frozen level, itself shrunk to the group's.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from detector.features.days import MEASURES

#: Days of recent past. Four weeks hold four of each weekday and one month end.
LOOKBACK = 28
#: Past days weigh against a prior of this many days.
PRIOR_DAYS = 5
#: A past day counts for at most this many spreads above the frozen centre.
CLIP = 3.0
#: No one is steadier than this (natural-log units, about 30 %): MAD of a short or constant
#: history is 0, which would make every change infinite.
FLOOR = 0.3
#: Makes the median absolute deviation a standard deviation under normality.
MAD = 1.4826
#: Distance of the 90th percentile from the median under normality, in standard deviations.
Q90 = 1.2816


def _spread(values: pl.Expr) -> pl.Expr:
    """Robust upper spread: MAD, or the 90th percentile's distance where MAD is blind to it.

    Many measures are 0 on most days (work at night); their MAD is 0 and says nothing.
    """
    median = values.median()
    return pl.max_horizontal(
        (values - median).abs().median() * MAD,
        (values.quantile(0.9, "linear") - median) / Q90,
        pl.lit(FLOOR),
    )


def frozen(days: pl.DataFrame, groups: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accounts' and groups' levels from training days (``days.daily``).

    Accounts: account, group, frozen_days, and <measure>_frozen_centre, <measure>_frozen_spread,
    shrunk to the group. Groups: group, accounts, and <measure>_group_centre, _group_spread (of
    account-days within the group), _group_within (of an account's days), _group_largest.
    """
    logs = days.join(groups, on="account", how="left").with_columns(
        pl.col(m).log1p() for m in MEASURES
    )
    own = logs.group_by("account").agg(
        pl.first("group"),
        pl.len().cast(pl.Int64).alias("frozen_days"),
        *(pl.col(m).median().alias(f"{m}_median") for m in MEASURES),
        *(_spread(pl.col(m)).alias(f"{m}_own_spread") for m in MEASURES),
    )
    levels = _group_levels(logs, own)
    n = pl.col("frozen_days")
    accounts = own.join(levels, on="group", how="left").select(
        "account",
        "group",
        "frozen_days",
        *(
            _shrunk(n, pl.col(f"{m}_median"), pl.col(f"{m}_group_centre")).alias(
                f"{m}_frozen_centre"
            )
            for m in MEASURES
        ),
        *(
            _shrunk_spread(n, pl.col(f"{m}_own_spread"), pl.col(f"{m}_group_within")).alias(
                f"{m}_frozen_spread"
            )
            for m in MEASURES
        ),
    )
    return accounts.sort("account"), levels


def _group_levels(logs: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    residuals = logs.join(own.drop("group"), on="account", how="left").with_columns(
        (pl.col(m) - pl.col(f"{m}_median")).alias(f"{m}_residual") for m in MEASURES
    )
    sums = [
        pl.col("account").n_unique().cast(pl.Int64).alias("accounts"),
        *(pl.col(m).median().alias(f"{m}_group_centre") for m in MEASURES),
        *(_spread(pl.col(m)).alias(f"{m}_group_spread") for m in MEASURES),
        *(_spread(pl.col(f"{m}_residual")).alias(f"{m}_group_within") for m in MEASURES),
        *(pl.col(m).max().alias(f"{m}_group_largest") for m in MEASURES),
    ]
    everyone = residuals.select(pl.lit(None, pl.String).alias("group"), *sums)
    return pl.concat([residuals.group_by("group").agg(sums), everyone]).sort(
        "group", nulls_last=True
    )


def _shrunk(days: pl.Expr, own: pl.Expr, prior: pl.Expr) -> pl.Expr:
    n = days.fill_null(0)
    return (n * own.fill_null(0) + PRIOR_DAYS * prior) / (n + PRIOR_DAYS)


def _shrunk_spread(days: pl.Expr, own: pl.Expr, prior: pl.Expr) -> pl.Expr:
    return _shrunk(days, own.pow(2), prior.pow(2)).sqrt()


def expected(
    days: pl.DataFrame,
    scored: list[date],
    groups: pl.DataFrame,
    accounts: pl.DataFrame,
    levels: pl.DataFrame,
) -> pl.DataFrame:
    """What each account active on a scored day was expected to do on it.

    Columns: account, day, past_days, frozen_days, group, per measure _centre, _spread,
    _frozen_centre, _frozen_spread and the group's levels. ``days`` is ``days.daily`` of the
    scored days and the LOOKBACK before; each scored day sees only days before itself.
    """
    known = _levels_of(days["account"].unique(), groups, accounts, levels)
    logs = days.join(known, on="account", how="left").with_columns(
        pl.min_horizontal(
            pl.col(m).log1p(), pl.col(f"{m}_frozen_centre") + CLIP * pl.col(f"{m}_frozen_spread")
        ).alias(m)
        for m in MEASURES
    )
    past = pl.concat([_past(logs, day) for day in scored])
    frame = (
        days.filter(pl.col("day").is_in(scored))
        .select("account", "day")
        .join(past, on=["account", "day"], how="left")
        .join(known, on="account", how="left")
        .with_columns(pl.col("past_days").fill_null(0))
    )
    n = pl.col("past_days")
    return frame.with_columns(
        *(
            _shrunk(n, pl.col(f"{m}_past"), pl.col(f"{m}_frozen_centre")).alias(f"{m}_centre")
            for m in MEASURES
        ),
        *(
            _shrunk_spread(n, pl.col(f"{m}_past_spread"), pl.col(f"{m}_frozen_spread")).alias(
                f"{m}_spread"
            )
            for m in MEASURES
        ),
    ).sort("account", "day")


def _levels_of(
    names: pl.Series, groups: pl.DataFrame, accounts: pl.DataFrame, levels: pl.DataFrame
) -> pl.DataFrame:
    """Frozen and group levels of each account; the group's for one the model never saw.

    A group the model never saw is given the levels of all accounts.
    """
    everyone = levels.filter(pl.col("group").is_null()).drop("group")
    frame = (
        names.to_frame("account")
        .join(groups, on="account", how="left")
        .join(accounts.drop("group"), on="account", how="left")
        .join(levels, on="group", how="left")
    )
    filled = [
        pl.col(name).fill_null(everyone[name].item()) for name in levels.columns if name != "group"
    ]
    return frame.with_columns(filled).with_columns(
        *(pl.col(f"{m}_frozen_centre").fill_null(pl.col(f"{m}_group_centre")) for m in MEASURES),
        # An account the model never saw may lie anywhere in its group.
        *(
            pl.col(f"{m}_frozen_spread").fill_null(
                pl.max_horizontal(f"{m}_group_spread", f"{m}_group_within")
            )
            for m in MEASURES
        ),
    )


def _past(logs: pl.DataFrame, day: date) -> pl.DataFrame:
    """Median and spread of each account's active days of the same kind before ``day``.

    Workdays are compared with workdays, days off with days off.
    """
    off = day.isoweekday() > 5
    window = logs.filter(
        pl.col("day").is_between(day - timedelta(days=LOOKBACK), day - timedelta(days=1)),
        (pl.col("day").dt.weekday() > 5) == off,
    )
    return window.group_by("account").agg(
        pl.lit(day).alias("day"),
        pl.len().cast(pl.Int64).alias("past_days"),
        *(pl.col(m).median().alias(f"{m}_past") for m in MEASURES),
        *(_spread(pl.col(m)).alias(f"{m}_past_spread") for m in MEASURES),
    )
