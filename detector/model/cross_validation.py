"""A judge of one kind of entity, tried on honest days that it must not find odd.

Voices that were fitted on an entity's days think them too usual, and voices that never saw the
entity think them too odd; days to come are other days of entities that were seen. So each day is
scored both ways, the second by voices fitted on other entities. Days to come are held against
levels learned before them, so the alarms that set the threshold are those over levels learned
before the days (``older``). How odd an entity usually is, is learned over levels that hold them
(``newer``), without the day that is judged and those near it (``oddness``).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.core.parallel import map_threads
from detector.core.settings import Settings
from detector.features.feature import Family
from detector.model import calibration as tails
from detector.model import ensemble as joining
from detector.model import entity_bias, scoring
from detector.model.boosted_trees import WeightedPoints
from detector.model.ensemble import Ensemble, Points
from detector.model.model import KindModel
from detector.model.scoring import is_material

#: Honest days and campaign days below which trees would learn chance.
FEWEST_TO_TEACH, FEWEST_LESSONS = 1500, 60
#: Honest days from which on trees do not learn the single day by heart.
FEWEST_TO_KNOW = 20_000
#: How much of what counts is said by voices that saw the entity; the rest by strangers.
SEEN_WEIGHT = 1 / 2
#: Parts of the entities, each of which is strange to voices fitted on the rest. Of few days a half
#: would teach trees much less than all of them do, and find too much odd.
PARTS, PARTS_OF_FEW = 2, 5
#: Least scale of the joint score's tail: a tenth of a factor of ten.
MIN_SCALE = 0.1


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The judge, and the alarms (``scoring.daily_maxima``) of honest days over levels learned
    before.
    """

    kind_model: KindModel
    daily_maxima: pl.DataFrame


def cross_validate(
    older: pl.DataFrame,
    newer: pl.DataFrame,
    taught: pl.DataFrame,
    families: Sequence[Family],
    settings: Settings,
    *,
    all_known: bool = True,
) -> CrossValidation:
    """Of the feature table at the end of honest days, over levels learned before them and with
    them; and of campaign days that teach it. ``all_known`` is false where the days are of a sample
    of the entities: of the others it would not be known how odd they usually are.
    """
    newer = replace_newcomers(newer, older)
    if len(older) < FEWEST_TO_TEACH or len(taught) < FEWEST_LESSONS:
        taught = pl.DataFrame()
    few = len(older) < FEWEST_TO_KNOW
    parts = PARTS_OF_FEW if few and len(taught) else PARTS
    voices, points, strange = _fit_both(older, taught, families, settings.seed, parts)
    known = voices.joint_of(points, families)
    # Of few days, which trees learn by heart, the strangers' word alone; of newcomers too, since
    # those to come will have been seen by none.
    weight = np.where((older["days"] == 0).to_numpy() | few, 0.0, SEEN_WEIGHT)
    scores = strange + weight * (known - strange)
    beyond = older.select("entity", "day", beyond=pl.Series(scores - known))
    found = newer.select("entity", "day").join(
        beyond, on=["entity", "day"], how="left", maintain_order="left"
    )
    later = _joint_score(voices, newer, families)
    later = later + found["beyond"].fill_null(0.0).to_numpy()
    joint = tails.fit(scores, MIN_SCALE)
    surprising = (
        days.select("entity", "day", surprise=pl.Series(joint.surprise(each)))
        for days, each in ((older, scores), (newer, later))
    )
    learned, rest, _ = (entity_bias.fit if all_known else entity_bias.fit_unbiased)(*surprising)
    # The forest spoke once already: its word stands beside Fisher's sum.
    odd = points[:, joining.hearing(families) - 2]
    support = voices.support_score(voices.surprises(older), odd, families)
    loudest = np.fmax(rest.to_numpy(), support)
    whole = tails.fit(loudest, MIN_SCALE)
    worth = older.with_columns(surprise=whole.surprise(loudest)).filter(
        is_material(settings.minimum_records)
    )
    return CrossValidation(KindModel(voices, joint, learned, whole), scoring.daily_maxima(worth))


def _joint_score(voices: Ensemble, days: pl.DataFrame, families: Sequence[Family]) -> Points:
    surprises = voices.surprises(days)
    return voices.joint_score(days, surprises, voices.forest_surprise(days, surprises), families)


def replace_newcomers(newer: pl.DataFrame, older: pl.DataFrame) -> pl.DataFrame:
    """``newer``, but of days of whom nothing was learned before them, that: so little is known of
    who comes after training.
    """
    came = older.filter(pl.col("days") == 0)
    rest = newer.join(came.select("entity", "day"), on=["entity", "day"], how="anti")
    return pl.concat([rest, came], how="diagonal").sort("entity", "day")


def _fit_both(
    own: pl.DataFrame, taught: pl.DataFrame, families: Sequence[Family], seed: int, parts: int
) -> tuple[Ensemble, Points, Points]:
    """Voices of all of the days, what they say of each, and the joint score of each by voices of
    the other entities.
    """
    voices = joining.fit(own, families, seed)
    points = joining.heard(voices, own, families)
    weights = np.ones(len(own))
    if len(taught):
        # One answer for all fits. A stranger's trees learn from it only which days of the entities
        # that they do see led a run.
        stolen = WeightedPoints(
            joining.heard(voices, taught, families), taught["weight"].to_numpy()
        )
        weights = joining.weighed(own, points, stolen, families, seed)
    part = own["entity"].map_elements(
        lambda name: zlib.crc32(name.encode()) % parts, return_dtype=pl.Int64
    )

    def fitted(rest: NDArray[np.bool_]) -> tuple[Ensemble, Points]:
        """Voices of some of the days, and what they say of all."""
        theirs, said = voices, points
        if not rest.all():
            theirs = joining.fit(own.filter(rest), families, seed)
            said = joining.heard(theirs, own, families)
        if len(taught):
            stolen = WeightedPoints(
                joining.heard(theirs, taught, families), taught["weight"].to_numpy()
            )
            honest = WeightedPoints(said[rest], weights[rest])
            theirs = joining.add_trees(theirs, honest, stolen, families, seed)
        return theirs, said

    everyone = np.ones(len(own), dtype=bool)
    mine = [(part == number).to_numpy() for number in range(parts)]
    # There may be fewer entities than parts: of a part that is all there is, nobody is a stranger.
    rests = [everyone if each.all() else ~each for each in mine]
    (whole, _), *strangers = map_threads(fitted, [everyone, *rests])
    scores = np.zeros(len(own))
    for rows, (theirs, said) in zip(mine, strangers, strict=True):
        if rows.any():
            scores[rows] = theirs.joint_of(said[rows], families)
    return whole, points, scores
