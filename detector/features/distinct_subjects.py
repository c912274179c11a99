"""How many different people's records each account read: on a day so far, and in four weeks.

Reading the same 40 files all day is work, reading 40,000 different people is not. Only of logs that
say whose record was read; of others there are no such columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from detector.core.schema import SUBJECT, TIMESTAMP
from detector.features.robust_stats import Integers
from detector.ledger.distinct_sketch import HASH_RANGE, K, coverage, decode

#: Days of a month, today with them.
MONTH_DAYS: Final = 28
#: What the hours of an account add to its counts.
STEP_SCHEMA: Final = pl.Schema(
    [
        *(("account", pl.String()), ("hour", TIMESTAMP)),
        *(("subjects", pl.Int64()), ("month_subjects", pl.Int64())),
    ]
)
#: The count of an account on the MONTH - 1 days before a day on which it is active.
PRIOR_COUNT_SCHEMA: Final = pl.Schema({"account": pl.String, "day": pl.Date, "before": pl.Int64})
_KEYS: Final = ["account", "at"]


@dataclass(frozen=True, slots=True)
class MonthHistory:
    """What a day that runs needs of the month before: who was read (``rows``), BEFORE of the day,
    and the accounts of whom not all that they read is kept.
    """

    rows: pl.DataFrame
    prior_counts: pl.DataFrame
    sampled_accounts: frozenset[str]

    @classmethod
    def from_touched(cls, touched: pl.DataFrame, day: date) -> MonthHistory | None:
        """From TOUCHED; None where nobody's record was read in the month before ``day``."""
        since, until = day - timedelta(days=MONTH_DAYS - 1), day - timedelta(days=1)
        rows = _read_subjects(touched.filter(pl.col("day").is_between(since, until)))
        if rows.is_empty():
            return None
        sampled = _sampled_accounts(rows)
        active = rows.select(pl.col("account").unique()).with_columns(day=pl.lit(day))
        return cls(rows, _prior_counts(rows, active, sampled), sampled)

    @classmethod
    def concat(cls, parts: Sequence[MonthHistory | None]) -> MonthHistory | None:
        """Of other accounts each, as of all."""
        some = [part for part in parts if part is not None]
        if not some:
            return None
        return cls(
            pl.concat([part.rows for part in some]),
            pl.concat([part.prior_counts for part in some]),
            frozenset().union(*(part.sampled_accounts for part in some)),
        )


def add_counts(
    frame: pl.DataFrame, touched: pl.DataFrame, past: MonthHistory | None = None
) -> pl.DataFrame:
    """Active hours (account, day, hour) with ``subjects`` and ``month_subjects``: what each adds to
    the count of its day so far, and of the month that ends there.

    The first hour of a day adds what the days before it hold. Without any subject in TOUCHED,
    ``frame`` itself. With ``past``, both need only be of its day.
    """
    rows = _read_subjects(touched)
    if rows.is_empty() and past is None:
        return frame
    sampled = _sampled_accounts(rows)
    if past is None:
        before = _prior_counts(rows, frame.select("account", "day").unique(), sampled)
    else:
        before, sampled = past.prior_counts, sampled | past.sampled_accounts
        known = past.rows.join(rows.select(_KEYS).unique(), on=_KEYS, how="semi")
        whole = past.rows.filter(_is_among(sampled))
        rows = pl.concat([known.filter(~_is_among(sampled)), whole, rows]).sort(*_KEYS, "day")
    steps = pl.concat(
        [_exact_steps(rows.filter(~_is_among(sampled))), _estimated_steps(rows, sampled)]
    )
    first = pl.col("hour") == pl.col("hour").min().over("account", "day")
    return (
        frame.join(steps, on=["account", "hour"], how="left")
        .join(before, on=["account", "day"], how="left")
        .with_columns(pl.col("subjects", "month_subjects", "before").fill_null(0))
        .with_columns(pl.col("month_subjects") + pl.when(first).then("before").otherwise(0))
        .drop("before")
    )


def _read_subjects(touched: pl.DataFrame) -> pl.DataFrame:
    """account, day, hour, at (the hash): who was first read when. Sorted by _KEYS and day."""
    mine = touched.filter(pl.col("dimension") == SUBJECT)
    at = pl.Series(decode(mine["value"]), dtype=pl.Int64)
    rows = mine.select("account", "day", hour="first_hour").with_columns(at=at)
    return rows.sort(*_KEYS, "day")


def _sampled_accounts(rows: pl.DataFrame) -> frozenset[str]:
    """The accounts with a day on which not all that were read are kept."""
    days = rows.group_by("account", "day").len().filter(pl.col("len") >= K)
    return frozenset(days["account"])


def _is_among(accounts: frozenset[str]) -> pl.Expr:
    return pl.col("account").is_in(sorted(accounts))


def _exact_steps(rows: pl.DataFrame) -> pl.DataFrame:
    """STEPS of accounts of which all is kept."""
    lately = _is_same_subject(1) & (
        (pl.col("day") - pl.col("day").shift()).dt.total_days() < MONTH_DAYS
    )
    return (
        rows.with_columns(new=~lately.fill_null(value=False))
        .group_by("account", "hour")
        .agg(subjects=pl.len(), month_subjects=pl.col("new").sum())
        .cast(STEP_SCHEMA)
    )


