"""The threshold that keeps the alert budget on the days of training.

The budget counts episodes: anomalous days of one entity, at most a week apart. Here the surprise of
the days tells which belong together; where alerts are raised, their history does
(``alerts.episodes``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Final

import polars as pl

#: An entity that alerted so many days ago or fewer is still in the same episode.
EPISODE_DAYS: Final = 7
#: Within an episode, a day this much more surprising than was told sends an update: ten times
#: rarer, and a quarter more surprising. Far out, where addresses, groups and tables stand in a long
#: theft, surprise is extrapolated: it climbs by several factors of ten a day and says nothing new.
WORSE_MARGIN: Final = 1.0
WORSE_SHARE: Final = 0.25
#: So does the first that is this far above the threshold, thirty times rarer than it asks. Else a
#: theft that follows an honest alert, and climbs so slowly that no day is much worse than the one
#: before it, would never be told.
CRITICAL_MARGIN: Final = 1.5
#: No threshold is lower, whatever the budget allows: one honest day in ten is no news, and where it
#: were, all would be in one long episode that begins once.
MIN_THRESHOLD: Final = 1.0

KEYS: Final = ("entity_kind", "entity")


def episode_starts(ends: pl.DataFrame, days: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Those of ``days`` that begin an episode: what the budget counts. Its other days send updates.

    ``ends`` has, of all days that could alert, the surprise at their end: entity_kind, entity, day,
    alarm. A day begins an episode where none of the week before passed the threshold. ``days`` has
    the same columns.
    """
    anomalous = ends.filter(pl.col("alarm") >= threshold).select(*KEYS, then="day")
    asked = days.filter(pl.col("alarm") >= threshold)
    continued = asked.join(anomalous, on=list(KEYS)).filter(
        (pl.col("day") - pl.col("then")).dt.total_days().is_between(1, EPISODE_DAYS)
    )
    return asked.join(continued, on=[*KEYS, "day"], how="anti", maintain_order="left")


def is_worse(surprise: float, told: float, threshold: float) -> bool:
    """Whether a surprise is much worse than the one that was ``told`` of the same run."""
    if surprise >= max(told + WORSE_MARGIN, told * (1 + WORSE_SHARE)):
        return True
    return surprise >= threshold + CRITICAL_MARGIN > told


def fit(days: pl.DataFrame, per_day: float, first: date) -> float:
    """The surprise at which ``per_day`` runs of ``days`` begin a day, and no more.

    Counted from the day ``first`` on; what lies before only tells which runs had begun. Where even
    the highest days are more than the budget allows (it asks for fewer than the days can show, or
    several share the highest), the bar stands above them by as many factors of ten as they are too
    many. Never below LEAST, and there where no day could alert: the first one that can is news.
    """
    counted = days.filter(pl.col("day") >= first)
    allowed = per_day * counted["day"].n_unique()
    levels: list[float] = counted["alarm"].drop_nulls().unique().sort(descending=True).to_list()
    levels = [level for level in levels if level >= MIN_THRESHOLD]
    if not levels:
        return MIN_THRESHOLD

    def episodes(place: int) -> int:
        return episode_starts(days, counted, levels[place]).height

    if (highest := episodes(0)) > allowed:
        above = levels[0] + math.log10(highest / allowed)
        return max(above, math.nextafter(levels[0], math.inf))
    place = _last_fitting(len(levels), lambda place: episodes(place) <= allowed)
    below = levels[min(place + 1, len(levels) - 1)]
    between = (levels[place] + below) / 2
    # Two levels may be neighbours, with no number between them.
    return between if between > below else levels[place]


def _last_fitting(count: int, fits: Callable[[int], bool]) -> int:
    """The last of the places from 0 that fit, where 0 does and what follows the first misfit need
    not be asked.

    Walks down from the top in doubling steps: runs grow together as the bar falls, so that a bar
    far below the right one may ring no more often than it.
    """
    low, high = 0, 1
    while high < count and fits(high):
        low, high = high, 2 * high
    high = min(high, count)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
