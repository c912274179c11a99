"""Values that an account has not touched for four weeks: addresses and objects."""

from __future__ import annotations

from datetime import date

import polars as pl

#: Columns of what a model remembers of values seen in training: the last day of each.
KNOWN = {
    "account": pl.String(),
    "dimension": pl.String(),
    "value": pl.String(),
    "day": pl.Date(),
}

#: The dimensions looked at, and what they are called in features.
NAMES = {"client_address": "addresses", "object": "objects"}


def known(touched: pl.DataFrame, last: date, days: int) -> pl.DataFrame:
    """The values seen in the ``days`` up to ``last``, with the last day of each."""
    return (
        touched.filter(
            pl.col("dimension").is_in(list(NAMES)),
            pl.col("day") <= last,
            pl.col("day") > pl.lit(last) - pl.duration(days=days),
        )
        .group_by("account", "dimension", "value")
        .agg(pl.col("day").max())
        .sort("account", "dimension", "value")
    )


def novelty(touched: pl.DataFrame, remembered: pl.DataFrame, days: int) -> pl.DataFrame:
    """First touches after ``days`` without: account, hour, dimension, value; sorted.

    ``remembered`` (KNOWN) stands in for the ledger where that does not reach back.
    """
    keys = ["account", "dimension", "value"]
    seen = pl.concat(
        [
            touched.filter(pl.col("dimension").is_in(list(NAMES))).select(
                *keys, "day", hour="first_hour"
            ),
            remembered.select(*keys, "day", hour=pl.lit(None, touched.schema["first_hour"])),
        ]
    ).sort(*keys, "day", "hour", nulls_last=True)
    before = pl.col("day").shift().over(keys)
    return (
        seen.filter(
            before.is_null() | ((pl.col("day") - before).dt.total_days() > days),
            pl.col("hour").is_not_null(),
        )
        .select("account", "day", "hour", "dimension", "value")
        .sort("account", "hour", "dimension", "value")
    )


def new_so_far(frame: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Adds ``new_<what>`` running counts and ``new_<what>_names``, the names of the hour alone."""
    for dimension, what in NAMES.items():
        firsts = (
            new.filter(pl.col("dimension") == dimension)
            .group_by("account", "hour")
            .agg(pl.col("value").sort().alias(f"new_{what}_names"))
        )
        count = pl.col(f"new_{what}_names").list.len().fill_null(0).cast(pl.Int64)
        frame = frame.join(firsts, on=["account", "hour"], how="left").with_columns(
            count.alias(f"new_{what}")
        )
    return frame.sort("account", "hour").with_columns(
        pl.col(f"new_{what}").cum_sum().over("account", "day") for what in NAMES.values()
    )
