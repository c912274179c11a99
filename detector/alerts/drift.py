"""Whether alerts come at the rate that was promised."""

from __future__ import annotations

import math

#: A number of alerts that chance gives one time in a hundred or less is drift.
RARE = 0.01
#: Below this many days, or promised alerts, chance explains anything.
FEWEST_DAYS, FEWEST_PROMISED = 5, 3.0


def drifting(alerts: int, days: int, per_day: float) -> str:
    """A sentence where far more or fewer alerts came than the budget promised, else nothing.

    Counts are taken as Poisson; alerts on real thefts count too, so more than promised may be news
    and no drift.
    """
    promised = days * per_day
    if days < FEWEST_DAYS or promised < FEWEST_PROMISED:
        return ""
    if _at_least(alerts, promised) <= RARE:
        return (
            f"{alerts / days:.1f} alerts a day where {per_day:g} were promised: either "
            "something is going on, or what is usual has changed since training; train again if "
            "they are benign"
        )
    if 1 - _at_least(alerts + 1, promised) <= RARE:
        return (
            f"{alerts / days:.1f} alerts a day where {per_day:g} were promised: the threshold may "
            "stand too high; train again on recent days"
        )
    return ""


def _at_least(count: int, mean: float) -> float:
    """P(N >= count) of a Poisson number N."""
    term, below = math.exp(-mean), 0.0
    for n in range(count):
        below += term
        term *= mean / (n + 1)
    return max(0.0, 1.0 - below)