def _is_same_subject(by: int) -> pl.Expr:
    """Whether the row so many before has the same account and subject."""
    return pl.all_horizontal(pl.col(name) == pl.col(name).shift(by) for name in _KEYS)


def _prior_counts(
    rows: pl.DataFrame, active: pl.DataFrame, sampled: frozenset[str]
) -> pl.DataFrame:
    """BEFORE of ``active`` (account, day).

    Who was read on a day counts from the next one until read again, or the month is over.
    """
    exact = rows.filter(~_is_among(sampled))
    over = pl.col("day") + pl.duration(days=MONTH_DAYS - 1)
    again = pl.when(_is_same_subject(-1)).then(pl.col("day").shift(-1))
    changes = [
        exact.select("account", day=pl.col("day") + pl.duration(days=1), by=pl.lit(1)),
        exact.select(
            "account",
            day=pl.min_horizontal(again, over) + pl.duration(days=1),
            by=pl.lit(-1),
        ),
    ]
    standing = (
        pl.concat(changes)
        .group_by("account", "day")
        .agg(pl.col("by").sum())
        .sort("account", "day")
        .select("account", "day", before=pl.col("by").cum_sum().over("account"))
        .sort("day")
    )
    found = (
        active.filter(~_is_among(sampled))
        .sort("day")
        .join_asof(standing, on="day", by="account", check_sortedness=False)
        .drop_nulls()
    )
    samples = _account_samples(rows, sampled)
    asked = active.filter(_is_among(frozenset(samples))).rows()
    others = [(name, day, samples[name].prior_sketch(day).count) for name, day in asked]
    return pl.concat(
        [
            found.cast(PRIOR_COUNT_SCHEMA),
            pl.DataFrame(others, schema=PRIOR_COUNT_SCHEMA, orient="row"),
        ]
    )


@dataclass(frozen=True, slots=True)
class _Sketch:
    """``hashes``, in order: of those below a ``share`` of all, there are no others."""

    hashes: Integers
    coverage: float

    @classmethod
    def union(cls, days: list[Integers]) -> _Sketch:
        """The union of what was kept of some days."""
        share = min((coverage(each) for each in days), default=1.0)
        some = [each[: _count_below(each, share)] for each in days]
        return cls(np.unique(np.concatenate([np.empty(0, dtype=np.int64), *some])), share)

    @property
    def count(self) -> int:
        """How many subjects there are."""
        return round(len(self.hashes) / self.coverage)


def _count_below(hashes: Integers, share: float) -> int:
    """How many of some hashes in order lie below a share of all."""
    return len(hashes) if share == 1 else int(np.searchsorted(hashes, share * HASH_RANGE))


@dataclass(frozen=True, slots=True)
class _Sample:
    """By day, the hashes kept of an account, in order, and when each was first read."""

    days: dict[date, tuple[Integers, Integers]]

    def prior_sketch(self, day: date) -> _Sketch:
        """Of the month before ``day``."""
        since = day - timedelta(days=MONTH_DAYS - 1)
        return _Sketch.union([at for then, (at, _) in self.days.items() if since <= then < day])

    def steps(self, day: date) -> list[tuple[int, int, int]]:
        """By hour of ``day``, what it adds to both counts."""
        at, hours = self.days[day]
        month = self.prior_sketch(day)
        new = ~np.isin(at, month.hashes)
        found, so_far, in_all = [], 0, month.count
        for hour in np.unique(hours).tolist():
            begun = hours <= hour
            today = _Sketch.union([at[begun]])
            share = min(today.coverage, month.coverage)
            both = _count_below(month.hashes, share) + _count_below(at[begun & new], share)
            # An estimate may fall while what it is of grows.
            whole = max(in_all, round(both / share))
            found.append((hour, today.count - so_far, whole - in_all))
            so_far, in_all = today.count, whole
        return found


def _account_samples(rows: pl.DataFrame, sampled: frozenset[str]) -> dict[str, _Sample]:
    """Of the ``sampled`` accounts."""
    found: dict[str, dict[date, tuple[Integers, Integers]]] = {}
    parts = rows.filter(_is_among(sampled)).partition_by("account", "day", as_dict=True)
    for (account, day), part in parts.items():
        hours = part["hour"].to_physical().to_numpy()
        found.setdefault(account, {})[day] = (part["at"].to_numpy(), hours)
    return {account: _Sample(days) for account, days in found.items()}


def _estimated_steps(rows: pl.DataFrame, sampled: frozenset[str]) -> pl.DataFrame:
    """STEPS of accounts of which a sample is kept."""
    steps = [
        (account, *step)
        for account, sample in _account_samples(rows, sampled).items()
        for day in sample.days
        for step in sample.steps(day)
    ]
    return pl.DataFrame(steps, schema=list(STEP_SCHEMA), orient="row").cast(STEP_SCHEMA)
