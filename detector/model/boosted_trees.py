"""What campaigns look like against honest days: boosted trees that never fall as oddness grows.

Gradient boosting (Friedman 2001) by LightGBM (Ke et al. 2017), monotone in every voice: more
surprise is never less suspicious. What is known of an entity before the day begins (how long it
was away, how uneven its days are) may count either way. It is kept as plain arrays, scored by the
few lines below, so that a stored model is data and nothing of LightGBM has to be trusted, or
installed, when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.core.errors import DetectorError
from detector.core.schema import Schema
from detector.model import binning, tree_tables, tree_walk
from detector.model.binning import Bins
from detector.model.tree_tables import SPLIT_SCHEMA

#: Trees, leaves of each, and the least days in a leaf.
TREES, LEAVES, LEAST_IN_LEAF = 300, 16, 30
RATE, SHRINK = 0.08, 1.0
#: Each split may look at so large a share of the voices, drawn anew: no one voice decides alone
#: (Breiman 2001).
FEATURE_SHARE = 0.3
#: All campaign days together weigh so much against all honest days: what matters is the far end of
#: the honest ones.
CAMPAIGN_WEIGHT = 0.1

NODE_SCHEMA: Final[Schema] = {**SPLIT_SCHEMA, "value": pl.Float64()}


@dataclass(frozen=True, slots=True)
class WeightedPoints:
    """Points of one side, (points, voices), and how much each weighs."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class BoostedTrees:
    """Fitted trees as NODES."""

    nodes: pl.DataFrame

    def score(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of a campaign up to a constant: (points,) of (points, voices)."""
        total = np.zeros(len(points))
        if not len(points):
            return total
        points = np.asfortranarray(points)
        for tree in self._trees:
            total += tree.predict(points)
        return total

    @cached_property
    def _trees(self) -> list[tree_walk.Tree]:
        each = self.nodes.partition_by("tree", maintain_order=True)
        return [tree_walk.Tree.from_nodes(nodes) for nodes in each]


def fit(
    honest: WeightedPoints, campaigns: WeightedPoints, voices: int, seed: int, count: int = TREES
) -> BoostedTrees:
    """``count`` trees that tell campaigns from honest points; monotone in the first ``voices``
    columns.

    Raises DetectorError where LightGBM lacks what it needs of the system.
    """
    lightgbm = _lightgbm()
    points = np.concatenate([honest.points, campaigns.points])
    stolen = np.repeat([0.0, 1.0], [len(honest.points), len(campaigns.points)])
    weight = np.concatenate(
        [
            honest.weights / honest.weights.sum(),
            campaigns.weights / campaigns.weights.sum() * CAMPAIGN_WEIGHT,
        ]
    )
    bins = binning.fit(points, weight)
    options = _options(points, voices, seed)
    taught = lightgbm.Dataset(
        bins.assign(points), stolen, weight=weight / weight.mean(), params=options
    )
    model = lightgbm.train(options, taught, num_boost_round=count)
    each = model.dump_model()["tree_info"]
    return BoostedTrees(_node_table((tree["tree_structure"] for tree in each), bins))


def _lightgbm() -> Any:  # noqa: ANN401 - a module that has no types
    """LightGBM, which is needed in training alone. Its wheels take OpenMP from the system."""
    try:
        import lightgbm
    except OSError as error:
        raise DetectorError(
            f"LightGBM, which training needs, cannot be loaded: {error}",
            hint="install the OpenMP library; on Debian: apt-get install libgomp1",
        ) from error
    return lightgbm


def _options(points: NDArray[np.float64], voices: int, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "learning_rate": RATE,
        "num_leaves": LEAVES,
        "feature_fraction_bynode": FEATURE_SHARE,
        "min_data_in_leaf": LEAST_IN_LEAF,
        "lambda_l2": SHRINK,
        "monotone_constraints": [int(at < voices) for at in range(points.shape[1])],
        "use_missing": False,
        # The bins are ours: none is joined to another, and none is overlooked.
        "max_bin": binning.MAX_BINS + 1,
        "min_data_in_bin": 1,
        "bin_construct_sample_cnt": len(points),
        "seed": seed,
        # One core and one order of sums, so one result on any machine.
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }


def _node_table(roots: Iterable[Mapping[str, Any]], bins: Bins) -> pl.DataFrame:
    """NODES of trees over ``bins``, of LightGBM's ``dump_model``, its documented JSON."""
    rows: list[tuple[int, int, float, int, int, float]] = []
    for number, root in enumerate(roots):
        _grow(root, number, len(rows), rows)
    rows = [_over(bins, row) for row in rows]
    return pl.DataFrame(rows, schema=dict(NODE_SCHEMA), orient="row")


def _over(
    bins: Bins, row: tuple[int, int, float, int, int, float]
) -> tuple[int, int, float, int, int, float]:
    """A node that splits numbers where it split bins; a leaf as it is."""
    tree, feature, between, left, right, value = row
    at = bins.split_threshold(feature, between) if left else 0.0
    return tree, feature, at, left, right, value


def _grow(
    node: Mapping[str, Any],
    tree: int,
    first: int,
    rows: list[tuple[int, int, float, int, int, float]],
) -> int:
    """Appends a node and what is below it, and returns its place within the tree, whose row
    ``first`` is.
    """
    place = len(rows) - first
    if "split_feature" not in node:
        rows.append((tree, 0, 0.0, 0, 0, float(node["leaf_value"])))
        return place
    if node["decision_type"] != "<=" or node["missing_type"] != "None":
        raise ValueError("LightGBM made a split that this version does not know")
    rows.append((0, 0, 0.0, 0, 0, 0.0))
    left, right = (_grow(node[side], tree, first, rows) for side in ("left_child", "right_child"))
    feature, threshold = int(node["split_feature"]), float(node["threshold"])
    rows[first + place] = (tree, feature, threshold, left, right, 0.0)
    return place


def validate(nodes: pl.DataFrame, voices: int) -> BoostedTrees:
    """The trees of stored NODES. Raises ValueError where they lead nowhere, or in a circle."""
    return BoostedTrees(tree_tables.validate(nodes, NODE_SCHEMA, voices, tree_walk.MAX_LEAVES))
