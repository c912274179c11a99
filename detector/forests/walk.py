"""Which leaf of a tree each point falls in, without walking: all splits are asked of all points.

After Lucchese et al. (2015), "QuickScorer", SIGIR: a split that sends a point to the right rules
out the leaves on its left; the leftmost that remains is the point's. A handful of whole columns
are compared per tree, where a walk gathers one number at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: Leaves of a tree at most, one bit each.
MOST_LEAVES = 64
#: Where the exponent of a double begins, and what is added to it (IEEE 754).
EXPONENT, BIAS = 52, 1023

Points = NDArray[np.float64]


def values(tree: pl.DataFrame, points: Points) -> Points:
    """What one tree (``boosting.NODES``) says of each point: (points,) of (points, voices).

    The columns of ``points`` are best contiguous. Of a tree with MOST_LEAVES leaves at most.
    """
    feature, threshold = tree["feature"].to_list(), tree["threshold"].to_list()
    left, right = tree["left"].to_list(), tree["right"].to_list()
    leaves, ruled_out = _in_order(left, right)
    word: type[Any] = np.uint16 if len(leaves) <= 16 else np.uint64
    gone: NDArray[Any] = np.zeros(len(points), dtype=word)
    for node, bits in ruled_out.items():
        gone |= (points[:, feature[node]] > threshold[node]) * word(bits)
    there = ~gone
    leftmost = (there & -there).astype(np.float64)
    place = (leftmost.view(np.int64) >> EXPONENT) - BIAS
    found: Points = tree["value"].to_numpy()[leaves][place]
    return found


def _in_order(left: list[int], right: list[int]) -> tuple[list[int], dict[int, int]]:
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
