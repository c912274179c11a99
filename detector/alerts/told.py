"""What scored days say: SCORES, and the alerts among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.alerts import alert
from detector.alerts.alert import Alert
from detector.alerts.context import Context
from detector.forests.scoring import Covers, Scorer
from detector.schema import SCORES, empty


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
