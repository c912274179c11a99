"""What scored days say: SCORES, and the alerts among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Any

import polars as pl

from detector.alerts import alert, feature_drift, incidents
from detector.alerts.alert import Alert
from detector.alerts.episode_history import EpisodeHistory
from detector.alerts.episodes import DayMessages, EpisodeDay, Row
from detector.alerts.evidence import Evidence
from detector.alerts.top_entities import ENTITY_DAY_KEYS
from detector.core.schema import SCORES, empty
from detector.features.aggregates import ACCOUNT
from detector.features.novelty import DIMENSION_NAMES
from detector.model.scoring import Scorer, SuppressionRule


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """``scores`` (SCORES) and ``alerts`` of some days, and those that were ``held`` back.

    ``counts`` (``feature_drift.COUNTS_SCHEMA``) say where features lie against training. ``folded``
    is how many accounts that nobody knows are one (``newcomers``).
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


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is expected: which scored hours (``covers``), and whether it ``holds`` a whole alert."""

    covers: SuppressionRule
    is_suppressed: Callable[[Alert], bool]


def build_result(
    scorer: Scorer,
    scored: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: list[date],
    hush: Suppression | None,
    memory: EpisodeHistory | None = None,
) -> DetectionResult:
    """What ``scored``, which ``scorer`` made of ``hours`` and ``touched``, says of ``days``.

    ``memory`` tells which episodes go on, and is told how they stand; without it, ``scored`` says
    which hours ring.
    """
    if scored.is_empty():
        return DetectionResult(days, empty(SCORES), [], [])
    counts = feature_drift.exceedance_counts(scored, scorer.model)
    if memory is not None:
        alerts, held = _episode_messages(scorer, scored, hours, touched, hush, memory)
        return DetectionResult(days, alert.score_table(scored, alerts), alerts, held, counts)
    raised = pl.concat([alert.alert_rows(scored), alert.alert_rows(scored, "held")])
    raised = raised.sort("hour", "entity_kind", "entity")
    context = Evidence.gather(
        raised, hours, touched, scorer.directory, scorer.model, scorer.settings
    )
    made = alert.build_alerts(raised, scorer.model, scorer.families, context)
    held = [
        each
        for each, quiet in zip(made, raised["held"], strict=True)
        if quiet and hush and hush.is_suppressed(each)
    ]
    ids = {each["id"] for each in held}
    ringing = [each for each in made if each["id"] not in ids]
    return DetectionResult(days, alert.score_table(scored, ringing), ringing, held, counts)


def _episode_messages(
    scorer: Scorer,
    scored: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    hush: Suppression | None,
    memory: EpisodeHistory,
) -> tuple[list[Alert], list[Alert]]:
    """The messages of all days, and those that were held back, by time."""
    alerts: list[Alert] = []
    held: list[Alert] = []
    # Day after day: what fires on one moves the threshold of the next.
    for (day,), part in sorted(scored.partition_by("day", as_dict=True).items()):
        mine = replace(scorer, model=memory.model_for_day(scorer.model, day))
        marked = mine.add_anomalous(part)
        loud = marked.filter("anomalous")
        if loud.is_empty():
            continue
        context = Evidence.gather(loud, hours, touched, mine.directory, mine.model, mine.settings)
        ringing = marked.join(loud.select(ENTITY_DAY_KEYS).unique(), on=ENTITY_DAY_KEYS, how="semi")
        for said in _day_messages(mine, ringing, context, hush, memory):
            alerts += said.alerts
            held += said.suppressed
    return incidents.sort_by_time(alerts), incidents.sort_by_time(held)


def _day_messages(
    scorer: Scorer,
    ringing: pl.DataFrame,
    context: Evidence,
    hush: Suppression | None,
    memory: EpisodeHistory,
) -> Iterator[DayMessages]:
    """What each entity's day says, which ``memory`` learns."""

    def make(row: Row, around: Evidence) -> Alert:
        return alert.build_alert(row, scorer.model, scorer.families, around)

    for rows in _rows_by_entity_day(ringing):
        end = rows[-1]
        before = memory.state_before(end["entity_kind"], end["entity"], end["day"])
        holds = hush.is_suppressed if hush else None
        asked = EpisodeDay(context, scorer.model.threshold, make, holds, before)
        said = asked.messages([row for row in rows if row["anomalous"]], end)
        if said.state is not None:
            memory.record_state(said.state, said.alerts)
        yield said


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
