"""The alerts that a state has: what is raised next is told from them, and joins them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from detector.alerts.alert import Alert
from detector.detection.pipeline import Pipeline
from detector.watch.state import State


@dataclass(slots=True)
class RaisedAlerts:
    """``alerts`` were raised and not forgotten, in order; ``unsaved`` are those of them that are
    not on disk yet. ``ids`` are of all that ever were.
    """

    alerts: list[Alert]
    ids: set[str]
    unsaved: list[Alert] = field(default_factory=list)

    @classmethod
    def from_state(cls, state: State) -> RaisedAlerts:
        """Those on disk. Raises StateError."""
        return cls(state.alerts(), state.outbox().ids())

    def raise_new(self, pipeline: Pipeline, found: Sequence[Alert], now: float) -> list[Alert]:
        """Takes in what is new among the alerts that were ``found``."""
        new = pipeline.new_alerts(found, self.alerts, self.ids, now)
        self.add(new)
        return new

    def add(self, alerts: Sequence[Alert]) -> None:
        """Takes alerts in."""
        self.unsaved += alerts
        self.alerts += alerts
        self.ids |= {alert["id"] for alert in alerts}

    def take_unsaved(self) -> list[Alert]:
        """What is to go to disk now."""
        found, self.unsaved = self.unsaved, []
        return found
