"""The threshold of each day after training, held to the alert budget by what fired before that day.

A threshold set on days of training keeps its budget for days like them. Organisations change: roles
move before the directory does, programs are rolled out, joiners come. So each scored day moves the
threshold of the next by a small step, up where more fired than the budget allows, down where fewer
did (stochastic approximation: Robbins and Monro, 1951; adaptive conformal inference: Gibbs and
Candes, 2021). An attacker who wants to raise it must fire alerts: each day moves it by a bounded
step, whatever fires, and in all by no more than UPPER.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

#: Surprise (factors of ten) by which a day moves the threshold for each multiple of the budget.
GAIN: Final = 0.015
#: A day counts for no more alerts than so many times its budget.
MAX_BUDGET_MULTIPLE: Final = 4.0
#: How far the threshold may move from that of training.
MIN_OFFSET: Final = -0.4
MAX_OFFSET: Final = 1.0

#: Days after which a day has no more part in it.
MEMORY_DAYS: Final = 42


def threshold_offset(fired: Mapping[date, int], per_day: float, day: date) -> float:
    """How far the threshold of ``day`` lies from that of training.

    ``fired`` has, of each day after training that was scored, how many alerts it raised; only days
    before ``day`` count, so a day's threshold is the same in whatever portions days are scored.
    """
    found = 0.0
    for before in sorted(each for each in fired if each < day):
        step = GAIN * (min(fired[before] / per_day, MAX_BUDGET_MULTIPLE) - 1.0)
        found = min(MAX_OFFSET, max(MIN_OFFSET, found + step))
    return round(found, 9)
