"""Which leaf of a tree each point falls in, without walking: all splits are asked of all points.

After Lucchese et al. (2015), "QuickScorer", SIGIR: a split that sends a point to the right rules
out the leaves on its left; the leftmost that remains is the point's. A handful of whole columns
are compared per tree, where a walk gathers one number at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: Leaves of a tree at most, one bit each.
MAX_LEAVES = 64
#: Where the exponent of a double begins, and what is added to it (IEEE 754).
EXPONENT, BIAS = 52, 1023

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tree:
    """``splits`` are feature, threshold, and the leaves that it rules out, as bits of a word.

    ``leaves`` are what they say, from left to right.
    """

    splits: list[tuple[int, float, Any]]
    leaf_values: Points
    word_type: type[Any]

    @classmethod
    def from_nodes(cls, nodes: pl.DataFrame) -> Tree:
        """Of one tree's ``boosting.NODE_SCHEMA``, with MOST_LEAVES leaves at most."""
        feature, threshold = nodes["feature"].to_list(), nodes["threshold"].to_list()
        leaves, ruled_out = _leaves_in_order(nodes["left"].to_list(), nodes["right"].to_list())
        word: type[Any] = np.uint16 if len(leaves) <= 16 else np.uint64
        splits = [(feature[at], threshold[at], word(bits)) for at, bits in ruled_out.items()]
        return cls(splits, nodes["value"].to_numpy()[leaves], word)

    def predict(self, points: Points) -> Points:
        """What the tree says of each point: (points,) of (points, voices), best by columns."""
        gone: NDArray[Any] = np.zeros(len(points), dtype=self.word_type)
        for feature, threshold, bits in self.splits:
            gone |= (points[:, feature] > threshold) * bits
        there = ~gone
        leftmost = (there & -there).astype(np.float64)
        place = (leftmost.view(np.int64) >> EXPONENT) - BIAS
        found: Points = self.leaf_values[place]
        return found


def _leaves_in_order(left: list[int], right: list[int]) -> tuple[list[int], dict[int, int]]:
    """The leaves from left to right, and by inner node the bits of the leaves on its left."""
    leaves: list[int] = []
    ruled_out: dict[int, int] = {}

    def visit(node: int) -> None:
        if not left[node]:
            leaves.append(node)
            return
        first = len(leaves)
        visit(left[node])
        ruled_out[node] = (1 << len(leaves)) - (1 << first)
        visit(right[node])

    visit(0)
    return leaves, ruled_out
