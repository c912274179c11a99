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
from detector.model.calibration import Calibration
from detector.model.ensemble import Points
from detector.model.threshold import EPISODE_DAYS

BIAS_SCHEMA: Final[Schema] = {"entity": pl.String(), "usual": pl.Float64()}
#: How much of what is usual of an entity is taken off its surprise.
BIAS_WEIGHT: Final = 0.7
#: One day counts for no more surprise: a theft in training must not excuse itself.
MAX_SURPRISE: Final = 2.0
#: Days of everyone that an entity's own are joined with: of few, little is told.
PRIOR_DAYS: Final = 3
#: Least scale of the tail: as of the joint score's.
MIN_SCALE: Final = 0.1
#: Digits kept of what is usual: the last bits of a library's sum stay out of files.
DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class EntityBias:
    """Of one kind of entity: USUAL, above (or below) that of all; and ``tail``, which calibrates
    what remains of a surprise.
    """

    biases: pl.DataFrame
    calibration: Calibration

    def corrected_surprise(self, entities: pl.Series, surprises: Points) -> Points:
        """The surprise beyond what is usual of each: (rows,). Of strangers all usual is 0."""
        usual = entities.to_frame("entity").join(
            self.biases, on="entity", how="left", maintain_order="left"
        )
        return self.calibration.surprise(_subtract_bias(surprises, usual["usual"]))


def fit(older: pl.DataFrame, newer: pl.DataFrame) -> tuple[EntityBias, pl.Series, pl.Series]:
    """From honest days (entity, day, surprise) over older levels and over newer ones, and what
    is beyond the usual on each of the days of both.

    What is usual is told by the newer, whose levels days to come are held against. No day has a
    part in what is usual on it, nor have those that may be of one run with it.
    """
    days = newer.select("entity", "day", excess=pl.col("surprise").clip(upper_bound=MAX_SURPRISE))
    days = days.with_columns(pl.col("excess") - pl.col("excess").mean()).sort("entity", "day")
    total = days.group_by("entity", maintain_order=True).agg(
        all=pl.col("excess").sum(), days=pl.len()
    )
    usual = total.select("entity", usual=_shrink(pl.col("all"), pl.col("days")).round(DIGITS))
    others = (
        days.rolling("day", period=f"{2 * EPISODE_DAYS + 1}d", offset=f"-{EPISODE_DAYS + 1}d",
                     group_by="entity")
        .agg(near=pl.col("excess").sum(), near_days=pl.len())
        .join(total, on="entity")
        .select("entity", "day", without=_shrink(
            pl.col("all") - pl.col("near"), pl.col("days") - pl.col("near_days")
        ))
    )  # fmt: skip
    before, after = (
        _subtract_bias(
            each["surprise"].to_numpy(),
            each.join(others, on=["entity", "day"], how="left", maintain_order="left")["without"],
        )
        for each in (older, newer)
    )
    return _calibrate(usual, before, after)


def fit_unbiased(
    older: pl.DataFrame, newer: pl.DataFrame
) -> tuple[EntityBias, pl.Series, pl.Series]:
    """As ``fit``, where too little is known of whom there is: all are usually as odd."""
    before, after = (frame["surprise"].to_numpy() for frame in (older, newer))
    return _calibrate(pl.DataFrame(schema=BIAS_SCHEMA), before, after)


def _calibrate(
    usual: pl.DataFrame, older: Points, newer: Points
) -> tuple[EntityBias, pl.Series, pl.Series]:
    tail = tails.fit(older, MIN_SCALE)
    before, after = (pl.Series(tail.surprise(rest)) for rest in (older, newer))
    return EntityBias(usual, tail), before, after


def _shrink(total: pl.Expr, days: pl.Expr) -> pl.Expr:
    return total / (days + PRIOR_DAYS)


def _subtract_bias(surprises: Points, usual: pl.Series) -> Points:
    """What is left without what is ``usual``, which is null of strangers."""
    return surprises - BIAS_WEIGHT * usual.fill_null(0).to_numpy()
