"""Scores: the surprise of each entity at the end of each hour in which it was active."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
import polars as pl

from detector.core.settings import Settings
from detector.features import feature_table as features
from detector.features.feature import Family, available_families
from detector.model import threshold
from detector.model.model import KindModel, Model

#: Ledger days needed before the first scored day: those of the features, and the episode that a day
#: may be part of.
LOOKBACK_DAYS = features.LOOKBACK_DAYS + threshold.EPISODE_DAYS
#: Digits kept: the last bits of a library's sum stay out of files.
DIGITS = 6
#: A person's day of so many times the largest day of training fires, whatever history says.
EXTREME_DAY_FACTOR = 2.0
#: Who has no past is held against others; of fewer, nothing can be told.
MIN_OTHERS = 3
#: Of each row of a scored table, whether a person expects what it shows: a boolean Series.
SuppressionRule: TypeAlias = Callable[[pl.DataFrame], pl.Series]


def is_material(records: int) -> pl.Expr:
    """Whether the day so far is worth an alert: ``records`` were read, or an unknown number."""
    return (pl.col("rows") >= records) | (pl.col("unknown").fill_null(0) > 0)


def score_kind(frame: pl.DataFrame, judge: KindModel, families: Sequence[Family]) -> pl.DataFrame:
    """The feature table of one kind of entity with ``<feature>_surprise`` and ``surprise``."""
    voices, names = judge.ensemble, judge.ensemble.feature_names
    surprises = voices.surprises(frame)
    odd = voices.forest_surprise(frame, surprises)
    there = available_families(families, names)
    joint = judge.joint_calibration.surprise(voices.joint_score(frame, surprises, odd, there))
    beyond = judge.entity_bias.corrected_surprise(frame["entity"], joint)
    beyond = judge.final_calibration.surprise(
        np.fmax(beyond, voices.support_score(surprises, odd, there))
    )
    each = [
        pl.Series(f"{name}_surprise", surprises[:, at]).round(DIGITS)
        for at, name in enumerate(names)
    ]
    unheard = [
        pl.lit(0.0).alias(f"{feature.name}_surprise")
        for family in families
        for feature in family.features
        if feature.name not in names
    ]
    # + 0.0 turns -0.0 into 0.0.
    whole = pl.Series("surprise", np.round(beyond, DIGITS) + 0.0)
    return frame.with_columns(*each, *unheard, whole)


@dataclass(frozen=True, slots=True)
class Scorer:
    """What days are scored by, beside the ledger: a model, who people are, and the settings.

    ``suppression`` says which scored hours show what is expected.
    """

    model: Model
    directory: pl.DataFrame | None
    settings: Settings
    families: Sequence[Family]
    suppression: SuppressionRule | None = None

    def score(
        self, hours: pl.DataFrame, touched: pl.DataFrame, days: Sequence[date]
    ) -> pl.DataFrame:
        """The feature table of ``days`` with what the model makes of each hour.

        Adds ``<feature>_surprise`` and ``surprise`` (calibrated, one scale; null where nobody can
        say what is normal); entities of a kind that the model does not score are left out.
        ``hours`` and ``touched`` reach LOOKBACK_DAYS further back. Without any activity that can be
        scored, a frame without columns.
        """
        frame = features.build_table(
            hours, touched, days, self.model.baselines, self.directory, self.settings, self.families
        )
        return self.score_table(frame)

    def add_anomalous(self, scored: pl.DataFrame) -> pl.DataFrame:
        """``scored``, judged hours, with ``anomalous``, whether an hour passes the threshold and is
        worth an alert; and ``covered``, whether what it shows is expected.
        """
        now = (pl.col("surprise") >= self.model.threshold) & is_material(
            self.settings.minimum_records
        )
        marked = scored.with_columns(anomalous=now.fill_null(value=False))
        if self.suppression is None:
            return marked.with_columns(covered=pl.lit(value=False))
        return marked.with_columns(covered=self.suppression(scored))

    def score_table(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A feature table with what the model makes of each row it can judge."""
        if frame.is_empty():
            return frame
        kinds = frame.partition_by("entity_kind", as_dict=True, maintain_order=True)
        parts = [
            score_kind(part, self.model.kind_models[str(kind[0])], self.families)
            for kind, part in kinds.items()
            if kind[0] in self.model.kind_models
        ]
        return self._apply_limits(pl.concat(parts)) if parts else pl.DataFrame()

    def _apply_limits(self, judged: pl.DataFrame) -> pl.DataFrame:
        """``judged``, where nothing excuses magnitude: an account's day that is far beyond what any
        person ever read, or above the settings' ``records_a_day``, alerts whatever history says.
        And no evidence is no innocence: of whom neither a past nor others are known, the surprise
        is null.
        """
        most = self.settings.impact.records_a_day or max(
            EXTREME_DAY_FACTOR * self.model.largest_day_rows, self.settings.minimum_records
        )
        beyond = (pl.col("accountable") > 0) & (pl.col("rows") >= most)
        alone = (pl.col("days") == 0) & (pl.col("population") < MIN_OTHERS)
        surprise = pl.col("surprise")
        return judged.with_columns(
            surprise=pl.when(beyond)
            .then(pl.max_horizontal(surprise, self.model.threshold + threshold.CRITICAL_MARGIN))
            .when(alone)
            .then(None)
            .otherwise(surprise)
        )


def day_ends(scored: pl.DataFrame) -> pl.DataFrame:
    """The last hour of each entity's day."""
    return scored.sort("hour").group_by("entity_kind", "entity", "day").last()


def daily_maxima(scored: pl.DataFrame) -> pl.DataFrame:
    """entity_kind, entity, day, alarm: the highest surprise of each day."""
    return (
        scored.group_by("entity_kind", "entity", "day")
        .agg(alarm=pl.col("surprise").max())
        .sort("entity_kind", "entity", "day")
    )
