"""The limits in scoring, each on both of its sides, worked out by hand and without a model."""

from __future__ import annotations

import math
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from detector.model import (
    binning,
    ensemble,
    entity_bias,
    isolation_forest,
    threshold_control,
    tree_tables,
    tree_walk,
)
from detector.model import threshold as budget
from detector.model.boosted_trees import NODE_SCHEMA
from detector.model.ensemble import Ensemble
from detector.model.threshold import EPISODE_DAYS

DAY = date(2024, 3, 1)


def after(days: int) -> date:
    return DAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("threshold", "surprise", "told", "much"),
    [
        # Ten times rarer, where that is more than a quarter more.
        (0.0, 3.0, 2.0, True), (0.0, 2.999, 2.0, False),
        # A quarter more, where that is more than ten times rarer.
        (0.0, 10.0, 8.0, True), (0.0, 9.999, 8.0, False), (0.0, 9.0, 8.0, False),
        # The first that is grave: 1.5 above the threshold.
        (1.0, 2.5, 2.499, True), (1.0, 2.499, 2.4, False), (1.0, 2.6, 2.5, False),
    ],
)  # fmt: skip
def test_what_is_much_worse_within_a_run(threshold, surprise, told, much):
    assert budget.is_worse(surprise, told, threshold) is much


def _day(number, alarm=1.0):
    who = {"entity_kind": ["account"], "entity": ["ann"]}
    return pl.DataFrame({**who, "day": [after(number)], "alarm": [alarm]})


@pytest.mark.parametrize(("surprise", "begins"), [(1.0, True), (0.999, False)])
def test_the_first_of_an_episode_begins_at_the_threshold(surprise, begins):
    asked = _day(0, surprise)
    assert budget.episode_starts(asked, asked, 1.0).height == begins


@pytest.mark.parametrize(
    ("then", "asked", "begins"),
    [(0, 1, False), (0, EPISODE_DAYS, False), (0, EPISODE_DAYS + 1, True), (0, 0, True),
     (1, 0, True)],
)  # fmt: skip
def test_which_days_are_of_one_episode(then, asked, begins):
    assert budget.episode_starts(_day(then), _day(asked), 1.0).height == begins
    assert budget.episode_starts(_day(then, 0.999), _day(asked), 1.0).height == 1


def test_a_day_moves_the_threshold_by_its_share_of_the_budget_and_never_its_own():
    """3 alerts a day are allowed: 6 are one too many times, 12 as many as any flood."""
    for fired, moved in ((3, 0.0), (6, 1.0), (12, 3.0), (13, 3.0), (10**6, 3.0), (0, -1.0)):
        assert threshold_control.threshold_offset({DAY: fired}, 3.0, after(1)) == pytest.approx(
            threshold_control.GAIN * moved
        )
        assert threshold_control.threshold_offset({DAY: fired}, 3.0, DAY) == 0.0
    for fired, bound in ((10**6, 1.0), (0, -0.4)):
        days = {after(n): fired for n in range(200)}
        assert threshold_control.threshold_offset(days, 3.0, after(200)) == bound


def _family(name: str, features: int, alone: int = 0) -> SimpleNamespace:
    """The first ``alone`` of its features may speak alone."""
    made = [SimpleNamespace(is_sufficient=at < alone) for at in range(features)]
    return SimpleNamespace(name=name, features=made)


FAMILIES = [_family("volume", 2, alone=1), _family("origin", 1), _family("population", 1)]


def _voices(*, population: bool) -> Ensemble:
    return Ensemble(("a", "b", "c", "d"), (), None, None, population)


