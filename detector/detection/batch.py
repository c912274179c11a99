"""Scoring whole days from a ledger, with memory that does not grow with their number.

Of few accounts a week is scored together. Of many, what lies before a day is gathered from some of
them after the others, since seven weeks of all are more than memory should hold. Scores and alerts
are the same, to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import polars as pl

from detector.alerts.episode_history import Memory
from detector.alerts.incidents import by_time
from detector.core.settings import Settings
from detector.detection import new_accounts, sharded
from detector.detection.pipeline import Judging, Tables
from detector.detection.results import Hush, Scored, told
from detector.features.feature import Family
from detector.features.feature_table import DIMENSIONS
from detector.model.model import Model
from detector.model.scoring import LOOKBACK

#: Days scored together: enough to share the reading of the past, few enough for memory.
TOGETHER: Final = 7
#: Accounts whose past is held at once: as many as training holds.
MANY: Final = 6000


def score_days(
    ledger: Tables,
    days: Sequence[date],
    model: Model,
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
    hush: Hush | None = None,
    memory: Memory | None = None,
) -> Iterator[Scored]:
    """Scores ``days`` in order. A day's scores do not depend on which others are asked for.

    What ``hush`` covers and holds is held back and bears no ``alert_id`` in the scores. ``memory``
    knows which episodes go on, and learns of those that these days tell.
    """
    judging = Judging(model, directory, settings, families, hush, memory=memory)
    return by_week(judging, ledger, days, MANY)


def by_week(judging: Judging, ledger: Tables, days: Sequence[date], many: int) -> Iterator[Scored]:
    """Some of ``days`` after the others: a week of at most ``many`` accounts, a day of more."""
    left = sorted(days)
    while left:
        some = [day for day in left if day < left[0] + timedelta(days=TOGETHER)]
        since = left[0] - timedelta(days=LOOKBACK)
        # Whom to fold is asked for each day by itself, where anybody is folded.
        folding = new_accounts.bounded(judging, ledger, some[0], some[-1])
        if folding and len(some) > 1:
            some = some[:1]
            folding = new_accounts.bounded(judging, ledger, some[0])
        tables = new_accounts.folded(ledger, folding)
        few = len(tables.accounts(since, some[-1])) <= many
        some = some if few else some[:1]
        if judging.memory is not None:
            judging.memory.forget(some)
        if few:
            scored = _at_once(judging, tables, some, since)
        else:
            scored = sharded.score(judging, tables, some[0], many)
        yield _ended(judging, replace(scored, folded=len(folding)))
        left = left[len(some) :]


def _ended(judging: Judging, scored: Scored) -> Scored:
    """With the ends of the episodes that are over on those days."""
    if judging.memory is None:
        return scored
    closed = judging.memory.closings(scored.days)
    return replace(scored, alerts=by_time([*scored.alerts, *closed]))


def _at_once(judging: Judging, ledger: Tables, days: list[date], since: date) -> Scored:
    hours = ledger.hours(since, days[-1])
    touched = ledger.touched(since, days[-1], DIMENSIONS)
    scorer = judging.scorer
    if judging.memory is None:
        scored = scorer.score(hours, touched, days)
    else:
        scored = scorer.hours(hours, touched, days)
    return told(scorer, scored, hours, touched, days, judging.hush, judging.memory)
