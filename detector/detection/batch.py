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

from detector.alerts.incidents import sort_by_time
from detector.detection import new_accounts, sharded
from detector.detection.pipeline import LedgerTables, Pipeline
from detector.detection.results import DetectionResult, build_result
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.model.scoring import LOOKBACK_DAYS

#: Days scored together: enough to share the reading of the past, few enough for memory.
DAYS_PER_BATCH: Final = 7
#: Accounts whose past is held at once: as many as training holds.
MAX_ACCOUNTS: Final = 6000


def score_by_week(
    pipeline: Pipeline, ledger: LedgerTables, days: Sequence[date], many: int
) -> Iterator[DetectionResult]:
    """Scores ``days`` in order: a week of at most ``many`` accounts together, of more a day.

    A day's scores do not depend on which others are asked for. What is suppressed bears no
    ``alert_id`` in the scores.
    """
    left = sorted(days)
    while left:
        some = [day for day in left if day < left[0] + timedelta(days=DAYS_PER_BATCH)]
        since = left[0] - timedelta(days=LOOKBACK_DAYS)
        accounts = ledger.accounts(since, some[-1])
        folding = new_accounts.choose_folding(pipeline, ledger, some[0], some[-1], accounts)
        if folding and len(some) > 1:
            # Whom to fold is asked for each day by itself, where anybody is folded.
            some = some[:1]
            accounts = ledger.accounts(since, some[0])
            folding = new_accounts.choose_folding(pipeline, ledger, some[0], accounts=accounts)
        tables = new_accounts.fold_tables(ledger, folding)
        few = len(folding.fold_accounts(accounts)) <= many
        some = some if few else some[:1]
        pipeline.history.discard_days(some)
        if few:
            scored = _score_unsharded(pipeline, tables, some, since)
        else:
            scored = sharded.score(pipeline, tables, some[0], many)
        yield _with_closes(pipeline, replace(scored, folded=len(folding)))
        left = left[len(some) :]


def _with_closes(pipeline: Pipeline, scored: DetectionResult) -> DetectionResult:
    """With the ends of the episodes that are over on those days."""
    closed = pipeline.history.close_messages(scored.days)
    return replace(scored, alerts=sort_by_time([*scored.alerts, *closed]))


def _score_unsharded(
    pipeline: Pipeline, ledger: LedgerTables, days: list[date], since: date
) -> DetectionResult:
    hours = ledger.hours(since, days[-1])
    touched = ledger.touched(since, days[-1], FEATURE_DIMENSIONS)
    scored = pipeline.scorer.score(hours, touched, days)
    return build_result(pipeline, scored, hours, touched, days)