@pytest.mark.parametrize(
    ("surprises", "odd", "population", "wanted"),
    [
        # A feature that may speak alone, of four: by chance the oddest is odd four times as often.
        ([4, 0, 0, 0], 0, False, 4 - math.log10(4)),
        ([0, 4, 0, 0], 0, False, 0.0),
        # Two of three families agree: the second counts, as of two in the families' half.
        ([0, 4, 3, 0], 0, False, 3 - math.log10(1.5)),
        ([0, 2, 3, 0], 0, False, 2 - math.log10(2) - math.log10(1.5)),
        ([0, 0, 3, 5], 0, False, 3 - math.log10(1.5)),
        # The forest is one of two where it sees the population, and else has no part.
        ([0, 0, 0, 0], 5, True, 5 - math.log10(2)),
        ([0, 0, 0, 0], 5, False, 0.0),
        ([6, 0, 0, 0], 5, True, 6 - math.log10(4)),
    ],
)
def test_what_the_oddest_voices_support(surprises, odd, population, wanted):
    asked = np.array([surprises], dtype=float)
    found = _voices(population=population).support_score(asked, np.array([float(odd)]), FAMILIES)
    assert found == pytest.approx([wanted])


@pytest.mark.parametrize(("population", "total"), [(True, 4 + 3), (False, 4 + 3 + 2)])
def test_a_family_speaks_by_its_oddest_and_the_population_asks_no_change(population, total):
    asked = np.array([[1.0, 4.0, 3.0, 9.0]])
    found = _voices(population=population).components(asked, np.array([2.0]), FAMILIES)
    assert found.tolist() == [[1.0, 4.0, 3.0, 2.0, total]]


@pytest.mark.parametrize(
    ("days", "leads"),
    [
        ({0: 2.0, 7: 2.0}, [True, False]), ({0: 2.0, 7: 2.1}, [True, True]),
        ({0: 2.0, 8: 1.0}, [True, True]), ({0: 1.0, 1: 3.0, 2: 2.0}, [True, True, False]),
    ],
)  # fmt: skip
def test_an_honest_day_leads_where_the_week_before_had_none_as_odd(days, leads):
    honest = pl.DataFrame({"entity": ["ann"] * len(days), "day": [after(day) for day in days]})
    assert ensemble._is_episode_peak(honest, np.array(list(days.values()))).tolist() == leads


def _surprises(by_name: dict[str, list[float]]) -> pl.DataFrame:
    rows = [(name, after(n), each) for name, days in by_name.items() for n, each in enumerate(days)]
    return pl.DataFrame(rows, schema=["entity", "day", "surprise"], orient="row")


def test_what_is_usual_is_the_mean_excess_with_three_days_of_everyone():
    days = _surprises({"ann": [2.0] * 7, "bob": [1.0] * 7})
    learned, _, _ = entity_bias.fit(days, days)
    assert dict(learned.biases.iter_rows()) == {"ann": 0.35, "bob": -0.35}
    wild = _surprises({"ann": [90.0] * 7, "bob": [1.0] * 7})  # a day counts for 2 at the most
    assert entity_bias.fit(wild, wild)[0].biases.equals(learned.biases)


@pytest.mark.parametrize("away", [0, 1, EPISODE_DAYS, EPISODE_DAYS + 1])
@pytest.mark.parametrize("side", [-1, 1])
def test_no_day_of_a_run_has_a_part_in_what_is_usual_on_its_days(away, side):
    """Bob falls by what Ann rises, so that the mean of all stays."""
    strangers = _surprises({"cy": list(np.linspace(0, 2, 90))})
    calm = {"ann": [0.5] * 41, "bob": [0.5] * 41}
    odd = {name: list(each) for name, each in calm.items()}
    odd["ann"][20 + side * away] += 0.4
    odd["bob"][20] -= 0.4

    def judged(days):
        newer = _surprises(days)
        _, _, after_ = entity_bias.fit(strangers, newer)
        return after_.filter((newer["entity"] == "ann") & (newer["day"] == after(20))).item()

    if away == 0:
        assert judged(odd) > judged(calm)  # its own surprise, nothing taken off
    else:
        assert (judged(odd) == judged(calm)) is (away <= EPISODE_DAYS)


