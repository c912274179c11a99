"""Scoring whole days from a ledger, a week at a time, with memory that does not grow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

import polars as pl

from detector.alerts import alert
from detector.alerts.alert import Alert
from detector.alerts.context import Context
from detector.features.feature import Family
from detector.features.table import DIMENSIONS
from detector.forests.model import Model
from detector.forests.scoring import LOOKBACK, Covers, Scorer
from detector.schema import SCORES, empty
from detector.settings import Settings

#: Days scored together: enough to share the reading of the past, few enough for memory.
TOGETHER = 7


class Tables(Protocol):
    """What is scored: a ledger, or one with what a watcher has not put there yet."""

    def hours(self, since: date, until: date) -> pl.DataFrame:
        """See ``Ledger.hours``."""

    def touched(self, since: date, until: date, dimensions: Collection[str]) -> pl.DataFrame:
        """See ``Ledger.touched``."""


@dataclass(frozen=True, slots=True)
class Scored:
    """``scores`` (SCORES) and ``alerts`` of some days, and those that were ``held`` back."""

    days: list[date]
    scores: pl.DataFrame
    alerts: list[Alert]
    held: list[Alert]


@dataclass(frozen=True, slots=True)
class Hush:
    """What is expected: which scored hours (``covers``), and whether it ``holds`` a whole alert."""

    covers: Covers
    holds: Callable[[Alert], bool]


def score_days(
    ledger: Tables,
    days: Sequence[date],
    model: Model,
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
    hush: Hush | None = None,
) -> Iterator[Scored]:
    """Scores ``days`` in order. A day's scores do not depend on which others are asked for.

    What ``hush`` covers and holds is held back and bears no ``alert_id`` in the scores.
    """
    scorer = Scorer(model, directory, settings, families, hush.covers if hush else None)
    left = sorted(days)
    while left:
        first = left[0]
        some = [day for day in left if day < first + timedelta(days=TOGETHER)]
        left = left[len(some) :]
        since, until = first - timedelta(days=LOOKBACK), some[-1]
        hours = ledger.hours(since, until)
        touched = ledger.touched(since, until, DIMENSIONS)
        scored = scorer.score(hours, touched, some)
        yield told(scorer, scored, hours, touched, some, hush)


def told(
    scorer: Scorer,
    scored: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: list[date],
    hush: Hush | None,
) -> Scored:
    """What ``scored``, which ``scorer`` made of ``hours`` and ``touched``, says of ``days``."""
    if scored.is_empty():
        return Scored(days, empty(SCORES), [], [])
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
    return Scored(days, alert.scores(scored, ringing), ringing, held)
