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
from detector.alerts.episode_history import Memory
from detector.alerts.episodes import Day, Row, Told
from detector.alerts.evidence import Context
from detector.alerts.top_entities import KEYS
from detector.core.schema import SCORES, empty
from detector.features.aggregates import ACCOUNT
from detector.features.novelty import NAMES
from detector.model.scoring import Covers, Scorer


@dataclass(frozen=True, slots=True)
class Scored:
    """``scores`` (SCORES) and ``alerts`` of some days, and those that were ``held`` back.

    ``counts`` (``feature_drift.COUNTS``) say where features lie against training. ``folded`` is how
    many accounts that nobody knows are one (``newcomers``).
    """

    days: list[date]
    scores: pl.DataFrame
    alerts: list[Alert]
    held: list[Alert]
    counts: pl.DataFrame = field(default_factory=feature_drift.COUNTS.to_frame)
    folded: int = 0

    @property
    def not_judged(self) -> list[str]:
        """Accounts of which neither a past nor others are known: nobody can say what is normal."""
        return not_judged(self.scores)


def not_judged(scores: pl.DataFrame) -> list[str]:
    """The accounts of SCORES with an hour that could not be judged, sorted."""
    lacking = scores.filter(pl.col("entity_kind") == ACCOUNT, pl.col("surprise").is_null())
    return lacking["entity"].unique().sort().to_list()


@dataclass(frozen=True, slots=True)
class Hush:
    """What is expected: which scored hours (``covers``), and whether it ``holds`` a whole alert."""

    covers: Covers
    holds: Callable[[Alert], bool]


def told(
    scorer: Scorer,
    scored: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: list[date],
    hush: Hush | None,
    memory: Memory | None = None,
) -> Scored:
    """What ``scored``, which ``scorer`` made of ``hours`` and ``touched``, says of ``days``.

    ``memory`` tells which episodes go on, and is told how they stand; without it, ``scored`` says
    which hours ring.
    """
    if scored.is_empty():
        return Scored(days, empty(SCORES), [], [])
    counts = feature_drift.counted(scored, scorer.model)
    if memory is not None:
        alerts, held = _of_episodes(scorer, scored, hours, touched, hush, memory)
        return Scored(days, alert.scores(scored, alerts), alerts, held, counts)
    raised = pl.concat([alert.raised(scored), alert.raised(scored, "held")])
    raised = raised.sort("hour", "entity_kind", "entity")
    context = Context.of(raised, hours, touched, scorer.directory, scorer.model, scorer.settings)
    made = alert.alerts(raised, scorer.model, scorer.families, context)
    held = [
        each
        for each, quiet in zip(made, raised["held"], strict=True)
        if quiet and hush and hush.holds(each)
    ]
    ids = {each["id"] for each in held}
    ringing = [each for each in made if each["id"] not in ids]
    return Scored(days, alert.scores(scored, ringing), ringing, held, counts)


def _of_episodes(
    scorer: Scorer,
    scored: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    hush: Hush | None,
    memory: Memory,
) -> tuple[list[Alert], list[Alert]]:
    """The messages of all days, and those that were held back, by time."""
    alerts: list[Alert] = []
    held: list[Alert] = []
    # Day after day: what fires on one moves the threshold of the next.
    for (day,), part in sorted(scored.partition_by("day", as_dict=True).items()):
        mine = replace(scorer, model=memory.of_day(scorer.model, day))
        marked = mine.anomalous(part)
        loud = marked.filter("anomalous")
        if loud.is_empty():
            continue
        context = Context.of(loud, hours, touched, mine.directory, mine.model, mine.settings)
        ringing = marked.join(loud.select(KEYS).unique(), on=KEYS, how="semi")
        for said in _of_a_day(mine, ringing, context, hush, memory):
            alerts += said.alerts
            held += said.held
    return incidents.by_time(alerts), incidents.by_time(held)


def _of_a_day(
    scorer: Scorer, ringing: pl.DataFrame, context: Context, hush: Hush | None, memory: Memory
) -> Iterator[Told]:
    """What each entity's day says, which ``memory`` learns."""

    def make(row: Row, around: Context) -> Alert:
        return alert.alert_of(row, scorer.model, scorer.families, around)

    for rows in _by_day(ringing):
        end = rows[-1]
        before = memory.before(end["entity_kind"], end["entity"], end["day"])
        holds = hush.holds if hush else None
        asked = Day(context, scorer.model.threshold, make, holds, before)
        said = asked.told([row for row in rows if row["anomalous"]], end)
        if said.standing is not None:
            memory.put(said.standing, said.alerts)
        yield said


def _by_day(marked: pl.DataFrame) -> Iterator[list[dict[str, Any]]]:
    """The rows of each entity and day, in order, each with all new names of the day so far."""
    names = [f"new_{what}_names" for what in NAMES.values()]
    rows = marked.sort("entity_kind", "entity", "hour").iter_rows(named=True)
    for _, group in groupby(rows, key=lambda row: tuple(row[key] for key in KEYS)):
        found: dict[str, set[str]] = {name: set() for name in names}
        day = []
        for row in group:
            for name in names:
                found[name].update(row[name] or ())
            day.append({**row, **{name: sorted(each) for name, each in found.items()}})
        yield day
