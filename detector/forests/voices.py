"""How the voices are joined: each family's oddest feature, and the forest, as one number.

The joint score is Fisher's (1932) sum of log p-values over families and forest; the families
are not independent, so the sum is calibrated again on honest days rather than taken at its word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.features.feature import Family
from detector.forests import forest as forests
from detector.forests import tail as tails
from detector.forests.forest import Forest
from detector.forests.tail import Tail

#: A forest sees at most this much surprise of one feature: it has nothing to split beyond
#: its training, and the sum has the rest.
FOREST_SEES = 6.0
#: Least scales of the tails. Features are in spreads or counts, forest scores within 0..1.
FEATURE_SCALE = 0.25
FOREST_SCALE = 0.01


@dataclass(frozen=True, slots=True)
class Voices:
    """One tail per feature, in the families' order, the forest, and the forest's own tail."""

    names: tuple[str, ...]
    features: tuple[Tail, ...]
    forest: Forest
    forest_tail: Tail

    def surprises(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Surprise of each feature of the feature table: (rows, features)."""
        columns = [
            tail.surprise(_numbers(frame, name))
            for name, tail in zip(self.names, self.features, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.empty((len(frame), 0))

    def joint(
        self, surprises: NDArray[np.float64], families: Sequence[Family]
    ) -> NDArray[np.float64]:
        """The joint score: (rows,); higher is odder."""
        at = 0
        total = self.forest_tail.surprise(self.forest.score(_points(surprises)))
        for family in families:
            width = len(family.features)
            total = total + surprises[:, at : at + width].max(axis=1)
            at += width
        return total


def _numbers(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    return frame[name].fill_null(float("nan")).to_numpy()


def _points(surprises: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.minimum(surprises, FOREST_SEES)


def fit(days: pl.DataFrame, families: Sequence[Family], seed: int) -> Voices:
    """Voices of honest account-days (the feature table at the end of each day)."""
    names = tuple(feature.name for family in families for feature in family.features)
    features = tuple(tails.fit(_numbers(days, name), FEATURE_SCALE) for name in names)
    surprises = np.stack(
        [tail.surprise(_numbers(days, n)) for n, tail in zip(names, features, strict=True)], axis=1
    )
    points = _points(surprises)
    forest = forests.fit(points, seed)
    return Voices(names, features, forest, tails.fit(forest.score(points), FOREST_SCALE))
