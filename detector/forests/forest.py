"""Our narrow interface to isolation forests: fit, score; higher is odder.

Isolation forest after Liu, Ting and Zhou (2008), "Isolation Forest", ICDM; by PyOD over
scikit-learn. PyOD's own threshold (``contamination``) is not used: the budget cuts surprise.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError

#: All that a saved forest may hold beyond numpy and plain values; anything else is refused.
TRUSTED = ("pyod.models.iforest.IForest", "sklearn.tree._tree.Tree")
TREES = 100
#: What skops, zipfile and scikit-learn raise on data that are no forest.
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, IndexError, ValueError, TypeError,
    AttributeError, NotImplementedError, RuntimeError,
)  # fmt: skip
#: scikit-learn's mark of a node without children (sklearn/tree/_tree.pyx: TREE_LEAF).
LEAF = -1
#: Points per tree, the paper's choice.
SUBSAMPLE = 256


@dataclass(frozen=True, slots=True)
class Forest:
    """A fitted forest. ``score`` takes (points, features), gives (points,), higher is odder."""

    model: Any

    def score(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Anomaly scores of the paper's kind, in 0..1 of path length; no unit."""
        if len(points) == 0:
            return np.empty(0)
        return cast("NDArray[np.float64]", self.model.decision_function(points))


def fit(points: NDArray[np.float64], seed: int) -> Forest:
    """A forest of ``points`` (points, features) without nulls. One core, so one result."""
    from pyod.models.iforest import IForest

    model = IForest(
        n_estimators=TREES,
        max_samples=min(SUBSAMPLE, len(points)),
        random_state=seed,
        n_jobs=1,
    )
    model.fit(points)
    # What the fit remembers of its own training points is not needed to score others.
    for leftover in ("decision_scores_", "labels_"):
        if hasattr(model, leftover):
            setattr(model, leftover, np.empty(0))
    return Forest(model)


def fingerprint(forest: Forest) -> str:
    """A digest of the trees: the same for the same splits, however they were saved."""
    digest = hashlib.sha256()
    for tree in forest.model.estimators_:
        digest.update(tree.tree_.feature.tobytes())
        digest.update(tree.tree_.threshold.tobytes())
    return digest.hexdigest()


def dumps(forest: Forest) -> bytes:
    """The forest as data, by skops (a zip of JSON and arrays; nothing that can run)."""
    import skops.io

    return cast(
        "bytes",
        skops.io.dumps(forest.model, compression=zipfile.ZIP_DEFLATED, compresslevel=9),
    )


def loads(data: bytes, features: int) -> Forest:
    """The forest of so many features again.

    Raises ModelError where the data hold any type not trusted, or no such forest.
    """
    import skops.io

    try:
        foreign = set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED)
        if foreign:
            raise ModelError(f"the forest holds types that are not trusted: {sorted(foreign)}")
        found = Forest(skops.io.loads(data, trusted=list(TRUSTED)))
        _demand_whole(found, features)
    except UNREADABLE as error:
        raise ModelError(f"a forest cannot be read: {error!r}") from error
    return found


def _demand_whole(forest: Forest, features: int) -> None:
    """Raises ValueError where a tree leads out of itself, which scikit-learn would follow, or the
    forest cannot score a point.
    """
    for tree in (each.tree_ for each in forest.model.estimators_):
        left, right = tree.children_left, tree.children_right
        inner = left != LEAF
        place = np.arange(tree.node_count)
        ends = np.maximum(left, right) < tree.node_count
        onwards = (np.minimum(left, right) > place) & (tree.feature < features)
        if not (ends & np.where(inner, onwards & (tree.feature >= 0), right == LEAF)).all():
            raise ValueError("its trees lead nowhere")
    if not np.isfinite(forest.score(np.zeros((1, features)))).all():
        raise ValueError("it scores nothing")
