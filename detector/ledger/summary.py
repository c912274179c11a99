"""What a ledger holds, in figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import polars as pl

from detector.core.formatting import percentage
from detector.core.schema import READ_ACTIONS
from detector.ledger.manifest import Part
from detector.ledger.store import Ledger

#: Above this share of reads without a row count, a person is told.
MAX_UNKNOWN_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Summary:
    """A ledger in figures.

    ``rows`` sums known row counts; ``unknown_share`` is the share, from 0 to 1, of the
    statements that return records whose row count the log does not give (null where there
    are none). ``gaps`` are the first and last days of each stretch without data inside the
    span from ``days[0]`` to ``days[-1]``.
    """

    timezone: str
    parts: tuple[Part, ...]
    days: tuple[date, ...]
    gaps: tuple[tuple[date, date], ...]
    accounts: int
    statements: int
    rows: int
    unknown_rows: int
    unknown_share: float | None
    failures: int


def summarize(ledger: Ledger) -> Summary:
    """The figures of ``ledger``. Raises LedgerError where a file of it is damaged."""
    hours = ledger.hours()
    days = ledger.days()
    return Summary(
        timezone=ledger.timezone,
        parts=tuple(ledger.parts()),
        days=tuple(days),
        gaps=tuple(gaps(days)),
        accounts=hours["account"].n_unique(),
        statements=int(hours["statements"].sum()),
        rows=int(hours["rows"].sum()),
        unknown_rows=int(hours["unknown_rows"].sum()),
        unknown_share=unknown_share(hours),
        failures=int(hours["failures"].sum()),
    )


def unknown_share(hours: pl.DataFrame) -> float | None:
    """The share of HOURS' reading statements whose row count is unknown; None without any."""
    reads = int(hours.filter(pl.col("action").is_in(READ_ACTIONS))["statements"].sum())
    return int(hours["unknown_rows"].sum()) / reads if reads else None


def gaps(days: list[date]) -> list[tuple[date, date]]:
    """First and last day of each stretch that is missing from ``days``, which are in order."""
    one = timedelta(days=1)
    return [(before + one, after - one) for before, after in pairwise(days) if after - before > one]


def most_used(touched: pl.DataFrame, dimension: str) -> pl.DataFrame:
    """account, <dimension>: the value in which each account made most statements, from TOUCHED."""
    return (
        touched.filter(pl.col("dimension") == dimension)
        .group_by("account", "value")
        .agg(pl.col("statements").sum())
        .sort("account", "statements", "value", descending=[False, True, False])
        .group_by("account", maintain_order=True)
        .agg(pl.col("value").first().alias(dimension))
    )


def row_count_warning(totals: pl.DataFrame) -> str:
    """What to say of ``Ledger.totals`` whose reads lack row counts; "" where that is no news.

    A log without them is scored by the number of statements alone: that is never left unsaid.
    """
    reads = totals.filter(pl.col("action").is_in(READ_ACTIONS))
    worked = (pl.col("statements") - pl.col("failures")).sum()
    statements, unknown = (
        int(n) for n in reads.select(worked, pl.col("unknown_rows").sum()).row(0)
    )
    if not statements or unknown < MAX_UNKNOWN_SHARE * statements:
        return ""
    if unknown == statements:
        return (
            "the logs have no row counts: how much was read is unknown, not 0, and is judged by "
            "the number of statements alone; docs/sources.md says how to switch them on"
        )
    part = percentage(unknown / statements)
    return f"{part} of reading statements have no row count: how much they read is unknown, not 0"
