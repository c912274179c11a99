"""From the ledger's hours to running totals of the day, per account.

Every measure only grows during a day, so "so far" never claims less than a full day would and
can be held against a full-day baseline at any hour.
"""

from __future__ import annotations

import polars as pl

from detector.settings import Settings

#: What is measured of an account's day. ``rows`` are records read or exported; ``unknown`` are
#: statements whose row count the log does not give; ``off_`` is outside office hours.
MEASURES = (
    "rows",
    "statements",
    "unknown",
    "largest",
    "off_rows",
    "off_statements",
    "objects",
    "active_hours",
)

#: Actions that carry records out.
READING = ("read", "export")


def local_day(settings: Settings) -> pl.Expr:
    """The date of ``hour`` on the organisation's clock."""
    return pl.col("hour").dt.convert_time_zone(settings.timezone).dt.date()


def hourly(hours: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """HOURS (any actions) to one row per account and hour, sorted, with the hour's own sums.

    Columns: account, day, hour, hour_rows, and each measure of this hour alone.
    """
    local = pl.col("hour").dt.convert_time_zone(settings.timezone)
    office = local.dt.hour().is_between(
        settings.day_starts, settings.day_ends - 1
    ) & local.dt.weekday().is_in(list(settings.workdays))
    reading = pl.col("action").is_in(READING)
    sums = hours.group_by("account", "hour").agg(
        rows=pl.col("rows").filter(reading).sum(),
        statements=pl.col("statements").sum(),
        unknown=pl.col("unknown_rows").sum(),
        largest=pl.col("largest").filter(reading).max().fill_null(0),
    )
    return (
        sums.with_columns(
            day=local_day(settings),
            off_rows=pl.when(office).then(0).otherwise("rows"),
            off_statements=pl.when(office).then(0).otherwise("statements"),
            active_hours=pl.lit(1, pl.Int64),
            hour_rows=pl.col("rows"),
        )
        .sort("account", "hour")
        .select("account", "day", "hour", "hour_rows", *(m for m in MEASURES if m != "objects"))
    )


def with_objects(hourly_frame: pl.DataFrame, touched: pl.DataFrame) -> pl.DataFrame:
    """Adds ``objects``, the number of tables first touched in each hour."""
    first = (
        touched.filter(pl.col("dimension") == "object")
        .group_by("account", hour=pl.col("first_hour"))
        .agg(objects=pl.len().cast(pl.Int64))
    )
    return hourly_frame.join(first, on=["account", "hour"], how="left").with_columns(
        pl.col("objects").fill_null(0)
    )


def so_far(hourly_frame: pl.DataFrame) -> pl.DataFrame:
    """Running totals of the day in place of each hour's own sums (``hour_rows`` stays)."""
    running = [
        (pl.col(m).cum_max() if m == "largest" else pl.col(m).cum_sum()).over("account", "day")
        for m in MEASURES
    ]
    return hourly_frame.sort("account", "hour").with_columns(running)


def daily(hourly_frame: pl.DataFrame) -> pl.DataFrame:
    """One row per account and active day with the whole day's measures, sorted."""
    return (
        hourly_frame.group_by("account", "day")
        .agg(*(pl.col(m).max() if m == "largest" else pl.col(m).sum() for m in MEASURES))
        .sort("account", "day")
    )
