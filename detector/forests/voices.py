"""How the voices are joined: the features, each calibrated, and a forest, as one number.

Each family of features speaks by its oddest; the sum of their log p-values is Fisher's (1932). The
families are not independent, so the sum is calibrated again on honest days rather than taken at
its word. Where campaigns could be staged to learn from, boosted trees over all voices take the
sum's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.features.feature import Family
from detector.forests import boosting
from detector.forests import forest as forests
from detector.forests import tail as tails
from detector.forests.boosting import Boosting, Lesson
from detector.forests.budget import RUN_DAYS
from detector.forests.forest import Forest
from detector.forests.tail import Tail

#: A forest sees at most this much surprise of one feature: it has nothing to split beyond
#: its training, and the sum has the rest.
FOREST_SEES = 6.0
#: Least scales of the tails. Features are in spreads or counts, forest scores within 0..1.
FEATURE_SCALE = 0.25
FOREST_SCALE = 0.01
#: What is known of an entity before its day begins, for the trees to weigh the voices by.
CONTEXT = ("idle_so_far", "idle_lately_days", "past_days", "statements_spread")
#: An honest day weighs this much where the week before it had a worse one: an alert is raised once
#: in a run of days, so the rest of the run costs nothing.
REST_OF_RUN = 0.05
#: The trees know no more than their training held. Beyond, this much of Fisher's sum goes on
#: ranking.
BEYOND = 0.05

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Voices:
    """One tail per feature, in the families' order; the forest and its tail; the trees, if any."""

    names: tuple[str, ...]
    features: tuple[Tail, ...]
    forest: Forest
    forest_tail: Tail
    trees: Boosting | None = None

    def surprises(self, frame: pl.DataFrame) -> Points:
        """Surprise of each feature of the feature table: (rows, features)."""
        columns = [
            tail.surprise(_numbers(frame, name))
            for name, tail in zip(self.names, self.features, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.empty((len(frame), 0))

    def all(self, surprises: Points, families: Sequence[Family]) -> Points:
        """All voices, of ``surprises``: the features, the forest, and Fisher's sum as the last."""
        odd = self.forest_tail.surprise(self.forest.score(_points(surprises)))
        total = odd.copy()
        at = 0
        for family in families:
            width = len(family.features)
            total += surprises[:, at : at + width].max(axis=1)
            at += width
        return np.column_stack([surprises, odd, total])

    def joint(self, frame: pl.DataFrame, surprises: Points, families: Sequence[Family]) -> Points:
        """The joint score of the feature table's rows: (rows,); higher is odder."""
        voices = self.all(surprises, families)
        total: Points = voices[:, -1]
        if self.trees is None:
            return total
        return self.trees.score(np.column_stack([voices, _context(frame)])) + BEYOND * total


def _numbers(frame: pl.DataFrame, name: str) -> Points:
    return frame[name].to_numpy()  # null becomes NaN


def _points(surprises: Points) -> Points:
    return np.minimum(surprises, FOREST_SEES)


def fit(days: pl.DataFrame, families: Sequence[Family], seed: int) -> Voices:
    """Voices of honest entity-days (the feature table at the end of each day)."""
    names = tuple(feature.name for family in families for feature in family.features)
    features = tuple(tails.fit(_numbers(days, name), FEATURE_SCALE) for name in names)
    surprises = np.stack(
        [tail.surprise(_numbers(days, n)) for n, tail in zip(names, features, strict=True)], axis=1
    )
    points = _points(surprises)
    forest = forests.fit(points, seed)
    return Voices(names, features, forest, tails.fit(forest.score(points), FOREST_SCALE))


def taught(
    voices: Voices,
    honest: pl.DataFrame,
    campaigns: pl.DataFrame,
    families: Sequence[Family],
    seed: int,
) -> Voices:
    """The voices with trees that tell ``campaigns`` (with a column ``weight``) from honest days.

    Twice: the first trees say which honest days would have raised alerts, and those teach the
    second.
    """
    points = _taught_points(voices, honest, families)
    stolen = Lesson(_taught_points(voices, campaigns, families), campaigns["weight"].to_numpy())
    heard = len(voices.names) + 2
    first = boosting.fit(Lesson(points, np.ones(len(honest))), stolen, heard, seed)
    weights = np.where(_leads(honest, first.score(points)), 1.0, REST_OF_RUN)
    return replace(voices, trees=boosting.fit(Lesson(points, weights), stolen, heard, seed))


def _taught_points(voices: Voices, frame: pl.DataFrame, families: Sequence[Family]) -> Points:
    return np.column_stack([voices.all(voices.surprises(frame), families), _context(frame)])


def _context(frame: pl.DataFrame) -> Points:
    return frame.select(pl.col(CONTEXT).fill_null(0).cast(pl.Float64)).to_numpy()


def _leads(honest: pl.DataFrame, scores: Points) -> NDArray[np.bool_]:
    """Which days score higher than all of the entity's in the week before."""
    days = honest.select("entity", "day").with_columns(score=pl.Series(scores)).with_row_index("at")
    worst = (
        days.sort("entity", "day")
        .rolling("day", period=f"{RUN_DAYS}d", closed="left", group_by="entity")
        .agg(pl.col("score").max().alias("before"))
    )
    joined = days.join(worst, on=["entity", "day"], how="left", maintain_order="left")
    return (
        joined.select(pl.col("before").is_null() | (pl.col("score") > pl.col("before")))
        .to_series()
        .to_numpy()
    )
