"""Several entries of one statement as one event, so that its rows count once.

Entries of one statement stand close together, but others can stand between them, and a block can
end there: what lies near its end waits for the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import polars as pl

from detector.schema import EVENTS, empty

#: How many of a block's last entries wait for the next block.
NEAR: Final = 2_000


@dataclass(slots=True)
class Folding:
    """Holds what waits: EVENTS with ``key`` (null stands alone) and ``rank``."""

    waiting: pl.DataFrame | None = None
    folded: int = field(default=0)

    def add(self, entries: pl.DataFrame) -> pl.DataFrame:
        """The events of the statements that are over."""
        held = entries if self.waiting is None else pl.concat([self.waiting, entries])
        open_keys = held.tail(NEAR)["key"].drop_nulls().unique()
        still = held["key"].is_in(open_keys.implode()).fill_null(value=False)
        self.waiting = held.filter(still)
        return self._one_each(held.filter(~still))

    def finish(self) -> pl.DataFrame:
        """The events of the statements that were still open."""
        if self.waiting is None:
            return empty(EVENTS)
        waiting, self.waiting = self.waiting, None
        return self._one_each(waiting)

    def _one_each(self, entries: pl.DataFrame) -> pl.DataFrame:
        keyed = entries.filter(pl.col("key").is_not_null())
        alone = entries.filter(pl.col("key").is_null()).select(list(EVENTS))
        # Mostly, a statement is one entry.
        twice = keyed["key"].is_duplicated()
        alone = pl.concat([alone, keyed.filter(~twice).select(list(EVENTS))])
        many = keyed.filter(twice)
        if many.is_empty():
            return alone
        events = (
            many.sort("rank", maintain_order=True)
            .group_by("key", maintain_order=True)
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
