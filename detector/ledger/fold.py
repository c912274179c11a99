"""Events become sums: *hours* and *touched*, and sums of parts become sums of the whole.

Everything here is pure. Only integers are added, so the order of parts never shows:
``merge(fold(a) + fold(b)) == merge(fold(a + b))`` to the last digit.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.schema import DIMENSIONS, HOURS, READING, TIMESTAMP, TOUCHED, check

#: log1p(rows) is kept in millionths.
LOG_SCALE: Final = 1e6

HOUR_KEYS: Final = ("hour", "account", "action")
TOUCHED_KEYS: Final = ("day", "account", "dimension", "value")

_HOUR_US: Final = 3_600_000_000
_TEXT: Final = ("account", "action", *DIMENSIONS)


def fold_hours(events: pl.DataFrame) -> pl.DataFrame:
    """The HOURS of ``events``, one row per (hour, account, action), in no order.

    ``unknown_rows`` counts the statements that succeeded, returned records (READING) and
    whose row count the log does not give; a failed statement returned none. Text columns of
    ``events`` may be String or Categorical.
    """
    rows = pl.col("rows")
    log_rows = (rows.clip(lower_bound=0).cast(pl.Float64).log1p() * LOG_SCALE).round()
    failed = pl.col("success").eq(other=False).fill_null(value=False)
    sums = (
        _coded(events, ("account", "action"), "rows", "bytes", "success")
        .with_columns(log_rows.cast(pl.Int64).alias("log_rows"), failed.alias("failures"))
        .group_by("hour", "account", "action")
        .agg(
            pl.len().alias("statements"),
            rows.sum(),
            (rows.is_null() & ~pl.col("failures")).sum().alias("unknown_rows"),
            rows.max().alias("largest"),
            pl.col("log_rows").sum(),
            pl.col("bytes").sum(),
            pl.col("failures").sum(),
        )
        .sort(_code("account"), "hour")
        .with_columns(_hour_time("hour"), pl.col("action").cast(pl.String))
        .with_columns(
            pl.when(pl.col("action").is_in(READING)).then(pl.col("unknown_rows")).otherwise(0)
        )
    )
    typed = sums.select(pl.col(name).cast(kind) for name, kind in HOURS.items())
    return check(typed, HOURS, "hours")


def fold_touched(events: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """The TOUCHED of ``events``, one row per (day, account, dimension, value), in no order.

    A statement belongs to the day on which its hour begins in ``timezone``. Nulls are left
    out. The ``object`` dimension counts a statement once for each distinct relation it names.
    """
    coded = _coded(events, ("account", *DIMENSIONS), "rows", "other_objects")
    coded = coded.with_columns(_days(coded["hour"], timezone).alias("day"))
    joins = coded.filter(pl.col("other_objects").list.len() > 0)
    pieces = [_touched(coded, dimension) for dimension in DIMENSIONS if dimension != "object"]
    if joins.is_empty():
        pieces.append(_touched(coded, "object"))
    else:
        plain = coded.filter(pl.col("other_objects").list.len().fill_null(0) == 0)
        both = [_touched(plain, "object"), _touched(_relations(joins), "object")]
        pieces.append(merge_touched(pl.concat(both)))
    return check(pl.concat(pieces), TOUCHED, "touched")


def merge_hours(frame: pl.DataFrame) -> pl.DataFrame:
    """HOURS of several parts, put one under the other, as the HOURS of the whole (no order)."""
    return check(sum_hours(frame.lazy()).collect(), HOURS, "hours")


def merge_touched(frame: pl.DataFrame) -> pl.DataFrame:
    """TOUCHED of several parts, one under the other, as that of the whole (no order)."""
    return check(sum_touched(frame.lazy()).collect(), TOUCHED, "touched")


def sum_hours(frame: pl.LazyFrame) -> pl.LazyFrame:
    """``merge_hours``, lazily."""
    summed = [name for name in HOURS if name not in (*HOUR_KEYS, "largest")]
    aggregated = frame.group_by(HOUR_KEYS).agg(pl.col(summed).sum(), pl.col("largest").max())
    return aggregated.select(*HOURS)


def sum_touched(frame: pl.LazyFrame) -> pl.LazyFrame:
    """``merge_touched``, lazily."""
    aggregated = frame.group_by(TOUCHED_KEYS).agg(
        pl.col("statements", "rows").sum(), pl.col("first_hour").min()
    )
    return aggregated.select(*TOUCHED)


def local_day(column: str, timezone: str) -> pl.Expr:
    """The Date on which the UTC time in ``column`` falls in ``timezone``."""
    return pl.col(column).dt.convert_time_zone(timezone).dt.date()


def _coded(events: pl.DataFrame, text: tuple[str, ...], *others: str) -> pl.DataFrame:
    """Columns to group by as integers: ``hour`` since 1970, and text as Categorical codes.

    Grouping by codes takes a third of the time that grouping by text takes, coding included.
    """
    hour = pl.col("timestamp").to_physical().floordiv(_HOUR_US).cast(pl.Int32)
    return events.select(
        hour.alias("hour"),
        *(pl.col(name).cast(pl.Categorical) for name in text),
        *others,
    )


def _code(column: str) -> pl.Expr:
    """To sort by: rows of equal text side by side make small files, whatever comes first."""
    return pl.col(column).to_physical()


def _hour_time(column: str) -> pl.Expr:
    return (pl.col(column).cast(pl.Int64) * _HOUR_US).cast(TIMESTAMP).alias(column)


def _days(hours: pl.Series, timezone: str) -> pl.Series:
    """The local Date of each hour since 1970. Each distinct hour is converted once."""
    if timezone == "UTC" or hours.is_empty():
        return (hours // 24).cast(pl.Date)
    known = hours.unique().to_frame("hour")
    days = known.with_columns(_hour_time("hour")).select(local_day("hour", timezone))
    return hours.replace_strict(known["hour"], days["hour"], return_dtype=pl.Date)


def _relations(joins: pl.DataFrame) -> pl.DataFrame:
    """``joins`` with one row for each distinct relation that a statement names."""
    named = pl.concat_list(pl.col("object").cast(pl.String), "other_objects").list.unique()
    return joins.with_columns(named.alias("object")).explode("object", empty_as_null=True)


def _touched(coded: pl.DataFrame, dimension: str) -> pl.DataFrame:
    """TOUCHED of one dimension."""
    sums = (
        coded.group_by("day", "account", dimension)
        .agg(
            pl.len().alias("statements"), pl.col("rows").sum(), pl.col("hour").min().alias("first")
        )
        .filter(pl.col(dimension).is_not_null())
        .sort(_code("account"))
    )
    return sums.select(
        "day",
        pl.col("account").cast(pl.String),
        pl.lit(dimension).alias("dimension"),
        pl.col(dimension).cast(pl.String).alias("value"),
        pl.col("statements").cast(pl.Int64),
        "rows",
        _hour_time("first").alias("first_hour"),
    )
