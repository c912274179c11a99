"""The trees are LightGBM's to the last digit that matters, monotone, and data."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import lightgbm
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from detector.core.errors import DetectorError
from detector.core.parallel import map_threads
from detector.model import binning, boosted_trees, tree_walk
from detector.model.boosted_trees import NODE_SCHEMA, BoostedTrees, WeightedPoints

#: The first of these only ever add to suspicion; the last may count either way.
VOICES, COLUMNS = 4, 6


def _points(size: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(rng.exponential(1.0, (size, COLUMNS)) + shift * (rng.random(COLUMNS) > 0.4), 3)


@pytest.fixture(scope="module")
def lessons() -> tuple[WeightedPoints, WeightedPoints]:
    honest, stolen = _points(3000, 1), _points(300, 2, shift=1.5)
    return WeightedPoints(honest, np.ones(len(honest))), WeightedPoints(
        stolen, np.ones(len(stolen))
    )


@pytest.fixture(scope="module")
def fitted(lessons):
    """Our trees, and the scores of LightGBM's model that they were taken from."""
    made, cut, train = [], [], lightgbm.train

    def watched(*arguments, **named):
        made.append(train(*arguments, **named))
        return made[-1]

    def bins(*arguments):
        cut.append(binning.fit(*arguments))
        return cut[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "train", watched)
        patch.setattr(
            boosted_trees, "binning", SimpleNamespace(fit=bins, MAX_BINS=binning.MAX_BINS)
        )
        ours = boosted_trees.fit(*lessons, VOICES, 7)
    return ours, lambda points: made[0].predict(cut[0].assign(points), raw_score=True)


def test_scores_are_lightgbms_own(fitted):
    ours, theirs = fitted
    points = np.vstack([_points(500, 3), _points(500, 4, shift=3.0), np.zeros((1, COLUMNS))])
    apart = theirs(points) - ours.score(points)
    assert np.ptp(ours.score(points)) > 1
    assert np.ptp(apart) < 1e-9


def test_a_point_on_a_threshold_goes_the_way_lightgbm_sends_it(fitted):
    ours, theirs = fitted
    inner = ours.nodes.filter(pl.col("left") > 0).head(60)
    points = np.full((len(inner), COLUMNS), 0.7)
    points[np.arange(len(inner)), inner["feature"].to_numpy()] = inner["threshold"].to_numpy()
    assert np.ptp(theirs(points) - ours.score(points)) < 1e-9


@given(st.integers(0, 10_000), st.integers(0, VOICES - 1), st.floats(0.001, 20))
@hypothesis_settings(max_examples=60)
def test_more_surprise_is_never_less_suspicious(fitted, seed, voice, more):
    points = _points(20, seed)
    louder = points.copy()
    louder[:, voice] += more
    assert (fitted[0].score(louder) >= fitted[0].score(points) - 1e-12).all()


def test_what_is_known_of_an_entity_may_count_either_way():
    """Otherwise the promise above would hold of everything, and the trees could not weigh."""
    honest, stolen = _points(2000, 5), _points(2000, 6)
    stolen[:, -1] = stolen[:, -1] / 20
    one = np.ones(2000)
    ours = boosted_trees.fit(WeightedPoints(honest, one), WeightedPoints(stolen, one), VOICES, 7)
    low, high = np.full((1, COLUMNS), 0.5), np.full((1, COLUMNS), 0.5)
    low[0, -1], high[0, -1] = 0.01, 3.0
    assert ours.score(low) > ours.score(high)


def test_stored_and_read_again_they_score_the_same(fitted):
    file = io.BytesIO()
    fitted[0].nodes.write_parquet(file)
    file.seek(0)
    again = boosted_trees.validate(pl.read_parquet(file), COLUMNS)
    points = _points(300, 8, shift=2.0)
    assert np.array_equal(again.score(points), fitted[0].score(points))


def test_nothing_to_score_is_nothing(fitted):
    assert fitted[0].score(np.empty((0, COLUMNS))).shape == (0,)


