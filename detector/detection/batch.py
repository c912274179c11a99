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

from detector.alerts.episode_history import EpisodeHistory
from detector.alerts.incidents import sort_by_time
from detector.core.settings import Settings
from detector.detection import new_accounts, sharded
from detector.detection.pipeline import LedgerTables, Pipeline
from detector.detection.results import DetectionResult, Suppression, build_result
from detector.features.feature import Family
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.model.model import Model
from detector.model.scoring import LOOKBACK_DAYS

#: Days scored together: enough to share the reading of the past, few enough for memory.
DAYS_PER_BATCH: Final = 7
#: Accounts whose past is held at once: as many as training holds.
MAX_ACCOUNTS: Final = 6000


def score_days(
    ledger: LedgerTables,
    days: Sequence[date],
    model: Model,
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
    hush: Suppression | None = None,
    memory: EpisodeHistory | None = None,
) -> Iterator[DetectionResult]:
    """Scores ``days`` in order. A day's scores do not depend on which others are asked for.

    What ``hush`` covers and holds is held back and bears no ``alert_id`` in the scores. ``memory``
    knows which episodes go on, and learns of those that these days tell.
    """
    judging = Pipeline(model, directory, settings, families, hush, history=memory)
    return score_by_week(judging, ledger, days, MAX_ACCOUNTS)


def score_by_week(
    judging: Pipeline, ledger: LedgerTables, days: Sequence[date], many: int
) -> Iterator[DetectionResult]:
    """Some of ``days`` after the others: a week of at most ``many`` accounts, a day of more."""
    left = sorted(days)
    while left:
        some = [day for day in left if day < left[0] + timedelta(days=DAYS_PER_BATCH)]
        since = left[0] - timedelta(days=LOOKBACK_DAYS)
        accounts = ledger.accounts(since, some[-1])
        folding = new_accounts.choose_folding(judging, ledger, some[0], some[-1], accounts)
        if folding and len(some) > 1:
            # Whom to fold is asked for each day by itself, where anybody is folded.
            some = some[:1]
            accounts = ledger.accounts(since, some[0])
            folding = new_accounts.choose_folding(judging, ledger, some[0], accounts=accounts)
        tables = new_accounts.fold_tables(ledger, folding)
        few = len(folding.fold_accounts(accounts)) <= many
        some = some if few else some[:1]
        if judging.history is not None:
            judging.history.discard_days(some)
        if few:
            scored = _score_unsharded(judging, tables, some, since)
        else:
            scored = sharded.score(judging, tables, some[0], many)
        yield _with_closes(judging, replace(scored, folded=len(folding)))
        left = left[len(some) :]


def _with_closes(judging: Pipeline, scored: DetectionResult) -> DetectionResult:
    """With the ends of the episodes that are over on those days."""
    if judging.history is None:
        return scored
    closed = judging.history.close_messages(scored.days)
    return replace(scored, alerts=sort_by_time([*scored.alerts, *closed]))


def _score_unsharded(
    judging: Pipeline, ledger: LedgerTables, days: list[date], since: date
) -> DetectionResult:
    hours = ledger.hours(since, days[-1])
    touched = ledger.touched(since, days[-1], FEATURE_DIMENSIONS)
    scorer = judging.scorer
    if judging.history is None:
        scored = scorer.score(hours, touched, days)
    else:
        scored = scorer.score_hours(hours, touched, days)
    return build_result(scorer, scored, hours, touched, days, judging.suppression, judging.history)
