"""What campaigns look like against honest days: boosted trees that never fall as oddness grows.

Gradient boosting (Friedman 2001) by scikit-learn's histogram trees, monotone in every voice: more
surprise is never less suspicious. What is known of an entity before the day begins (how long it
was away, how uneven its days are) may count either way. It is kept as plain arrays, scored by the
few lines below, so that a stored model is data and nothing of scikit-learn has to be trusted when
it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.core.schema import Schema
from detector.model import binning, tree_tables, tree_walk
from detector.model.binning import Bins
from detector.model.tree_tables import SPLITS

#: Trees, leaves of each, and the least weight of days in a leaf.
TREES, LEAVES, LEAST_IN_LEAF = 300, 16, 30
RATE, SHRINK = 0.08, 1.0
#: Each split may look at so large a share of the voices, drawn anew: no one voice decides alone
#: (Breiman 2001).
LOOKS_AT = 0.3
#: All campaign days together weigh so much against all honest days: what matters is the far end of
#: the honest ones.
WEIGHT = 0.1

NODES: Final[Schema] = {**SPLITS, "value": pl.Float64()}


@dataclass(frozen=True, slots=True)
class Lesson:
    """Points of one side, (points, voices), and how much each weighs."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Boosting:
    """Fitted trees as NODES."""

    nodes: pl.DataFrame

    def score(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of a campaign up to a constant: (points,) of (points, voices)."""
        total = np.zeros(len(points))
        if not len(points):
            return total
        points = np.asfortranarray(points)
        for tree in self._trees:
            total += tree.values(points)
        return total

    @cached_property
    def _trees(self) -> list[tree_walk.Tree]:
        each = self.nodes.partition_by("tree", maintain_order=True)
        return [tree_walk.Tree.of(nodes) for nodes in each]


def fit(honest: Lesson, campaigns: Lesson, voices: int, seed: int) -> Boosting:
    """Trees that tell campaigns from honest points; monotone in the first ``voices`` columns."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    points = np.concatenate([honest.points, campaigns.points])
    stolen = np.repeat([0, 1], [len(honest.points), len(campaigns.points)])
    weight = np.concatenate(
        [
            honest.weights / honest.weights.sum(),
            campaigns.weights / campaigns.weights.sum() * WEIGHT,
        ]
    )
    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        learning_rate=RATE,
        max_leaf_nodes=LEAVES,
        max_features=LOOKS_AT,
        min_samples_leaf=LEAST_IN_LEAF,
        l2_regularization=SHRINK,
        monotonic_cst=[int(at < voices) for at in range(points.shape[1])],
        early_stopping=False,
        random_state=seed,
    )
    bins = binning.fit(points, weight)
    # One core, so one result on any machine. OpenMP's limit is the calling thread's own.
    with threadpool_limits(1, user_api="openmp"):
        model.fit(bins.of(points), stolen, sample_weight=weight / weight.mean())
    # scikit-learn has no public way to its trees; a test holds these to its own scores.
    return Boosting(_nodes([stage[0].nodes for stage in model._predictors], bins))  # noqa: SLF001


def _nodes(each: Sequence[NDArray[np.void]], bins: Bins) -> pl.DataFrame:
    """NODES of scikit-learn's trees."""
    nodes = np.concatenate(each)
    leaf = nodes["is_leaf"] == 1
    inner = zip(nodes["feature_idx"][~leaf], nodes["num_threshold"][~leaf], strict=True)
    threshold = np.zeros(len(nodes))
    threshold[~leaf] = [bins.threshold(column, between) for column, between in inner]
    columns = {
        "tree": np.repeat(np.arange(len(each)), [len(tree) for tree in each]),
        "feature": nodes["feature_idx"],
        "threshold": threshold,
        "left": np.where(leaf, 0, nodes["left"]),
        "right": np.where(leaf, 0, nodes["right"]),
        "value": nodes["value"],
    }
    return pl.DataFrame(columns, schema_overrides=dict(NODES))


def checked(nodes: pl.DataFrame, voices: int) -> Boosting:
    """The trees of stored NODES. Raises ValueError where they lead nowhere, or in a circle."""
    return Boosting(tree_tables.checked(nodes, NODES, voices, tree_walk.MOST_LEAVES))
