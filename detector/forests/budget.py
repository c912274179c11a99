"""Which scores become alerts: runs of odd days of one entity are one alert, and the budget's bar.

Stateless: whether a day raises an alert is told by that day and the week before it, so it is the
same in whatever portions days are scored.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Final

import polars as pl

#: An entity that alerted so many days ago or fewer is still in the same run.
RUN_DAYS: Final = 7
#: Within a run, a day this much more surprising than all before it alerts again: ten times rarer.
WORSE: Final = 1.0

KEYS: Final = ("entity_kind", "entity")


def runs(
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
        (pl.col("day") - pl.col("then")).dt.total_days().is_between(1, RUN_DAYS),
        (pl.col("then") > trained_until) | (pl.col("day") <= trained_until),
    )
    worst = pairs.group_by(*KEYS, "day").agg(before=pl.col("alarm").max())
    return days.join(worst, on=[*KEYS, "day"], how="left", maintain_order="left")


def rings(surprise: str, threshold: float) -> pl.Expr:
    """Whether a moment rings: the first of a run, or much worse than the run (``before``)."""
    loud = pl.col(surprise) >= threshold
    return loud & (pl.col("before").is_null() | (pl.col(surprise) >= pl.col("before") + WORSE))


def threshold(days: pl.DataFrame, per_day: float, first: date) -> float:
    """The surprise at which ``days`` ring ``per_day`` times a day.

    Counted from the day ``first`` on; what lies before only tells which runs had begun. Where the
    budget asks for fewer alerts than the days can show, the bar stands above the highest by as
    many factors of ten as are missing.
    """
    counted = days.filter(pl.col("day") >= first)
    span = counted["day"].n_unique()
    allowed = per_day * span
    levels = counted["alarm"].drop_nulls().unique().sort(descending=True)
    if levels.is_empty():
        return float("inf")
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high + 1) // 2
        level = float(levels[middle])
        ringing = runs(days, counted.filter(pl.col("alarm") >= level), level).filter(
            rings("alarm", level)
        )
        low, high = (middle, high) if len(ringing) <= allowed else (low, middle - 1)
    if allowed < 1:
        return float(levels[0]) + math.log10(1 / allowed)
    return float(levels[low] + levels[min(low + 1, len(levels) - 1)]) / 2
