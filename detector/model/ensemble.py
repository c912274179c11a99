"""How the voices are joined: the features, each calibrated, and a forest, as one number.

Two questions are asked of a day. *Change*: each family of features about the entity's own past
speaks by its oddest; the sum of their log p-values is Fisher's (1932). The families are not
independent, so the sum is calibrated again on honest days rather than taken at its word. Where
campaigns could be staged to learn from, boosted trees over all voices take the sum's place.
*Magnitude*: an isolation forest over what accounts do in absolute terms, beside their peers
(``features.population``), and each calibrated feature by itself, with the number of them counted.
Neither has a veto over the other: the larger of both is what a day is worth (``support_score``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.features.feature import Family
from detector.features.population import FIGURE_NAMES
from detector.model import boosted_trees
from detector.model import calibration as tails
from detector.model import isolation_forest as forests
from detector.model.boosted_trees import BoostedTrees, WeightedPoints
from detector.model.calibration import Calibration
from detector.model.isolation_forest import IsolationForest
from detector.model.threshold import EPISODE_DAYS

#: A forest sees at most this much surprise of one feature: it has nothing to split beyond
#: its training, and the sum has the rest.
MAX_FOREST_SURPRISE = 6.0
#: The family that asks for magnitude; all others ask for change.
POPULATION_FAMILY = "population"
#: The figures a forest sees of accounts: how far each lies above its peers.
FOREST_COLUMNS = tuple(f"{figure}_vs_peers" for figure in FIGURE_NAMES)
#: Least scales of the tails. Features are in spreads or counts, forest scores within 0..1.
MIN_FEATURE_SCALE = 0.25
MIN_FOREST_SCALE = 0.01
#: What is known of an entity before its day begins, for the trees to weigh the voices by.
CONTEXT_COLUMNS = ("idle_so_far", "idle_lately_days", "past_days", "statements_spread")
#: An honest day weighs this much where the week before it had a worse one: an alert is raised once
#: in a run of days, so the rest of the run costs nothing.
EPISODE_DAY_WEIGHT = 0.05
#: Trees that say which of an entity's honest days those are.
FIRST_TREES = 100
#: The trees know no more than their training held. Beyond, this much of Fisher's sum goes on
#: ranking.
FISHER_WEIGHT = 0.05

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """One tail per feature, in the families' order; the forest and its tail; the trees, if any.

    ``population`` says that the forest sees accounts among their peers; elsewhere, where nothing
    is known of peers, it sees the surprises of change.
    """

    feature_names: tuple[str, ...]
    calibrations: tuple[Calibration, ...]
    forest: IsolationForest
    forest_calibration: Calibration
    uses_population: bool
    trees: BoostedTrees | None = None

    def surprises(self, frame: pl.DataFrame) -> Points:
        """Surprise of each feature of the feature table: (rows, features)."""
        columns = [
            tail.surprise(_column_values(frame, name))
            for name, tail in zip(self.feature_names, self.calibrations, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.empty((len(frame), 0))

    def forest_surprise(self, frame: pl.DataFrame, surprises: Points) -> Points:
        """The forest's surprise: (rows,)."""
        points = population_points(frame) if self.uses_population else _clip_surprises(surprises)
        return self.forest_calibration.surprise(self.forest.score(points))

    def components(self, surprises: Points, odd: Points, families: Sequence[Family]) -> Points:
        """All voices that ask for change, of ``surprises``; the forest's ``odd``; and Fisher's sum
        as the last.
        """
        total = np.zeros(len(odd)) if self.uses_population else odd.copy()
        heard = []
        at = 0
        for family in families:
            width = len(family.features)
            if family.name != POPULATION_FAMILY:
                heard.append(surprises[:, at : at + width])
                total += heard[-1].max(axis=1)
            at += width
        return np.column_stack([*heard, odd, total])

    def joint_score(
        self, frame: pl.DataFrame, surprises: Points, odd: Points, families: Sequence[Family]
    ) -> Points:
        """The joint score of the feature table's rows: (rows,); higher is odder."""
        return self.joint_of(self.points(frame, surprises, odd, families), families)

    def points(
        self, frame: pl.DataFrame, surprises: Points, odd: Points, families: Sequence[Family]
    ) -> Points:
        """What the trees see of the feature table's rows: all voices, and CONTEXT."""
        return np.column_stack([self.components(surprises, odd, families), _context_points(frame)])

    def joint_of(self, points: Points, families: Sequence[Family]) -> Points:
        """``joint_score`` of what ``points`` gave."""
        total: Points = points[:, hearing(families) - 1]
        return total if self.trees is None else self.trees.score(points) + FISHER_WEIGHT * total

    def support_score(self, surprises: Points, odd: Points, families: Sequence[Family]) -> Points:
        """The surprise that the oddest voices support, whatever the others say: (rows,).

        The largest of three. One feature that may speak ``alone``: of so many, the oddest is as odd
        by chance that much more often (Bonferroni). Two families that agree: the second oddest is
        as odd no more often than half of the families together are (Markov), however they depend on
        each other. The forest over the population, which is asked apart, so that it is one of two.
        """
        one, families_say = np.zeros(len(odd)), [np.zeros(len(odd))] * 2
        at = 0
        for family in families:
            mine = surprises[:, at : at + len(family.features)]
            families_say.append(mine.max(axis=1) - np.log10(len(family.features)))
            alone = [place for place, each in enumerate(family.features) if each.is_sufficient]
            if alone:
                one = np.fmax(one, mine[:, alone].max(axis=1) - np.log10(len(self.feature_names)))
            at += len(family.features)
        two = np.sort(np.stack(families_say, axis=1), axis=1)[:, -2]
        found: Points = np.fmax(one, two - np.log10(max(1.0, len(families) / 2)))
        return np.fmax(found, odd - np.log10(2)) if self.uses_population else found


