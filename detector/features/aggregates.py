"""From the ledger's tables to what is measured of each kind of entity, hour by hour.

A day is that of the organisation's clock; its hours are numbered from its midnight (``slot``, 0 to
24: the day on which summer time ends has 25).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from detector.core.schema import READ_ACTIONS
from detector.core.settings import Settings
from detector.features import distinct_subjects
from detector.features.aggregate_columns import (
    AGGREGATE_COLUMNS,
    EXCLUDING_LARGEST,
    GROUP_SUMS,
    HOURLY_COLUMNS,
    LIST_COLUMNS,
    MILLIONTHS,
    PER_MEMBER,
    UNITS,
    VALUE_SUMS,
)
from detector.features.distinct_subjects import MonthHistory
from detector.features.minute_aggregates import minute_pattern
from detector.features.robust_stats import Floats
from detector.ledger.aggregate import local_day

ACCOUNT, ADDRESS, GROUP, OBJECT = ENTITY_KINDS = ("account", "client_address", "group", "object")
#: Hours of the longest day.
SLOTS: Final = 25

#: And what follows from lists (see HOURS): log1p(rows) of a mean one.
MEAN_LENGTH: Final = "length"
ALL_AGGREGATES: Final = (*AGGREGATE_COLUMNS, MEAN_LENGTH)
#: What only accounts have, and only where the log says whose records they read (``subjects``): how
#: many different people's, on the day and in the four weeks that end with it. Of other logs no
#: frame has these columns.
MONTH_SUBJECTS: Final = "month_subjects"
SUBJECT_COLUMNS: Final = ("subjects", MONTH_SUBJECTS)
HOURLY_AGGREGATES: Final = {
    "entity": pl.String(),
    "day": pl.Date(),
    "slot": pl.Int64(),
    **{name: pl.Float64() for name in HOURLY_COLUMNS},
}


def log_scale(totals: Mapping[str, Floats], heads: Floats | None = None) -> dict[str, Floats]:
    """log1p of each measure, in its unit, and LENGTH.

    ``heads``, of a group, are its members at work, by which its sums are divided: how many there
    are is no sign of theft.
    """
    each = 1.0 if heads is None else np.maximum(heads, 1.0)
    shared = {name: each if name in PER_MEMBER else 1.0 for name in totals}
    logs = {
        name: np.log1p(totals[name] / shared[name] / UNITS.get(name, 1.0))
        for name in totals
        if name != "departure" and name not in LIST_COLUMNS
    }
    # The sum of so many independent departures varies by the root of their number.
    logs["departure"] = totals["departure"] / MILLIONTHS / np.sqrt(each)
    lists = np.where(totals["lists"] > 0, totals["lists"], np.nan)
    return {**logs, MEAN_LENGTH: totals["log_list_rows"] / MILLIONTHS / lists}


def midnight(day: pl.Expr, settings: Settings) -> pl.Expr:
    """When a day begins, in UTC."""
    local = day.cast(pl.Datetime("us")).dt.replace_time_zone(
        settings.timezone, ambiguous="earliest", non_existent="null"
    )
    # Where summer time begins at midnight, that midnight does not exist: one o'clock does.
    later = (day.cast(pl.Datetime("us")) + pl.duration(hours=1)).dt.replace_time_zone(
        settings.timezone, ambiguous="earliest", non_existent="null"
    )
    return pl.coalesce(local, later).dt.convert_time_zone("UTC")


def add_slots(frame: pl.DataFrame, column: str, settings: Settings) -> pl.DataFrame:
    """Adds ``day`` and ``slot`` of the UTC hour in ``column``. Each hour is converted once."""
    hours = frame.select(pl.col(column).unique()).with_columns(
        day=local_day(column, settings.timezone)
    )
    hours = hours.with_columns(
        slot=(pl.col(column) - midnight(pl.col("day"), settings)).dt.total_hours().cast(pl.Int64)
    )
    return frame.drop("day", strict=False).join(hours, on=column, how="left")


def hourly_columns(hourly: pl.DataFrame) -> tuple[str, ...]:
    """SUMMED, and those of SUBJECTS that are there."""
    return (*HOURLY_COLUMNS, *(name for name in SUBJECT_COLUMNS if name in hourly.columns))


def hourly_by_account(
    hours: pl.DataFrame, touched: pl.DataFrame, settings: Settings, past: MonthHistory | None = None
) -> pl.DataFrame:
    """HOURLY of accounts, from HOURS and TOUCHED, and SUBJECTS; ``past`` see ``subjects.added``."""
    # What does not count is 0 before it is summed: to filter each group takes longer.
    read = pl.when(pl.col("action").is_in(READ_ACTIONS))
    exported, used = pl.when(pl.col("action") == "export"), pl.when(pl.col("action") != "login")
    sums = (
        hours.select(
            "account",
            "hour",
            *(
                read.then(name).otherwise(0)
                for name in ("rows", "log_rows", *LIST_COLUMNS, "bytes")
            ),
            *(used.then(name).otherwise(0) for name in ("statements", "minutes")),
            largest=read.then("largest").otherwise(0),
            unknown="unknown_rows",
            exports=exported.then("statements").otherwise(0),
        )
        .group_by("account", "hour")
        .agg(
            pl.exclude("largest", "minutes").sum(),
            pl.col("largest").max().fill_null(0),
            pl.col("minutes").bitwise_or(),
        )
    )
    sums = sums.join(minute_pattern(sums["minutes"]), on="minutes", how="left")
    frame = add_slots(sums, "hour", settings)
    dimension = pl.col("dimension")
    first = (
        touched.filter(dimension.is_in([OBJECT, ADDRESS]))
        .group_by("account", hour="first_hour")
        .agg(others=(dimension == OBJECT).sum(), addresses=(dimension == ADDRESS).sum())
    )
    frame = frame.join(first, on=["account", "hour"], how="left")
    frame = distinct_subjects.add_counts(frame, touched, past)
    return _cast(
        frame.rename({"account": "entity"}).with_columns(
            pl.col("others", "addresses").fill_null(0), peak="statements", hours=1, departure=None
        )
    )


def hourly_by_group(accounts: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """HOURLY of peer groups, from that of accounts and their groups (account, group).

    The most that any one member did so far that day is left out of each measure: that is judged
    there, and would be told twice.
    """
    return merge_group_sums(group_sums(accounts, groups))


def group_sums(accounts: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """What ``merge_group_sums`` needs of some accounts: group, day, slot, and sums."""
    grouped = accounts.join(groups.rename({"account": "entity"}), on="entity").sort(
        "group", "day", "slot"
    )
    first = pl.struct("entity", "day").is_first_distinct()
    so_far = (
        pl.col(name).cum_sum().over("entity", "day").alias(f"most_{name}")
        for name in EXCLUDING_LARGEST
    )
    return (
        grouped.with_columns(*so_far, others=first.cast(pl.Float64))
        .group_by("group", "day", "slot")
        .agg(pl.col(GROUP_SUMS).sum(), pl.col("^most_.*$").max(), at_work=pl.len().cast(pl.Int64))
    )


def merge_group_sums(sums: pl.DataFrame) -> pl.DataFrame:
    """HOURLY of peer groups, from the ``group_sums`` of all their accounts."""
    day = ["group", "day"]
    whole = (
        sums.sort(*day, "slot")
        # No member's sums fall as its day goes on: who has most so far is told by the hours in
        # which somebody was at work.
        .with_columns(pl.col("^most_.*$").cum_max().over(day).fill_null(0.0))
        .with_columns(
            pl.col(name) - pl.col(f"most_{name}").diff().over(day).fill_null(pl.col(f"most_{name}"))
            for name in EXCLUDING_LARGEST
        )
        # An hour in which one member was alone is that member's.
        .with_columns(hours=pl.col("at_work") > 1)
    )
    given = (*GROUP_SUMS, "peak", "hours")
    missing = dict.fromkeys(name for name in HOURLY_COLUMNS if name not in given)
    return _cast(whole.rename({"group": "entity"}).with_columns(peak="statements", **missing))


def hourly_by_value(touched: pl.DataFrame, kind: str, settings: Settings) -> pl.DataFrame:
    """HOURLY of addresses or objects, from TOUCHED, which sums by the day.

    All of a day stands in the day's last hour: before it is over, nobody can say how much it was.
    What the largest of its accounts did is left out: that is judged there, and would be told twice.
    """
    return merge_value_sums(value_sums(touched, kind), settings)


def value_sums(touched: pl.DataFrame, kind: str) -> pl.DataFrame:
    """What ``merge_value_sums`` needs of some accounts: value, day, sums, largest, and how many."""
    return (
        touched.filter(pl.col("dimension") == kind)
        .group_by("value", "day")
        .agg(
            pl.col(VALUE_SUMS).sum(),
            pl.col(VALUE_SUMS).max().name.prefix("most_"),
            others=pl.len().cast(pl.Int64),
        )
    )


def merge_value_sums(sums: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """HOURLY of addresses or objects, from the ``value_sums`` of all their accounts."""
    sums = sums.with_columns(pl.col(name) - pl.col(f"most_{name}") for name in VALUE_SUMS)
    days = sums.select(pl.col("day").unique())
    last = midnight(pl.col("day") + pl.duration(days=1), settings) - pl.duration(hours=1)
    days = days.with_columns(
        slot=(last - midnight(pl.col("day"), settings)).dt.total_hours().cast(pl.Int64)
    )
    missing = [name for name in HOURLY_COLUMNS if name not in (*VALUE_SUMS, "others")]
    return _cast(
        sums.join(days, on="day")
        .with_columns(pl.lit(None, pl.Float64).alias(name) for name in missing)
        .rename({"value": "entity"})
    )


class SumAccumulator:
    """What some accounts after the others add up to: their groups, addresses and objects.

    Some thousand accounts have members in most groups: kept apart until the last, their sums would
    take as much as those of all accounts, each time.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[pl.DataFrame]] = {GROUP: [], ADDRESS: [], OBJECT: []}

    def add(self, accounts: pl.DataFrame, groups: pl.DataFrame, touched: pl.DataFrame) -> None:
        """HOURLY of further accounts, (account, group) of at least these, and their TOUCHED."""
        for kind, parts in self._parts.items():
            more = group_sums(accounts, groups) if kind == GROUP else value_sums(touched, kind)
            parts.append(more)
            if sum(part.height for part in parts[1:]) > parts[0].height:
                parts[:] = [_add_parts(parts)]

    def hourly(self, kind: str, settings: Settings) -> pl.DataFrame:
        """HOURLY of all of one kind."""
        whole = _add_parts(self._parts[kind])
        return merge_group_sums(whole) if kind == GROUP else merge_value_sums(whole, settings)


def _add_parts(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    if len(parts) == 1:
        return parts[0]
    every = pl.concat(parts)
    keys = [name for name in ("group", "value", "day", "slot") if name in every.columns]
    most = "^most_.*$"
    whole = every.group_by(keys).agg(pl.exclude(most).sum(), pl.col(most).max())
    return whole.select(every.columns)


def _cast(frame: pl.DataFrame) -> pl.DataFrame:
    rest = dict.fromkeys(hourly_columns(frame)[len(HOURLY_COLUMNS) :], pl.Float64())
    kinds = {**HOURLY_AGGREGATES, **rest}
    return sort_hourly(frame.select(pl.col(name).cast(kind) for name, kind in kinds.items()))


def sort_hourly(hourly: pl.DataFrame) -> pl.DataFrame:
    """Sorted by entity, day and slot, by a number of each: to sort by strings takes far longer."""
    names = pl.Enum(hourly["entity"].unique().sort())
    number = pl.col("entity").cast(names).to_physical().cast(pl.Int64)
    day = pl.col("day").to_physical().cast(pl.Int64)
    key = (number * 10**6 + day) * 100 + pl.col("slot")
    return hourly[hourly.select(key).to_series().arg_sort()]