def _nodes(**columns: list) -> pl.DataFrame:
    """One tree with a root and two leaves, with some columns otherwise."""
    whole = {
        "tree": [0, 0, 0],
        "feature": [0, 0, 0],
        "threshold": [1.0, 0.0, 0.0],
        "left": [1, 0, 0],
        "right": [2, 0, 0],
        "value": [0.0, -1.0, 1.0],
    }
    return pl.DataFrame(whole | columns, schema=dict(NODE_SCHEMA))


def test_a_whole_tree_is_accepted():
    tree = boosted_trees.validate(_nodes(), 1)
    assert tree.score(np.array([[0.5], [1.0], [1.5]])).tolist() == [-1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param({"left": [1, 1, 0], "right": [2, 1, 0]}, id="a node that is its own child"),
        pytest.param({"left": [1, 2, 1], "right": [2, 2, 1]}, id="two nodes in a circle"),
        pytest.param({"right": [0, 0, 0]}, id="back to the root"),
        pytest.param({"left": [3, 0, 0]}, id="left beyond the end"),
        pytest.param({"right": [7, 0, 0]}, id="right beyond the end"),
        pytest.param({"right": [-1, 0, 0]}, id="right before the beginning"),
        pytest.param({"feature": [4, 0, 0]}, id="a voice that is not there"),
        pytest.param({"feature": [-1, 0, 0]}, id="a voice before the first"),
    ],
)
def test_trees_that_lead_nowhere_are_refused(harm):
    with pytest.raises(ValueError, match="lead nowhere"):
        boosted_trees.validate(_nodes(**harm), 4)


def test_a_child_in_the_next_tree_is_refused():
    two = pl.concat([_nodes(left=[3, 0, 0]), _nodes(tree=[1, 1, 1])])
    with pytest.raises(ValueError, match="lead nowhere"):
        boosted_trees.validate(two, 4)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param({"left": [None, 0, 0]}, id="no left"),
        pytest.param({"feature": [None, 0, 0]}, id="no voice"),
        pytest.param({"tree": [None, None, None]}, id="no tree"),
        pytest.param({"value": [0.0, float("nan"), 1.0]}, id="a value that is no number"),
        pytest.param({"threshold": [None, 0.0, 0.0]}, id="no threshold"),
    ],
)
def test_trees_with_holes_are_refused(harm):
    with pytest.raises(ValueError, match=r"nowhere|holes|null|number"):
        boosted_trees.validate(_nodes(**harm), 4)


def _grown(random: np.random.Generator, leaves: int) -> pl.DataFrame:
    """A tree of so many leaves, each next split at a leaf picked by chance."""
    rows = [[0, 0.0, 0, 0]]
    while len(rows) < 2 * leaves - 1:
        at = random.choice([place for place, row in enumerate(rows) if not row[2]])
        rows[at] = [int(random.integers(4)), round(random.random(), 1), len(rows), len(rows) + 1]
        rows += [[0, 0.0, 0, 0], [0, 0.0, 0, 0]]
    feature, threshold, left, right = zip(*rows, strict=True)
    return pl.DataFrame(
        {
            "tree": [0] * len(rows),
            "feature": feature,
            "threshold": threshold,
            "left": left,
            "right": right,
            "value": random.random(len(rows)),
        },
        schema=dict(NODE_SCHEMA),
    )


@given(st.integers(0, 10_000), st.integers(1, tree_walk.MAX_LEAVES))
@hypothesis_settings(max_examples=80)
def test_each_point_falls_in_the_leaf_that_a_walk_ends_in(seed, leaves):
    random = np.random.default_rng(seed)
    tree = _grown(random, leaves)
    points = random.integers(-1, 12, (50, 4)) / 10
    rows = tree.rows(named=True)

    def walked(point: np.ndarray) -> float:
        at = 0
        while rows[at]["left"]:
            low = point[rows[at]["feature"]] <= rows[at]["threshold"]
            at = rows[at]["left" if low else "right"]
        return rows[at]["value"]

    assert tree_walk.Tree.from_nodes(tree).predict(points).tolist() == [
        walked(point) for point in points
    ]


