"""Scoring whole days from a ledger, with memory that does not grow with their number.

Of few accounts a week is scored together. Of many, what lies before a day is gathered from some of
them after the others, since seven weeks of all are more than memory should hold. Scores and alerts
are the same, to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from detector.alerts import sharded
from detector.alerts.judging import Judging, Tables
from detector.alerts.told import Hush, Scored, told
from detector.features.feature import Family
from detector.features.table import DIMENSIONS
from detector.forests.model import Model
from detector.forests.scoring import LOOKBACK
from detector.settings import Settings

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
) -> Iterator[Scored]:
    """Scores ``days`` in order. A day's scores do not depend on which others are asked for.

    What ``hush`` covers and holds is held back and bears no ``alert_id`` in the scores.
    """
    return by_week(Judging(model, directory, settings, families, hush), ledger, days, MANY)


def by_week(judging: Judging, ledger: Tables, days: Sequence[date], many: int) -> Iterator[Scored]:
    """Some of ``days`` after the others: a week of at most ``many`` accounts, a day of more."""
    left = sorted(days)
    while left:
        some = [day for day in left if day < left[0] + timedelta(days=TOGETHER)]
        since = left[0] - timedelta(days=LOOKBACK)
        if len(ledger.accounts(since, some[-1])) <= many:
            yield _at_once(judging, ledger, some, since)
        else:
            some = some[:1]
            yield sharded.score(judging, ledger, some[0], many)
        left = left[len(some) :]


def _at_once(judging: Judging, ledger: Tables, days: list[date], since: date) -> Scored:
    hours = ledger.hours(since, days[-1])
    touched = ledger.touched(since, days[-1], DIMENSIONS)
    scored = judging.scorer.score(hours, touched, days)
    return told(judging.scorer, scored, hours, touched, days, judging.hush)
