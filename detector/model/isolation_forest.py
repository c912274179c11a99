"""Our narrow interface to isolation forests: fit, score; higher is odder.

Isolation forest after Liu, Ting and Zhou (2008), "Isolation Forest", ICDM; grown by PyOD over
scikit-learn. It is kept as plain numbers and scored by the few lines below, so that a stored model
is data, and scoring loads neither library: that would take seconds and some 200 MB. PyOD's own
threshold (``contamination``) is not used: the budget cuts surprise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.core.schema import Schema
from detector.model import tree_tables
from detector.model.tree_tables import SPLIT_SCHEMA

TREES: Final = 100
#: Points per tree, the paper's choice; so many leaves at most.
SUBSAMPLE: Final = 256
#: Points that go down all trees at once: what they need then stays in the processor's cache.
BLOCK_POINTS: Final = 512
#: ``length`` is that of the path to a leaf, in units of the usual length.
NODE_SCHEMA: Final[Schema] = {**SPLIT_SCHEMA, "length": pl.Float64()}

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _PackedTrees:
    """All trees in one array of nodes: ``child`` at 2 i and 2 i + 1 are those of node i."""

    roots: NDArray[np.intp]
    feature: NDArray[np.intp]
    threshold: Points
    child: NDArray[np.intp]
    length: Points
    depth: int


@dataclass(frozen=True)
class IsolationForest:
    """A fitted forest of NODES."""

    nodes: pl.DataFrame

    def score(self, points: Points) -> Points:
        """Anomaly scores of the paper, within 0..1: (points,) of (points, features)."""
        lengths = np.empty(len(points))
        for first in range(0, len(points), BLOCK_POINTS):
            some = slice(first, first + BLOCK_POINTS)
            lengths[some] = self._path_lengths(points[some])
        return np.asarray(2.0**-lengths)

    def _path_lengths(self, points: Points) -> Points:
        paths = self._packed
        flat = np.ascontiguousarray(points).ravel()
        start = np.arange(len(points)) * points.shape[1]
        node = np.repeat(paths.roots[:, np.newaxis], len(points), axis=1)
        for _ in range(paths.depth):
            beyond = flat[start + paths.feature[node]] > paths.threshold[node]
            node = paths.child[2 * node + beyond]
        total = np.zeros(len(points))
        # In the trees' order, so that no point's sum depends on how many points there are.
        for each in paths.length[node]:
            total += each
        return np.asarray(total / len(paths.roots))

    @cached_property
    def _packed(self) -> _PackedTrees:
        tree, left, right = (self.nodes[name].to_numpy() for name in ("tree", "left", "right"))
        roots = np.flatnonzero(np.diff(tree, prepend=-1))
        begins = np.repeat(roots, np.diff(roots, append=len(tree)))
        inner = left > 0
        itself = np.arange(len(tree))
        child = np.stack(
            [np.where(inner, begins + side, itself) for side in (left, right)], axis=1
        ).ravel()
        depth, level = 0, roots
        while len(level := level[inner[level]]):
            level = np.concatenate([child[2 * level], child[2 * level + 1]])
            depth += 1
        feature, threshold, length = (
            self.nodes[name].to_numpy() for name in ("feature", "threshold", "length")
        )
        return _PackedTrees(roots, feature.astype(np.intp), threshold, child, length, depth)


def fit(points: Points, seed: int) -> IsolationForest:
    """A forest of ``points`` (points, features) without nulls. One core, so one result."""
    from pyod.models.iforest import IForest

    sample = min(SUBSAMPLE, len(points))
    model = IForest(n_estimators=TREES, max_samples=sample, random_state=seed, n_jobs=1)
    model.fit(points)
    return IsolationForest(_node_table([each.tree_ for each in model.estimators_], sample))


def _node_table(each: Sequence[Any], sample: int) -> pl.DataFrame:
    """NODES of scikit-learn's trees of samples of so many points."""
    names = ("children_left", "children_right", "feature", "threshold", "n_node_samples")
    left, right, feature, threshold, points = (
        np.concatenate([getattr(tree, name) for tree in each]) for name in names
    )
    sizes = np.array([tree.node_count for tree in each])
    roots = sizes.cumsum() - sizes
    first = np.repeat(roots, sizes)
    inner = left > 0
    depth = np.zeros(len(first))
    level = roots
    while len(level := level[inner[level]]):
        children = first[level] + [left[level], right[level]]
        depth[children] = depth[level] + 1
        level = children.ravel()
    usual = np.array([_average_length(count) for count in range(sample + 1)])
    return pl.DataFrame(
        {
            "tree": np.repeat(np.arange(len(each)), sizes),
            "feature": np.where(inner, feature, 0),
            "threshold": np.where(inner, threshold, 0.0),
            "left": np.where(inner, left, 0),
            "right": np.where(inner, right, 0),
            "length": np.where(inner, 0.0, (depth + usual[points]) / usual[sample]),
        },
        schema_overrides=dict(NODE_SCHEMA),
    )


def _average_length(points: int) -> float:
    """Of the path to one of so many points, where they are split at random (the paper's c)."""
    if points <= 2:
        return float(points == 2)
    return 2 * (math.log(points - 1) + float(np.euler_gamma)) - 2 * (points - 1) / points


def validate(nodes: pl.DataFrame, features: int) -> IsolationForest:
    """The forest of stored NODES. Raises ValueError where it is none of so many features."""
    if nodes.is_empty() or (nodes["length"] < 0).any() or not nodes["tree"].is_sorted():
        raise ValueError("a forest has no trees, or such as no forest has")
    return IsolationForest(tree_tables.validate(nodes, NODE_SCHEMA, features, SUBSAMPLE))
