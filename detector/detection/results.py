"""What scored days say: SCORES, and the alerts among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import Any

import polars as pl

from detector.alerts import alert, feature_drift, incidents
from detector.alerts.alert import Alert
from detector.alerts.episodes import DayMessages, EpisodeDay, Row
from detector.alerts.evidence import Evidence
from detector.alerts.top_entities import ENTITY_DAY_KEYS
from detector.core.schema import SCORES, empty
from detector.detection.pipeline import Pipeline
from detector.features.aggregates import ACCOUNT
from detector.features.novelty import DIMENSION_NAMES


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """``scores`` (SCORES) and ``alerts`` of some days, and those that were ``suppressed``.

    ``drift_counts`` (``feature_drift.COUNTS_SCHEMA``) say where features lie against training.
    ``folded`` is how many accounts that nobody knows are one (``new_accounts``).
    """

    days: list[date]
    scores: pl.DataFrame
    alerts: list[Alert]
    suppressed: list[Alert]
    drift_counts: pl.DataFrame = field(default_factory=feature_drift.COUNTS_SCHEMA.to_frame)
    folded: int = 0

    @property
    def unscored_accounts(self) -> list[str]:
        """Accounts of which neither a past nor others are known: nobody can say what is normal."""
        return unscored_accounts(self.scores)


def unscored_accounts(scores: pl.DataFrame) -> list[str]:
    """The accounts of SCORES with an hour that could not be judged, sorted."""
    lacking = scores.filter(pl.col("entity_kind") == ACCOUNT, pl.col("surprise").is_null())
    return lacking["entity"].unique().sort().to_list()


def build_result(
    pipeline: Pipeline,
    scored: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: list[date],
) -> DetectionResult:
    """What ``scored``, made of ``hours`` and ``touched``, says of ``days``.

    The pipeline's history tells which episodes go on, and is told how they stand.
    """
    if scored.is_empty():
        return DetectionResult(days, empty(SCORES), [], [])
    counts = feature_drift.exceedance_counts(scored, pipeline.model)
    alerts, suppressed = episode_messages(pipeline, scored, hours, touched)
    return DetectionResult(days, alert.score_table(scored, alerts), alerts, suppressed, counts)


def episode_messages(
    pipeline: Pipeline, scored: pl.DataFrame, hours: pl.DataFrame, touched: pl.DataFrame
) -> tuple[list[Alert], list[Alert]]:
    """The alerts and updates of ``scored``, and those that are suppressed, in their order."""
    alerts: list[Alert] = []
    suppressed: list[Alert] = []
    # Day after day: what fires on one moves the threshold of the next.
    for (day,), part in sorted(scored.partition_by("day", as_dict=True).items()):
        for messages in _day_messages(pipeline, day, part, hours, touched):
            alerts += messages.alerts
            suppressed += messages.suppressed
    return incidents.sort_by_time(alerts), incidents.sort_by_time(suppressed)


def _day_messages(
    pipeline: Pipeline, day: date, scored: pl.DataFrame, hours: pl.DataFrame, touched: pl.DataFrame
) -> Iterator[DayMessages]:
    """What the day of each entity says, which the history learns."""
    scorer, history = pipeline.scorer_for(day), pipeline.history
    marked = scorer.add_anomalous(scored)
    anomalous = marked.filter("anomalous")
    if anomalous.is_empty():
        return
    context = Evidence.gather(
        anomalous, hours, touched, scorer.directory, scorer.model, scorer.settings
    )

    def make(row: Row, around: Evidence) -> Alert:
        return alert.build_alert(row, scorer.model, scorer.families, around)

    is_suppressed = pipeline.suppression.is_suppressed if pipeline.suppression else None
    whole = marked.join(anomalous.select(ENTITY_DAY_KEYS).unique(), on=ENTITY_DAY_KEYS, how="semi")
    for rows in _rows_by_entity_day(whole):
        end = rows[-1]
        before = history.state_before(end["entity_kind"], end["entity"], day)
        entity_day = EpisodeDay(context, scorer.model.threshold, make, is_suppressed, before)
        messages = entity_day.messages([row for row in rows if row["anomalous"]], end)
        if messages.state is not None:
            history.record_state(messages.state, messages.alerts)
        yield messages


def _rows_by_entity_day(marked: pl.DataFrame) -> Iterator[list[dict[str, Any]]]:
    """The rows of each entity and day, in order, each with all new names of the day so far."""
    names = [f"new_{what}_names" for what in DIMENSION_NAMES.values()]
    rows = marked.sort("entity_kind", "entity", "hour").iter_rows(named=True)
    for _, group in groupby(rows, key=lambda row: tuple(row[key] for key in ENTITY_DAY_KEYS)):
        found: dict[str, set[str]] = {name: set() for name in names}
        day = []
        for row in group:
            for name in names:
                found[name].update(row[name] or ())
            day.append({**row, **{name: sorted(each) for name, each in found.items()}})
        yield day
