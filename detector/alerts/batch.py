"""Scoring whole days from a ledger, a week at a time, with memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from detector.alerts import alert
from detector.alerts.alert import Alert
from detector.alerts.context import Context
from detector.features.feature import Family
from detector.features.table import DIMENSIONS
from detector.forests.model import Model
from detector.forests.scoring import LOOKBACK, Scorer
from detector.ledger.store import Ledger
from detector.schema import SCORES, empty
from detector.settings import Settings

#: Days scored together: enough to share the reading of the past, few enough for memory.
TOGETHER = 7


@dataclass(frozen=True, slots=True)
class Scored:
    """``scores`` (SCORES) and ``alerts`` of some days."""

    days: list[date]
    scores: pl.DataFrame
    alerts: list[Alert]


def score_days(
    ledger: Ledger,
    days: Sequence[date],
    model: Model,
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
) -> Iterator[Scored]:
    """Scores ``days`` in order. A day's scores do not depend on which others are asked for."""
    scorer = Scorer(model, directory, settings, families)
    left = sorted(days)
    while left:
        first = left[0]
        some = [day for day in left if day < first + timedelta(days=TOGETHER)]
        left = left[len(some) :]
        since, until = first - timedelta(days=LOOKBACK), some[-1]
        hours = ledger.hours(since, until)
        touched = ledger.touched(since, until, DIMENSIONS)
        scored = scorer.score(hours, touched, some)
        if scored.is_empty():
            yield Scored(some, empty(SCORES), [])
            continue
        raised = alert.raised(scored)
        context = Context.of(raised, hours, touched, directory, model, settings)
        ringing = alert.alerts(raised, model, families, context)
        yield Scored(some, alert.scores(scored, ringing), ringing)