def test_a_tree_of_too_many_leaves_is_refused():
    random = np.random.default_rng(1)
    boosted_trees.validate(_grown(random, tree_walk.MAX_LEAVES), 4)
    with pytest.raises(ValueError, match="more than 64 leaves"):
        boosted_trees.validate(_grown(random, tree_walk.MAX_LEAVES + 1), 4)


def test_one_fit_and_two_at_once_are_the_same_to_the_last_bit(fitted, lessons):
    both = map_threads(lambda seed: boosted_trees.fit(*lessons, VOICES, seed), [7, 7])
    for again in both:
        assert again.nodes.equals(fitted[0].nodes)


def test_fewer_trees_are_the_first_of_all(fitted, lessons):
    few = boosted_trees.fit(*lessons, VOICES, 7, 20)
    assert few.nodes["tree"].n_unique() == 20
    assert few.nodes.equals(fitted[0].nodes.filter(pl.col("tree") < 20))


def test_of_too_few_days_to_split_a_tree_is_one_leaf():
    few = WeightedPoints(_points(5, 1), np.ones(5))
    trees = boosted_trees.fit(few, few, VOICES, 7, 3)
    assert np.ptp(trees.score(_points(50, 2))) == 0


def test_a_split_that_is_not_known_is_refused():
    root = lightgbm.train(
        {"objective": "binary", "min_data_in_leaf": 1, "min_data_in_bin": 1, "verbosity": -1},
        lightgbm.Dataset(np.repeat([[0.0], [1.0]], 30, axis=0), np.repeat([0, 1], 30)),
        num_boost_round=1,
    ).dump_model()["tree_info"][0]["tree_structure"]
    bins = binning.fit(np.array([[0.0], [1.0]]), np.ones(2))
    nodes = boosted_trees._node_table([root], bins)
    assert nodes["threshold"].to_list() == [0.5, 0.0, 0.0]
    for strange in ({"decision_type": "=="}, {"missing_type": "NaN"}):
        with pytest.raises(ValueError, match="does not know"):
            boosted_trees._node_table([root | strange], bins)


def test_where_openmp_is_missing_training_says_what_to_install(monkeypatch, lessons):
    class Lost:
        def find_spec(self, name, *_):
            if name == "lightgbm":
                raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.delitem(sys.modules, "lightgbm")
    monkeypatch.setattr(sys, "meta_path", [Lost(), *sys.meta_path])
    with pytest.raises(DetectorError, match=r"libgomp\.so\.1.*apt-get install libgomp1"):
        boosted_trees.fit(*lessons, VOICES, 7)


@given(st.integers(0, 10_000), st.integers(2, 2000), st.integers(0, 3))
@hypothesis_settings(max_examples=60, deadline=None)
def test_bins_split_numbers_as_their_thresholds_do(seed, size, digits):
    random = np.random.default_rng(seed)
    numbers = np.round(random.exponential(2.0, (size, 1)), digits)
    bins = binning.fit(numbers, random.random(size) + 0.01)
    mine = bins.assign(numbers)[:, 0]
    assert sorted(set(mine)) == list(range(len(bins.edges[0]) + 1)), "an empty bin"
    assert len(bins.edges[0]) < binning.MAX_BINS
    for place in range(len(bins.edges[0])):
        low = numbers[:, 0] <= bins.split_threshold(0, place + 0.5)
        assert np.array_equal(low, mine <= place)


def test_bins_follow_the_weights():
    """A hundredth of the points that weighs as much as the rest gets half of the bins."""
    numbers = np.arange(100_000, dtype=float)[:, None]
    heavy = numbers[:, 0] >= 99_000
    bins = binning.fit(numbers, np.where(heavy, 99.0, 1.0))
    assert (bins.edges[0] >= 99_000).sum() == pytest.approx(127, abs=3)


def test_other_columns_are_refused():
    for nodes in (
        _nodes().drop("value"),
        _nodes().with_columns(more=1),
        _nodes().cast({"left": pl.Int64}),
    ):
        with pytest.raises(ValueError, match="other columns"):
            boosted_trees.validate(nodes, 4)


def test_no_trees_add_nothing():
    assert BoostedTrees(_nodes().clear()).score(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]
