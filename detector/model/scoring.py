"""Scores: the surprise of each entity at the end of each hour in which it was active."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

import numpy as np
import polars as pl

from detector.core.settings import Settings
from detector.features import feature_table as features
from detector.features.feature import Family, available_families
from detector.features.history import PastData, Span
from detector.model import threshold
from detector.model.model import KindModel, Model

#: Ledger days needed before the first scored day: those of the features, and the run that a day
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
#: An entity's day.
ENTITY_DAY = ("entity_kind", "entity", "day")


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

    What ``suppression`` says is expected neither rings nor begins a run.
    """

    model: Model
    directory: pl.DataFrame | None
    settings: Settings
    families: Sequence[Family]
    suppression: SuppressionRule | None = None

    def score(
        self, hours: pl.DataFrame, touched: pl.DataFrame, days: Sequence[date]
    ) -> pl.DataFrame:
        """The feature table of ``days`` with what the model makes of it.

        Adds ``<feature>_surprise``, ``surprise`` (calibrated, one scale; null for a kind of entity
        the model does not judge), ``alarming``: the first hour of a day at which an alert rings,
        as if the hours that are covered were not there; and ``held``: the hour at which a day
        would have rung that now does not. ``hours`` and ``touched`` reach LOOKBACK days further
        back. Without any activity of an entity that can be judged, a frame without columns.
        """
        scored = self._score_days(hours, touched, days, ends=False)
        if scored.is_empty():
            return scored
        return self.add_alarming(scored, self.prior_day_ends(hours, touched, days))

    def prior_day_ends(
        self, hours: pl.DataFrame, touched: pl.DataFrame, days: Sequence[date]
    ) -> pl.DataFrame:
        """The judged ends of the days before ``days`` that may have begun runs."""
        return self._score_days(hours, touched, week_before(days), ends=True)

    def prior_day_ends_by_day(self, past: PastData) -> Iterator[pl.DataFrame]:
        """``earlier`` of the one day that follows ``past``, which keeps the week before, by day."""
        days = week_before([past.day])
        return map(self.score_table, past.day_tables(span_before(past.day), days, self.families))

    def score_hours(
        self, hours: pl.DataFrame, touched: pl.DataFrame, days: Sequence[date]
    ) -> pl.DataFrame:
        """As ``score``, without what tells which hours ring: for whoever knows the episodes."""
        return self._score_days(hours, touched, days, ends=False)

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

    def add_alarming(self, scored: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
        """``scored``, judged hours, with ``alarming`` and ``held`` (see ``score``)."""
        worth = is_material(self.settings.minimum_records)
        ends = [day_ends(part).filter(worth) for part in (earlier, scored) if not part.is_empty()]
        loud = threshold.is_firing("surprise", self.model.threshold) & worth
        all_rung = self._first_firing_hours(scored, ends, loud)
        if self.suppression is None:
            return all_rung.with_columns(held=pl.lit(value=False))
        left = [part.filter(~self.suppression(part)) for part in ends]
        asked = scored.with_columns(covered=self.suppression(scored))
        return (
            self._first_firing_hours(asked, left, loud & ~pl.col("covered"))
            .join(all_rung.select(*ENTITY_DAY, "hour", held="alarming"), on=[*ENTITY_DAY, "hour"],
                  maintain_order="left")
            .with_columns(held=pl.col("held") & ~pl.col("alarming").any().over(*ENTITY_DAY))
            .drop("covered")
        )  # fmt: skip

    def _first_firing_hours(
        self, scored: pl.DataFrame, ends: Sequence[pl.DataFrame], loud: pl.Expr
    ) -> pl.DataFrame:
        """``scored`` with ``alarming``, the first ``loud`` hour; ``ends`` may begin runs."""
        past = pl.concat([daily_maxima(part) for part in ends])
        return (
            threshold.join_episodes(past, scored, self.model.threshold, self.model.last_day)
            .with_columns(loud=loud.fill_null(value=False))
            .sort("entity_kind", "entity", "hour")
            .with_columns(
                alarming=pl.col("loud") & (pl.col("loud").cum_sum().over(*ENTITY_DAY) == 1)
            )
            .drop("loud", "before")
        )

    def _score_days(
        self, hours: pl.DataFrame, touched: pl.DataFrame, days: Sequence[date], *, ends: bool
    ) -> pl.DataFrame:
        """The judged feature table of ``days``: of all kinds of entity the model knows."""
        if not days:
            return pl.DataFrame()
        frame = features.build_table(
            hours, touched, days, self.model.baselines, self.directory, self.settings,
            self.families, ends=ends,
        )  # fmt: skip
        return self.score_table(frame)

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


def week_before(days: Sequence[date]) -> list[date]:
    """The days that may have begun runs which ``days`` are part of."""
    week = {day - timedelta(days=n) for day in days for n in range(1, threshold.EPISODE_DAYS + 1)}
    return sorted(week - set(days))


def span_before(day: date) -> Span:
    """The days of the panel by which the week before a day is judged."""
    return day - timedelta(days=LOOKBACK_DAYS), day - timedelta(days=1)


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
