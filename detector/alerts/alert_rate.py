"""Whether alerts come at the rate that was promised, on days that the model has not seen.

Days of training are left out: what they hold was learned as usual, so few of them alert, and a
rate that counts them is too low.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from detector.alerts.alert import CREATE, Alert
from detector.core.formatting import quantity
from detector.features.aggregates import ENTITY_KINDS

#: A number of alerts that chance gives one time in a hundred or less is drift.
MAX_P_VALUE = 0.01
#: Below this many days, or promised alerts, chance explains anything.
FEWEST_DAYS, FEWEST_PROMISED = 5, 3.0


@dataclass(frozen=True, slots=True)
class Rate:
    """How many ``alerts`` came on how many unseen ``days``, and how many a day were promised."""

    alerts: int
    days: int
    budget_per_day: float

    @classmethod
    def from_alerts(
        cls, alerts: Iterable[Alert], days: Iterable[date], trained_until: date, per_day: float
    ) -> Rate:
        """Of scored ``days`` and their ``alerts``, as far as they are after the training.

        The budget counts days with data, and alerts of what the model judges: an alert of a log
        that fell silent is none of them, nor is what follows within an episode.
        """
        unseen = {day for day in days if day > trained_until}
        came = sum(
            alert["activity"] == CREATE
            and alert["entity_kind"] in ENTITY_KINDS
            and date.fromisoformat(alert["date"]) in unseen
            for alert in alerts
        )
        return cls(came, len(unseen), per_day)

    @property
    def alerts_per_day(self) -> float | None:
        """Alerts a day; null where no unseen day was scored."""
        return self.alerts / self.days if self.days else None

    def to_text(self) -> str:
        """The rate, beside the budget."""
        if self.alerts_per_day is None:
            return "no day after training was scored: the rate of alerts is not known"
        return (
            f"{quantity(self.alerts, 'alert')} on {quantity(self.days, 'day')} after training: "
            f"{self.alerts_per_day:.2f} a day (budget {self.budget_per_day:g})"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON. ``alerts_a_day`` is null where no unseen day was scored."""
        return {
            "unseen_days": self.days,
            "unseen_alerts": self.alerts,
            "alerts_a_day": self.alerts_per_day,
            "budget": self.budget_per_day,
            "drift": self.drift_warning() or None,
        }

    def drift_warning(self) -> str:
        """A sentence where far more or fewer alerts came than the budget promised, else nothing.

        Counts are taken as Poisson; alerts on real thefts count too, so more than promised may be
        news and no drift.
        """
        promised = self.days * self.budget_per_day
        if self.days < FEWEST_DAYS or promised < FEWEST_PROMISED:
            return ""
        told = f"{self.alerts / self.days:.2f} alerts a day after training"
        if _poisson_tail(self.alerts, promised) <= MAX_P_VALUE:
            return (
                f"{told} where {self.budget_per_day:g} were promised: either something is "
                "going on, or "
                "what is usual has changed since training; train again if they are benign"
            )
        if 1 - _poisson_tail(self.alerts + 1, promised) <= MAX_P_VALUE:
            return (
                f"{told} where {self.budget_per_day:g} were promised: the threshold may "
                "stand too high; "
                "train again on recent days"
            )
        return ""


def _poisson_tail(count: int, mean: float) -> float:
    """P(N >= count) of a Poisson number N."""
    term, below = math.exp(-mean), 0.0
    for n in range(count):
        below += term
        term *= mean / (n + 1)
    return max(0.0, 1.0 - below)
