"""Which scores become alerts: runs of odd days of one entity are one alert, and the budget's bar.

Stateless: whether a day raises an alert is told by that day and the week before it, so it is the
same in whatever portions days are scored. For drills and for training: where alerts are really
raised, what was raised tells which run is under way (``alerts.episodes``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Final

import polars as pl

#: An entity that alerted so many days ago or fewer is still in the same run.
EPISODE_DAYS: Final = 7
#: Within a run, a day this much more surprising than all before it alerts again: ten times rarer,
#: and a quarter more surprising. Far out, where addresses, groups and tables stand in a long
#: theft, surprise is extrapolated: it climbs by several factors of ten a day and says nothing new.
WORSE_MARGIN: Final = 1.0
WORSE_SHARE: Final = 0.25
#: So does the first in a week that is this far above the threshold, thirty times rarer than it
#: asks. Else a theft that follows an honest alert, and climbs so slowly that no day is much worse
#: than the week before it, would never ring.
CRITICAL_MARGIN: Final = 1.5
#: No bar stands lower, whatever the budget allows: one honest day in ten is no news, and where it
#: were, all would be in one long run in which nothing rings.
MIN_THRESHOLD: Final = 1.0

KEYS: Final = ("entity_kind", "entity")


def join_episodes(
    ends: pl.DataFrame, days: pl.DataFrame, threshold: float, trained_until: date = date.min
) -> pl.DataFrame:
    """``days`` (entity_kind, entity, day) with ``before``: the worst of the run each may be part
    of.

    ``ends`` has, of all days that could alert, the surprise at their end: entity_kind, entity, day,
    alarm. Null where no day of the week before passed the threshold. Days up to ``trained_until``
    are in no run with later ones: nobody was told of them, so what began then must still ring.
    """
    loud = ends.filter(pl.col("alarm") >= threshold)
    asked = days.select(*KEYS, "day")
    pairs = asked.join(loud.rename({"day": "then"}), on=list(KEYS)).filter(
        (pl.col("day") - pl.col("then")).dt.total_days().is_between(1, EPISODE_DAYS),
        (pl.col("then") > trained_until) | (pl.col("day") <= trained_until),
    )
    worst = pairs.group_by(*KEYS, "day").agg(before=pl.col("alarm").max())
    return days.join(worst, on=[*KEYS, "day"], how="left", maintain_order="left")


def is_firing(surprise: str, threshold: float) -> pl.Expr:
    """Whether a moment rings: the first of a run, or much worse than the run (``before``), or its
    first that is grave.
    """
    now, before, grave = pl.col(surprise), pl.col("before"), threshold + CRITICAL_MARGIN
    much = pl.max_horizontal(before + WORSE_MARGIN, before * (1 + WORSE_SHARE))
    again = (now >= much) | ((now >= grave) & (before < grave))
    return (now >= threshold) & (before.is_null() | again)


def is_episode_start(surprise: str, threshold: float) -> pl.Expr:
    """Whether a moment is the first of a run: what the budget counts. What rings within one goes on
    telling of what was raised.
    """
    return (pl.col(surprise) >= threshold) & pl.col("before").is_null()


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

    def ringing(place: int) -> int:
        bar = levels[place]
        loud = counted.filter(pl.col("alarm") >= bar)
        return len(join_episodes(days, loud, bar).filter(is_episode_start("alarm", bar)))

    if (highest := ringing(0)) > allowed:
        above = levels[0] + math.log10(highest / allowed)
        return max(above, math.nextafter(levels[0], math.inf))
    place = _last_fitting(len(levels), lambda place: ringing(place) <= allowed)
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
