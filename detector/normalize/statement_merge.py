"""Several entries of one statement as one event, so that its rows count once.

Entries of one statement stand close together, but others can stand between them. Which belong
together is told by the entries alone and not by where a log is cut, so that pieces of a log that
grows give the events that it gives when it is read at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import polars as pl

from detector.core.frame_bytes import decode_text, encode_text
from detector.core.schema import EVENTS, empty

#: So many entries after its last one, a statement is over.
MAX_ENTRY_DISTANCE: Final = 2_000
#: Or once the log tells a time so many microseconds later.
MAX_WAIT_MICROSECONDS: Final = 60_000_000
#: Entries of a statement, beyond which the next begins another: memory is bounded.
MAX_ENTRIES: Final = 2_000

_ENTRY_SCHEMA: Final = {**EVENTS, "key": pl.String(), "rank": pl.Int64()}
#: Where an entry stands, and the latest time (microseconds) that was told after it.
_PENDING_SCHEMA: Final = {**_ENTRY_SCHEMA, "at": pl.Int64(), "after": pl.Int64()}
_MIN_TIME: Final = np.iinfo(np.int64).min


@dataclass(slots=True)
class StatementMerger:
    """Holds the entries of statements that may go on. ``entry_count`` counts entries,
    ``merged_count`` those that were a further entry of a statement.
    """

    pending: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_PENDING_SCHEMA))
    entry_count: int = 0
    merged_count: int = 0

    @classmethod
    def decode(cls, text: str) -> Self:
        """What ``encode`` made, or nothing."""
        if not text:
            return cls()
        raw = json.loads(text)
        return cls(decode_text(raw["waiting"]), raw["seen"])

    def encode(self) -> str:
        """What the next piece of the log needs, as text."""
        return json.dumps({"waiting": encode_text(self.pending), "seen": self.entry_count})

    def add(self, entries: pl.DataFrame) -> pl.DataFrame:
        """The events of the statements that are over.

        ``entries`` are EVENTS with ``key`` (null stands alone) and ``rank``, in the log's order.
        """
        entries = entries.with_columns(
            pl.int_range(self.entry_count, self.entry_count + pl.len(), dtype=pl.Int64).alias("at"),
            pl.lit(None, pl.Int64).alias("after"),
        )
        told = entries["timestamp"].to_physical().to_numpy()
        held = pl.concat([self.pending, entries.filter(pl.col("key").is_not_null())])
        held = _number_statements(held, told, self.entry_count)
        self.entry_count += len(entries)
        # Of each key, the last statement may go on, unless it has all the entries it can have.
        newest = pl.col("at").max()
        last = newest.over("key", "nth") == newest.over("key")
        near = self.entry_count - newest.over("key") <= MAX_ENTRY_DISTANCE
        soon = (
            pl.col("after").last()
            <= pl.col("timestamp").last().to_physical() + MAX_WAIT_MICROSECONDS
        )
        few = pl.len().over("key", "nth") < MAX_ENTRIES
        still = held.select(last & near & soon.over("key", "nth") & few).to_series()
        self.pending = held.filter(still).select(list(_PENDING_SCHEMA))
        alone = entries.filter(pl.col("key").is_null()).select(list(EVENTS))
        return pl.concat([alone, self._merge_entries(held.filter(~still))])

    def finish(self) -> pl.DataFrame:
        """The events of the statements that were still open."""
        waiting, self.pending = self.pending, self.pending.clear()
        return self._merge_entries(waiting.with_columns(pl.lit(0).alias("nth")))

    def _merge_entries(self, entries: pl.DataFrame) -> pl.DataFrame:
        if entries.is_empty():
            return empty(EVENTS)
        # Mostly, a statement is one entry.
        twice = entries.select(pl.struct("key", "nth").is_duplicated()).to_series()
        alone = entries.filter(~twice).select(list(EVENTS))
        many = entries.filter(twice)
        if many.is_empty():
            return alone
        events = (
            many.sort("rank", maintain_order=True)
            .group_by("key", "nth", maintain_order=True)
            .agg(
                *(
                    _merge_column(name)
                    for name in EVENTS
                    if name not in {"object", "other_objects"}
                ),
                _object_names(),
            )
        )
        events = events.with_columns(
            pl.col("names").list.first().alias("object"),
            pl.when(pl.col("names").list.len() > 1)
            .then(pl.col("names").list.slice(1))
            .alias("other_objects"),
        )
        self.merged_count += many.height - events.height
        return pl.concat(
            [alone, events.select(pl.col(name).cast(kind) for name, kind in EVENTS.items())]
        )


def _number_statements(held: pl.DataFrame, told: np.ndarray, first: int) -> pl.DataFrame:
    """``held``, entries with keys in order, with ``nth``: which statement of its key each is of.

    ``told`` are the times of all new entries, the first of which is the log's ``first``. Of one
    key, all entries that were waiting (``after`` is not null) are of one statement.
    """
    highest = _RangeMaximum(told)
    at = held["at"].to_numpy() - first
    known = held["after"].fill_null(_MIN_TIME).to_numpy()
    new = np.maximum(at + 1, 0)
    after = np.maximum(known, highest.maximum(new, np.full(len(at), len(told))))
    again = (
        held.select("key")
        .with_row_index("row")
        .with_columns(pl.col("row").shift(1).over("key").alias("before"))
        .filter(pl.col("before").is_not_null())
    )
    row, before = again["row"].to_numpy(), again["before"].to_numpy()
    between = np.maximum(known[before], highest.maximum(new[before], np.maximum(at[row] + 1, 0)))
    time = held["timestamp"].to_physical().to_numpy()
    joins = (at[row] < 0) | (
        (at[row] - at[before] <= MAX_ENTRY_DISTANCE)
        & (between <= time[before] + MAX_WAIT_MICROSECONDS)
    )
    begins = np.ones(len(held), dtype=bool)
    begins[row] = ~joins
    held = held.with_columns(pl.Series("after", after), pl.Series("begins", begins))
    held = held.with_columns(pl.col("begins").cum_sum().over("key").alias("nth"))
    # Another one begins after MOST entries, too.
    place = pl.int_range(pl.len()).over("key", "nth")
    return held.with_columns((place % MAX_ENTRIES == 0).cum_sum().over("key").alias("nth"))


class _RangeMaximum:
    """The highest of any run of numbers, of which each length is made of two that overlap and
    are a power of two long.
    """

    def __init__(self, numbers: np.ndarray) -> None:
        self.levels = [numbers.astype(np.int64)]
        while 2 ** len(self.levels) <= len(numbers):
            last, half = self.levels[-1], 2 ** (len(self.levels) - 1)
            self.levels.append(np.maximum(last[:-half], last[half:]))

    def maximum(self, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Of each run from ``first`` to before ``end``; _NEVER of none."""
        found = np.full(len(first), _MIN_TIME)
        length = end - first
        for power, level in enumerate(self.levels):
            mine = (length >= 2**power) & (length < 2 ** (power + 1))
            found[mine] = np.maximum(level[first[mine]], level[end[mine] - 2**power])
        return found


def _merge_column(name: str) -> pl.Expr:
    """One value of all of a statement's: each entry has the count of the whole statement."""
    column = pl.col(name)
    if name in {"rows", "bytes", "duration_ms"}:
        return column.max()
    if name == "timestamp":
        return column.min()
    if name == "success":
        return column.all()
    return column.drop_nulls().first()


def _object_names() -> pl.Expr:
    own = pl.concat_list(pl.col("object"), pl.col("other_objects").fill_null([]))
    return own.explode().drop_nulls().unique(maintain_order=True).alias("names")
