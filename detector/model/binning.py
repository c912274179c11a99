"""Numbers as the bins that boosted trees split between: weighted quantiles, each point once sorted.

LightGBM would bin by counts: the far end of honest days, where the few that count in full lie,
would be as coarse as they are few. Given whole numbers, it takes them for bins as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Bins of a column at most: what a byte holds.
MAX_BINS = 255

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bins:
    """``cuts`` of each column, ascending: a number is in bin k where it is above just k cuts."""

    edges: tuple[Points, ...]

    def assign(self, points: Points) -> Points:
        """The bin of each number: (points, columns) of the same."""
        found = np.empty(points.shape)
        for column, cuts in enumerate(self.edges):
            found[:, column] = np.searchsorted(cuts, points[:, column], side="left")
        return found

    def split_threshold(self, column: int, between: float) -> float:
        """The number that splits where ``between`` splits the bins of a column."""
        return float(self.edges[column][int(between)])


def fit(points: Points, weights: Points) -> Bins:
    """Bins of about the same weight: (points, columns) without NaN, and a weight for each point.

    A cut lies midway between two numbers that were seen, and no bin is empty.
    """
    return Bins(tuple(_bin_edges(points[:, at], weights) for at in range(points.shape[1])))


def _bin_edges(numbers: Points, weights: Points) -> Points:
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    distinct = ordered[last]
    if len(distinct) > MAX_BINS:
        shares = np.cumsum(weights[order])[last]
        wanted = np.linspace(0, shares[-1], MAX_BINS + 1)[1:-1]
        picked = np.unique(np.searchsorted(shares, wanted))
        picked = picked[picked < len(distinct) - 1]
    else:
        picked = np.arange(len(distinct) - 1)
    found: Points = (distinct[picked] + distinct[picked + 1]) / 2
    return found
