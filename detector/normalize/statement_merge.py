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

from detector.core.frame_bytes import frame_of, text_of
from detector.core.schema import EVENTS, empty

#: So many entries after its last one, a statement is over.
NEAR: Final = 2_000
#: Or once the log tells a time so many microseconds later.
WAIT: Final = 60_000_000
#: Entries of a statement, beyond which the next begins another: memory is bounded.
MOST: Final = 2_000

_OPEN: Final = {**EVENTS, "key": pl.String(), "rank": pl.Int64()}
#: Where an entry stands, and the latest time (microseconds) that was told after it.
_WAITING: Final = {**_OPEN, "at": pl.Int64(), "after": pl.Int64()}
_NEVER: Final = np.iinfo(np.int64).min


@dataclass(slots=True)
class Folding:
    """Holds the entries of statements that may go on. ``seen`` counts entries, ``folded`` those
    that were a further entry of a statement.
    """

    waiting: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_WAITING))
    seen: int = 0
    folded: int = 0

    @classmethod
    def of(cls, text: str) -> Self:
        """What ``kept`` made, or nothing."""
        if not text:
            return cls()
        raw = json.loads(text)
        return cls(frame_of(raw["waiting"]), raw["seen"])

    def kept(self) -> str:
        """What the next piece of the log needs, as text."""
        return json.dumps({"waiting": text_of(self.waiting), "seen": self.seen})

    def add(self, entries: pl.DataFrame) -> pl.DataFrame:
        """The events of the statements that are over.

        ``entries`` are EVENTS with ``key`` (null stands alone) and ``rank``, in the log's order.
        """
        entries = entries.with_columns(
            pl.int_range(self.seen, self.seen + pl.len(), dtype=pl.Int64).alias("at"),
            pl.lit(None, pl.Int64).alias("after"),
        )
        told = entries["timestamp"].to_physical().to_numpy()
        held = pl.concat([self.waiting, entries.filter(pl.col("key").is_not_null())])
        held = _statements(held, told, self.seen)
        self.seen += len(entries)
        # Of each key, the last statement may go on, unless it has all the entries it can have.
        newest = pl.col("at").max()
        last = newest.over("key", "nth") == newest.over("key")
        near = self.seen - newest.over("key") <= NEAR
        soon = pl.col("after").last() <= pl.col("timestamp").last().to_physical() + WAIT
        few = pl.len().over("key", "nth") < MOST
        still = held.select(last & near & soon.over("key", "nth") & few).to_series()
        self.waiting = held.filter(still).select(list(_WAITING))
        alone = entries.filter(pl.col("key").is_null()).select(list(EVENTS))
        return pl.concat([alone, self._one_each(held.filter(~still))])

    def finish(self) -> pl.DataFrame:
        """The events of the statements that were still open."""
        waiting, self.waiting = self.waiting, self.waiting.clear()
        return self._one_each(waiting.with_columns(pl.lit(0).alias("nth")))

    def _one_each(self, entries: pl.DataFrame) -> pl.DataFrame:
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
                *(_folded(name) for name in EVENTS if name not in {"object", "other_objects"}),
                _names(),
            )
        )
        events = events.with_columns(
            pl.col("names").list.first().alias("object"),
            pl.when(pl.col("names").list.len() > 1)
            .then(pl.col("names").list.slice(1))
            .alias("other_objects"),
        )
        self.folded += many.height - events.height
        return pl.concat(
            [alone, events.select(pl.col(name).cast(kind) for name, kind in EVENTS.items())]
        )


def _statements(held: pl.DataFrame, told: np.ndarray, first: int) -> pl.DataFrame:
    """``held``, entries with keys in order, with ``nth``: which statement of its key each is of.

    ``told`` are the times of all new entries, the first of which is the log's ``first``. Of one
    key, all entries that were waiting (``after`` is not null) are of one statement.
    """
    highest = _Highest(told)
    at = held["at"].to_numpy() - first
    known = held["after"].fill_null(_NEVER).to_numpy()
    new = np.maximum(at + 1, 0)
    after = np.maximum(known, highest.between(new, np.full(len(at), len(told))))
    again = (
        held.select("key")
        .with_row_index("row")
        .with_columns(pl.col("row").shift(1).over("key").alias("before"))
        .filter(pl.col("before").is_not_null())
    )
    row, before = again["row"].to_numpy(), again["before"].to_numpy()
    between = np.maximum(known[before], highest.between(new[before], np.maximum(at[row] + 1, 0)))
    time = held["timestamp"].to_physical().to_numpy()
    joins = (at[row] < 0) | ((at[row] - at[before] <= NEAR) & (between <= time[before] + WAIT))
    begins = np.ones(len(held), dtype=bool)
    begins[row] = ~joins
    held = held.with_columns(pl.Series("after", after), pl.Series("begins", begins))
    held = held.with_columns(pl.col("begins").cum_sum().over("key").alias("nth"))
    # Another one begins after MOST entries, too.
    place = pl.int_range(pl.len()).over("key", "nth")
    return held.with_columns((place % MOST == 0).cum_sum().over("key").alias("nth"))


class _Highest:
    """The highest of any run of numbers, of which each length is made of two that overlap and
    are a power of two long.
    """

    def __init__(self, numbers: np.ndarray) -> None:
        self.levels = [numbers.astype(np.int64)]
        while 2 ** len(self.levels) <= len(numbers):
            last, half = self.levels[-1], 2 ** (len(self.levels) - 1)
            self.levels.append(np.maximum(last[:-half], last[half:]))

    def between(self, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Of each run from ``first`` to before ``end``; _NEVER of none."""
        found = np.full(len(first), _NEVER)
        length = end - first
        for power, level in enumerate(self.levels):
            mine = (length >= 2**power) & (length < 2 ** (power + 1))
            found[mine] = np.maximum(level[first[mine]], level[end[mine] - 2**power])
        return found


def _folded(name: str) -> pl.Expr:
    """One value of all of a statement's: each entry has the count of the whole statement."""
    column = pl.col(name)
    if name in {"rows", "bytes", "duration_ms"}:
        return column.max()
    if name == "timestamp":
        return column.min()
    if name == "success":
        return column.all()
    return column.drop_nulls().first()


def _names() -> pl.Expr:
    own = pl.concat_list(pl.col("object"), pl.col("other_objects").fill_null([]))
    return own.explode().drop_nulls().unique(maintain_order=True).alias("names")