def test_the_usual_length_of_a_path_is_the_papers():
    assert [isolation_forest._average_length(points) for points in (0, 1, 2)] == [0.0, 0.0, 1.0]
    wanted = 2 * (math.log(255) + np.euler_gamma) - 2 * 255 / 256
    assert isolation_forest._average_length(256) == pytest.approx(wanted)
    assert isolation_forest._average_length(3) == pytest.approx(
        2 * (math.log(2) + np.euler_gamma) - 4 / 3
    )


def _chain(leaves: int) -> pl.DataFrame:
    """A tree that asks for above 1, above 2, and so on: leaf k is for the points up to k + 1."""
    inner = leaves - 1
    rows = [
        {"feature": 0, "threshold": at + 1.0, "left": inner + at, "right": at + 1, "value": 0.0}
        for at in range(inner)
    ]
    if rows:
        rows[-1]["right"] = 2 * inner
    rows += [
        {"feature": 0, "threshold": 0.0, "left": 0, "right": 0, "value": 10.0 + at}
        for at in range(leaves)
    ]
    made = [dict.fromkeys(NODE_SCHEMA, 0) | {"tree": 0} | row for row in rows]
    return pl.DataFrame(made, schema=dict(NODE_SCHEMA))


@pytest.mark.parametrize("leaves", [1, 2, 16, 17, 32, 63, 64])
def test_a_point_falls_in_its_leaf_and_one_on_a_threshold_goes_left(leaves):
    tree = tree_walk.Tree.from_nodes(_chain(leaves))
    points = np.array([[-1.0]] + [[n + half] for n in range(1, leaves + 1) for half in (0, 0.5)])
    place = np.clip(np.ceil(points[:, 0]) - 1, 0, leaves - 1)
    assert tree.predict(points).tolist() == (10.0 + place).tolist()


def _with(nodes: pl.DataFrame, row: int, **values: float) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == row
    return nodes.with_columns(
        pl.when(at).then(pl.lit(value)).otherwise(name).cast(NODE_SCHEMA[name]).alias(name)
        for name, value in values.items()
    )


@pytest.mark.parametrize(
    "harm", [{"left": 1}, {"right": 1}, {"left": 7}, {"right": 7}, {"feature": 1}, {"feature": -1}]
)
def test_a_tree_that_leads_back_to_itself_or_beyond_its_end_is_refused(harm):
    """Of four leaves: its nodes are 0 to 6."""
    whole = _chain(4)
    assert tree_tables.validate(whole, NODE_SCHEMA, 1, 4) is whole
    assert tree_tables.validate(_with(whole, 1, left=6, right=6), NODE_SCHEMA, 1, 4).height == 7
    with pytest.raises(ValueError, match="lead nowhere"):
        tree_tables.validate(_with(whole, 1, **harm), NODE_SCHEMA, 1, 4)
    with pytest.raises(ValueError, match="more than 3 leaves"):
        tree_tables.validate(whole, NODE_SCHEMA, 1, 3)
    with pytest.raises(ValueError, match="numbers that are none"):
        tree_tables.validate(_with(whole, 1, threshold=math.inf), NODE_SCHEMA, 1, 4)


def test_a_bin_ends_midway_between_numbers_and_holds_what_lies_on_its_cut():
    bins = binning.fit(np.array([[0.0], [1.0], [1.0], [4.0]]), np.ones(4))
    assert bins.edges[0].tolist() == [0.5, 2.5]
    asked = np.array([[-9.0], [0.5], [0.51], [2.5], [9.0]])
    assert bins.assign(asked)[:, 0].tolist() == [0, 0, 1, 1, 2]
    assert [bins.split_threshold(0, between) for between in (0.5, 1.5)] == [0.5, 2.5]


@pytest.mark.parametrize(
    "number", [binning.MAX_BINS - 1, binning.MAX_BINS, binning.MAX_BINS + 1, 2_000]
)
def test_there_are_no_more_bins_than_the_library_takes_and_none_is_empty(number):
    numbers = np.arange(float(number))[:, None]
    bins = binning.fit(numbers, np.ones(number))
    held = np.unique(bins.assign(numbers))
    assert len(held) == len(bins.edges[0]) + 1 == min(number, binning.MAX_BINS)
