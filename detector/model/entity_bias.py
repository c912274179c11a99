"""How odd the honest days of each entity usually are, and what a surprise is beyond that.

Some accounts are odd week after week: their work comes in bursts, or their level wanders. Under a
bar that is the same for all they would raise most of the alerts, and a thief among the calm could
take more. So a day is held against its entity's usual surprise on held-out days, drawn towards that
of all (James and Stein, 1961). It is learned in training and stays: who goes on stealing cannot
become usual by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from detector.core.schema import Schema
from detector.model import calibration as tails
from detector.model.calibration import Tail
from detector.model.ensemble import Points
from detector.model.threshold import RUN_DAYS

USUAL: Final[Schema] = {"entity": pl.String(), "usual": pl.Float64()}
#: How much of what is usual of an entity is taken off its surprise.
WEIGHT: Final = 0.7
#: One day counts for no more surprise: a theft in training must not excuse itself.
MOST: Final = 2.0
#: Days of everyone that an entity's own are joined with: of few, little is told.
SHRINKING: Final = 3
#: Least scale of the tail: as of the joint score's.
SCALE: Final = 0.1
#: Digits kept of what is usual: the last bits of a library's sum stay out of files.
DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Oddness:
    """Of one kind of entity: USUAL, above (or below) that of all; and ``tail``, which calibrates
    what remains of a surprise.
    """

    usual: pl.DataFrame
    tail: Tail

    def beyond(self, entities: pl.Series, surprises: Points) -> Points:
        """The surprise beyond what is usual of each: (rows,). Of strangers all usual is 0."""
        usual = entities.to_frame("entity").join(
            self.usual, on="entity", how="left", maintain_order="left"
        )
        return self.tail.surprise(_rest(surprises, usual["usual"]))


def learn(older: pl.DataFrame, newer: pl.DataFrame) -> tuple[Oddness, pl.Series, pl.Series]:
    """From honest days (entity, day, surprise) over older levels and over newer ones, and what
    is beyond the usual on each of the days of both.

    What is usual is told by the newer, whose levels days to come are held against. No day has a
    part in what is usual on it, nor have those that may be of one run with it.
    """
    days = newer.select("entity", "day", excess=pl.col("surprise").clip(upper_bound=MOST))
    days = days.with_columns(pl.col("excess") - pl.col("excess").mean()).sort("entity", "day")
    total = days.group_by("entity", maintain_order=True).agg(
        all=pl.col("excess").sum(), days=pl.len()
    )
    usual = total.select("entity", usual=_shrunk(pl.col("all"), pl.col("days")).round(DIGITS))
    others = (
        days.rolling("day", period=f"{2 * RUN_DAYS + 1}d", offset=f"-{RUN_DAYS + 1}d",
                     group_by="entity")
        .agg(near=pl.col("excess").sum(), near_days=pl.len())
        .join(total, on="entity")
        .select("entity", "day", without=_shrunk(
            pl.col("all") - pl.col("near"), pl.col("days") - pl.col("near_days")
        ))
    )  # fmt: skip
    before, after = (
        _rest(
            each["surprise"].to_numpy(),
            each.join(others, on=["entity", "day"], how="left", maintain_order="left")["without"],
        )
        for each in (older, newer)
    )
    return _tried(usual, before, after)


def nothing(older: pl.DataFrame, newer: pl.DataFrame) -> tuple[Oddness, pl.Series, pl.Series]:
    """As ``learn``, where too little is known of whom there is: all are usually as odd."""
    before, after = (frame["surprise"].to_numpy() for frame in (older, newer))
    return _tried(pl.DataFrame(schema=USUAL), before, after)


def _tried(
    usual: pl.DataFrame, older: Points, newer: Points
) -> tuple[Oddness, pl.Series, pl.Series]:
    tail = tails.fit(older, SCALE)
    before, after = (pl.Series(tail.surprise(rest)) for rest in (older, newer))
    return Oddness(usual, tail), before, after


def _shrunk(total: pl.Expr, days: pl.Expr) -> pl.Expr:
    return total / (days + SHRINKING)


def _rest(surprises: Points, usual: pl.Series) -> Points:
    """What is left without what is ``usual``, which is null of strangers."""
    return surprises - WEIGHT * usual.fill_null(0).to_numpy()
