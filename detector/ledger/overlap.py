"""The same statements in two files: dumps that overlap count once, and that is said.

What the ledger has are sums by hour, account and action. Where all sums of a file in the hours that
another file covers too are the same, to the minute, these are the same statements.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final, TypeAlias

import polars as pl

from detector.ledger.aggregate import HOUR_KEYS
from detector.ledger.manifest import Part
from detector.ledger.store import Ledger
from detector.normalize.source import Batch

#: First and last moment; None where there is none.
Span: TypeAlias = tuple[datetime | None, datetime | None]
#: So many accounts, and sums of hours, must be alike before that is no chance.
MIN_ACCOUNTS: Final = 3
MIN_SUMS: Final = 10
#: The share of sums that are alike: from the first on it is told, from the second on counted once.
MIN_WARNING_SHARE: Final = 0.3
MIN_DUPLICATE_SHARE: Final = 0.8
_COMPARED_COLUMNS: Final = (
    *("statements", "rows", "unknown_rows", "largest", "log_rows", "bytes", "failures", "minutes"),
)


@dataclass(frozen=True, slots=True)
class Overlap:
    """``other_file`` is the file whose statements are in this one too; ``keys`` are the hours,
    accounts and actions of those, ``share`` theirs of all sums in the hours that both cover.
    """

    other_file: str
    keys: pl.DataFrame
    share: float

    @property
    def is_sure(self) -> bool:
        """Whether they are counted once."""
        return self.share >= MIN_DUPLICATE_SHARE


def find_overlap(
    ledger: Ledger,
    files: Collection[Path],
    span: tuple[datetime, datetime],
    days: Collection[date],
    parts: Collection[Part],
    kin: Collection[str] = (),
) -> Overlap | None:
    """Where HOURS in ``files``, of a log of ``days``, are in another of ``parts`` too.

    ``kin`` are the ids of parts that begin with the same bytes.
    """
    found: list[Overlap] = []
    mine: pl.DataFrame | None = None
    for part in parts:
        shared = [day for day in part.days if day in days]
        if not shared or not spans_meet(span, (part.first, part.last)):
            continue
        if mine is None:
            mine = pl.read_parquet(list(files), hive_partitioning=False)
        there = [ledger.data_path("hours", day, part.stem) for day in shared]
        ledger.verify_files(there, [part])
        theirs = pl.read_parquet(there, hive_partitioning=False)
        one = compare_hours(mine, theirs, part.file, same_log=part.id in kin)
        if one is not None:
            found.append(one)
    if not found:
        return None
    best = max(found, key=lambda each: each.share)
    sure = [each.keys for each in found if each.is_sure]
    return Overlap(best.other_file, pl.concat(sure).unique() if sure else best.keys, best.share)


def spans_meet(one: Span, other: Span) -> bool:
    """Whether two spans, both ends included, have a moment in common; an open one has none."""
    first, last = one
    begin, end = other
    if first is None or last is None or begin is None or end is None:
        return False
    return begin <= last and first <= end


def compare_hours(
    mine: pl.DataFrame, theirs: pl.DataFrame, name: str, *, same_log: bool = False
) -> Overlap | None:
    """Where HOURS are others' too. Of the ``same_log``, which was cut short, few are no chance, and
    less of an hour is of the same statements.
    """
    common = mine.filter(pl.col("hour").is_in(theirs["hour"].unique().implode()))
    both = common.join(theirs, on=list(HOUR_KEYS), suffix="_there")
    same = pl.all_horizontal(
        pl.col(each).eq_missing(pl.col(f"{each}_there")) for each in _COMPARED_COLUMNS
    )
    keys = both.filter(same | is_within() if same_log else same).select(HOUR_KEYS)
    # The hours in which a dump begins or ends are not whole in one of the two.
    whole = _drop_edges(common, _edge_hours(mine) | _edge_hours(theirs))
    inner = _drop_edges(keys, _edge_hours(mine) | _edge_hours(theirs))
    if not whole.height:
        whole, inner = common, keys
    few = keys["account"].n_unique() < MIN_ACCOUNTS or keys.height < MIN_SUMS
    if keys.is_empty() or (few and not same_log):
        return None
    share = inner.height / max(1, whole.height)
    return Overlap(name, keys, share) if share >= MIN_WARNING_SHARE else None


def is_within() -> pl.Expr:
    """Whether sums may be of some of the statements that others' are of."""
    less = [
        pl.col(each).fill_null(0) <= pl.col(f"{each}_there").fill_null(0)
        for each in _COMPARED_COLUMNS
        if each != "minutes"
    ]
    minutes = pl.col("minutes") & pl.col("minutes_there") == pl.col("minutes")
    return pl.all_horizontal(*less, minutes)


def _edge_hours(hours: pl.DataFrame) -> set[object]:
    return {hours["hour"].min(), hours["hour"].max()}


def _drop_edges(frame: pl.DataFrame, edges: set[object]) -> pl.DataFrame:
    return frame.filter(~pl.col("hour").is_in(list(edges)))


def drop_keys(batch: Batch, keys: pl.DataFrame) -> Batch:
    """``batch`` without the events of some hours, accounts and actions, which are skipped."""
    if batch.events.is_empty():
        return batch
    told = batch.events.select(
        pl.col("timestamp").dt.truncate("1h").alias("hour"),
        pl.col("account", "action").cast(pl.String),
    ).with_row_index("row")
    kept = told.join(keys, on=list(HOUR_KEYS), how="anti")["row"].sort()
    skipped = batch.events.height - len(kept)
    return replace(batch, events=batch.events[kept], skipped=batch.skipped + skipped)
