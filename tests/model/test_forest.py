"""An isolation forest of our own few lines scores as the library that grew it does."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from pyod.models.iforest import IForest

from detector.model import isolation_forest
from detector.model.isolation_forest import BLOCK_POINTS, SUBSAMPLE, TREES

RNG = np.random.default_rng(0)
#: scikit-learn rounds points to single precision before it looks at them.
POINTS = RNG.normal(size=(600, 4)).astype(np.float32).astype(np.float64)


@pytest.fixture(scope="module")
def fitted():
    return isolation_forest.fit(POINTS, seed=1)


def test_the_far_point_is_the_oddest(fitted):
    far = np.vstack([POINTS, np.full((1, 4), 8.0)])
    assert int(np.argmax(fitted.score(far))) == len(POINTS)


@pytest.mark.parametrize("points", [41, 600], ids=["few", "more than a tree takes"])
def test_scores_are_those_of_the_library(points):
    some = POINTS[:points]
    theirs = IForest(
        n_estimators=TREES, max_samples=min(SUBSAMPLE, points), random_state=1, n_jobs=1
    ).fit(some)
    elsewhere = (POINTS * 3)[::-1].astype(np.float32).astype(np.float64)
    ours = isolation_forest.fit(some, seed=1).score(elsewhere)
    assert ours == pytest.approx(-theirs.detector_.score_samples(elsewhere), rel=1e-12)
    assert len(np.unique(ours)) > len(elsewhere) / 2


@pytest.mark.parametrize("most", [1, 2, 7, BLOCK_POINTS, BLOCK_POINTS + 1])
def test_a_score_does_not_depend_on_the_other_points(fitted, most):
    parts = [fitted.score(POINTS[at : at + most]) for at in range(0, len(POINTS), most)]
    assert np.array_equal(np.concatenate(parts), fitted.score(POINTS))
    assert np.array_equal(fitted.score(np.asfortranarray(POINTS)), fitted.score(POINTS))


def test_no_points_have_no_scores(fitted):
    assert fitted.score(POINTS[:0]).shape == (0,)


def test_points_that_are_all_the_same_are_all_as_odd():
    same = isolation_forest.fit(np.ones((64, 3)), seed=1)
    scores = same.score(np.vstack([np.ones((1, 3)), np.full((1, 3), 9.0)]))
    assert scores[0] == scores[1] == pytest.approx(0.5)


def test_a_stored_forest_is_the_same(fitted):
    again = isolation_forest.validate(fitted.nodes, features=4)
    assert np.array_equal(again.score(POINTS), fitted.score(POINTS))


def test_a_forest_of_more_features_or_none_is_refused(fitted):
    with pytest.raises(ValueError, match="lead nowhere"):
        isolation_forest.validate(fitted.nodes, features=3)
    with pytest.raises(ValueError, match="no trees"):
        isolation_forest.validate(fitted.nodes.clear(), features=4)
    with pytest.raises(ValueError, match="no forest has"):
        isolation_forest.validate(pl.concat([fitted.nodes, fitted.nodes]), features=4)
