"""What a campaign needs to know of the people it is staged among."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from detector.campaigns.ledger_rows import VALUE_DIMENSIONS
from detector.core.schema import READ_ACTIONS
from detector.ledger.aggregate import LOG_SCALE
from detector.ledger.summary import most_used

#: An account with fewer active days is new, or hardly ever there.
MIN_ACTIVE_DAYS = 20


@dataclass(frozen=True, slots=True)
class Population:
    """The days from ``first`` to ``last`` are the stage; what lies before is the past.

    ``own`` has the reading of each account, by hour: account, day, hour, statements, rows,
    log_rows, lists, log_list_rows, largest, bytes. ``usual`` has one row per account: group, kind
    of entity it is (``service``), active days before and on the stage, last day before it, the
    medians of its days (statements, rows), the bytes of a mean record (``width``), and the values
    it uses most.
    ``objects`` says how often each account used each table.
    """

    first: date
    last: date
    hourly_reads: pl.DataFrame
    baselines: pl.DataFrame
    objects: pl.DataFrame
    timezone: str

    @property
    def days(self) -> list[date]:
        """The days of the stage."""
        return [
            self.first + timedelta(days=index) for index in range((self.last - self.first).days + 1)
        ]

    def pick_accounts(
        self, wanted: pl.Expr, random: np.random.Generator, taken: set[str]
    ) -> list[str]:
        """The accounts that fit, in random order, without those ``taken``."""
        names = self.baselines.filter(wanted, ~pl.col("account").is_in(sorted(taken)))["account"]
        return [names[int(at)] for at in random.permutation(len(names))]

    def select_reads(self, accounts: list[str], first: date, last: date) -> pl.DataFrame:
        """``own`` of some accounts and days."""
        return self.hourly_reads.filter(
            pl.col("account").is_in(accounts), pl.col("day").is_between(first, last)
        )


def build_population(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    groups: pl.DataFrame,
    services: set[str],
    first: date,
    last: date,
    timezone: str,
) -> Population:
    """The world of a ledger's tables; ``groups`` is (account, group)."""
    local = pl.col("hour").dt.convert_time_zone(timezone)
    own = (
        hours.filter(pl.col("action").is_in(READ_ACTIONS))
        .group_by("account", "hour")
        .agg(
            pl.col("statements", "rows", "lists", "bytes").sum(),
            pl.col("log_rows", "log_list_rows").sum() / LOG_SCALE,
            pl.col("largest").max().fill_null(0),
        )
        .with_columns(day=local.dt.date())
        .sort("account", "hour")
    )
    daily = own.group_by("account", "day").agg(pl.col("statements", "rows", "bytes").sum())
    before = pl.col("day") < first
    usual = (
        daily.group_by("account")
        .agg(
            before=before.sum(),
            during=pl.col("day").is_between(first, last).sum(),
            last_before=pl.col("day").filter(before).max(),
            statements=pl.col("statements").median(),
            width=pl.col("bytes").sum() / pl.col("rows").sum().clip(1),
            rows=pl.col("rows").median(),
        )
        .join(groups, on="account")
        .with_columns(service=pl.col("account").is_in(sorted(services)))
    )
    for dimension in VALUE_DIMENSIONS:
        usual = usual.join(most_used(touched, dimension), on="account", how="left")
    objects = (
        touched.filter(pl.col("dimension") == "object")
        .join(groups, on="account")
        .group_by("group", "account", object="value")
        .agg(pl.col("statements").sum())
    )
    return Population(first, last, own, usual.sort("account"), objects, timezone)


def utc_hour(day: date, clock: int, timezone: str) -> datetime:
    """The UTC hour in which an hour of a day's clock begins."""
    moment = datetime.combine(day, time(clock), ZoneInfo(timezone))
    return moment.astimezone(UTC).replace(minute=0)