def change_feature_count(families: Sequence[Family]) -> int:
    """How many features ask for change."""
    return sum(len(family.features) for family in families if family.name != POPULATION_FAMILY)


def hearing(families: Sequence[Family]) -> int:
    """How many voices ask for change: the features, the forest and Fisher's sum."""
    return change_feature_count(families) + 2


def population_points(frame: pl.DataFrame) -> Points:
    """What the forest sees of accounts: (rows, figures)."""
    return frame.select(pl.col(FOREST_COLUMNS).fill_null(0.0)).to_numpy()


def _column_values(frame: pl.DataFrame, name: str) -> Points:
    return frame[name].to_numpy()  # null becomes NaN


def _clip_surprises(surprises: Points) -> Points:
    return np.minimum(surprises, MAX_FOREST_SURPRISE)


def fit(days: pl.DataFrame, families: Sequence[Family], seed: int) -> Ensemble:
    """Voices of honest entity-days (the feature table at the end of each day)."""
    names = tuple(feature.name for family in families for feature in family.features)
    population = FOREST_COLUMNS[0] in days.columns and days[FOREST_COLUMNS[0]].null_count() < len(
        days
    )
    features = tuple(tails.fit(_column_values(days, name), MIN_FEATURE_SCALE) for name in names)
    surprises = np.stack(
        [tail.surprise(_column_values(days, n)) for n, tail in zip(names, features, strict=True)],
        axis=1,
    )
    points = population_points(days) if population else _clip_surprises(surprises)
    forest = forests.fit(points, seed)
    tail = tails.fit(forest.score(points), MIN_FOREST_SCALE)
    return Ensemble(names, features, forest, tail, population)


def heard(voices: Ensemble, frame: pl.DataFrame, families: Sequence[Family]) -> Points:
    """``Voices.points`` of a feature table."""
    surprises = voices.surprises(frame)
    return voices.points(frame, surprises, voices.forest_surprise(frame, surprises), families)


def weighed(
    honest: pl.DataFrame,
    points: Points,
    stolen: WeightedPoints,
    families: Sequence[Family],
    seed: int,
) -> Points:
    """How much each honest day counts: in full where some first trees would have raised an alert.

    ``points`` are ``heard`` of ``honest``. These trees only rank the days of one week of one
    entity, so a few do.
    """
    lesson = WeightedPoints(points, np.ones(len(honest)))
    first = boosted_trees.fit(lesson, stolen, hearing(families), seed, FIRST_TREES)
    return np.where(_is_episode_peak(honest, first.score(points)), 1.0, EPISODE_DAY_WEIGHT)


def add_trees(
    voices: Ensemble,
    honest: WeightedPoints,
    stolen: WeightedPoints,
    families: Sequence[Family],
    seed: int,
) -> Ensemble:
    """The voices with trees that tell campaigns from honest days, each as ``heard`` by them."""
    return replace(voices, trees=boosted_trees.fit(honest, stolen, hearing(families), seed))


def _context_points(frame: pl.DataFrame) -> Points:
    return frame.select(pl.col(CONTEXT_COLUMNS).fill_null(0).cast(pl.Float64)).to_numpy()


def _is_episode_peak(honest: pl.DataFrame, scores: Points) -> NDArray[np.bool_]:
    """Which days score higher than all of the entity's in the week before."""
    days = honest.select("entity", "day").with_columns(score=pl.Series(scores)).with_row_index("at")
    worst = (
        days.sort("entity", "day")
        .rolling("day", period=f"{EPISODE_DAYS}d", closed="left", group_by="entity")
        .agg(pl.col("score").max().alias("before"))
    )
    joined = days.join(worst, on=["entity", "day"], how="left", maintain_order="left")
    return (
        joined.select(pl.col("before").is_null() | (pl.col("score") > pl.col("before")))
        .to_series()
        .to_numpy()
    )
