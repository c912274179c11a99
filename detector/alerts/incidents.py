"""Incidents: alerts that tell of one theft, joined over days and over related entities.

Pure and causal: an alert joins what was raised before it and changes none of it, so that the first
alerts of a run say the same whatever follows. Joined are
- alerts of the same entity;
- an account and an address, table or group that alerted itself: the later of the two alerts must
  name the entity of the earlier (on the same day, either the other's), and of a table each must
  name the other: half an office reads it. That two accounts share an address or a table joins
  nothing by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from detector.alerts.alert import CLOSE, CREATE, Alert
from detector.alerts.severity import (
    DEFAULT_BOUNDS,
    Bounds,
    Impact,
    assess_severity,
    highest_severity,
)
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT
from detector.model.threshold import EPISODE_DAYS

#: An episode may be silent while it goes on; a week more, since thieves rest too.
SAME_ENTITY_DAYS: Final = EPISODE_DAYS + 7
#: Two entities are odd together while both are within a run.
RELATED_DAYS: Final = EPISODE_DAYS
#: Ids an alert names, the latest: an alert must stay small enough for a SIEM to take.
MAX_RELATED: Final = 100

Entity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Incident:
    """``alerts`` by time. ``id`` is that of the first; ``bounds`` say how severe it is."""

    alerts: tuple[Alert, ...]
    bounds: Bounds = DEFAULT_BOUNDS

    @property
    def id(self) -> str:
        """The id of the first alert."""
        return str(self.alerts[0]["id"])

    @property
    def surprise(self) -> float:
        """Of its oddest alert."""
        return max(float(alert["surprise"]) for alert in self.alerts)

    @property
    def entities(self) -> list[Entity]:
        """In order of their first alerts."""
        return list(dict.fromkeys(_entity(alert) for alert in self.alerts))

    @property
    def records_out(self) -> int:
        """As its alerts say.

        Of each run of an entity its latest alert counts. Accounts add up; an address, table or
        group is the same records seen from another side.
        """
        of: dict[Entity, int] = {}
        for at, alert in enumerate(self.alerts):
            later = (other for other in self.alerts[at + 1 :] if _entity(other) == _entity(alert))
            # A later alert that looks back to this one's day has counted it.
            if not any(other["since"] <= alert["date"] for other in later):
                of[_entity(alert)] = of.get(_entity(alert), 0) + alert["records_out"]
        accounts = sum(records for (kind, _), records in of.items() if kind == ACCOUNT)
        return max([accounts, *(records for (kind, _), records in of.items() if kind != ACCOUNT)])

    @property
    def severity(self) -> str:
        """By what is out in all; never below that of any alert."""
        unknown = sum(alert["unknown_rows_statements"] or 0 for alert in self.alerts)
        return highest_severity(
            [
                assess_severity(Impact(self.records_out, unknown), self.bounds),
                *(alert["severity"] for alert in self.alerts),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON; the keys are described in docs/alerts.md."""
        first = self.alerts[0]
        groups = {_entity(alert): alert["group"] for alert in self.alerts}
        shown = {each["id"]: each for alert in self.alerts for each in alert["techniques"]}
        return {
            "id": self.id,
            "since": min(alert["since"] for alert in self.alerts),
            "first_time": first["time"],
            "last_time": self.alerts[-1]["time"],
            "severity": self.severity,
            "surprise": self.surprise,
            "records_out": self.records_out,
            "entities": [
                {"entity_kind": kind, "entity": name, "group": groups[kind, name]}
                for kind, name in self.entities
            ],
            "techniques": [shown[each] for each in sorted(shown)],
            "reasons": first["reasons"],
            "alerts": [alert["id"] for alert in self.alerts if alert["activity"] == CREATE],
            "updates": [alert["id"] for alert in self.alerts if alert["activity"] != CREATE],
        }


@dataclass(slots=True)
class Joiner:
    """Joins alerts, updates and closes as they come, by time."""

    bounds: Bounds = DEFAULT_BOUNDS
    _groups: dict[str, list[Alert]] = field(default_factory=dict)
    _latest_by_entity: dict[Entity, Alert] = field(default_factory=dict)
    _mentions: dict[Entity, list[Alert]] = field(default_factory=dict)
    _incident_ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def restore(cls, known: Iterable[Alert], bounds: Bounds = DEFAULT_BOUNDS) -> Joiner:
        """With what was joined before, which stays as it was raised."""
        made = cls(bounds)
        for alert in sort_by_time(known):
            made.add_known(alert)
        return made

    def add_known(self, alert: Alert) -> None:
        """Knows an alert that was raised."""
        self._incident_ids[alert["id"]] = alert["incident"]
        self.add(alert)

    def add(self, alert: Alert) -> Alert:
        """The alert with ``incident`` and ``related``."""
        linked = [self._groups[other["id"]] for other in self._related_alerts(alert)]
        before = sort_by_time([other for group in _distinct_groups(linked) for other in group])
        # The first alert of a long incident may be forgotten; those after it name it.
        first = before[0]["id"] if before else alert["alert"]
        related = [other["id"] for other in before if other["activity"] == CREATE]
        own: Alert = {
            **alert,
            "incident": self._incident_ids.get(first, first),
            "related": related[-MAX_RELATED:],
        }
        merged = [*before, own]
        self._groups.update((each["id"], merged) for each in merged)
        if own["activity"] == CLOSE:
            return own  # its end is no news of an entity
        self._latest_by_entity[_entity(own)] = own
        for name in named_entities(own):
            self._mentions.setdefault(name, []).append(own)
        return own

    def incidents(self, ids: Collection[str] | None = None) -> list[Incident]:
        """Of all alerts, or of those with ``ids``, oddest first."""
        groups = [group for own, group in self._groups.items() if ids is None or own in ids]
        found = [Incident(tuple(group), self.bounds) for group in _distinct_groups(groups)]
        return sorted(found, key=lambda incident: (-incident.surprise, incident.id))

    def _related_alerts(self, alert: Alert) -> list[Alert]:
        """Earlier alerts that this one is joined to."""
        found = []
        same = self._latest_by_entity.get(_entity(alert))
        if same and (
            _days_apart(same, alert) <= SAME_ENTITY_DAYS or same["alert"] == alert["alert"]
        ):
            found.append(same)
        if alert["activity"] == CLOSE:
            return found
        related = [
            other for name in named_entities(alert) if (other := self._latest_by_entity.get(name))
        ]
        found += [other for other in related if _days_apart(other, alert) <= RELATED_DAYS]
        # On one day, either may name the other: an address rings when its day is over.
        named = self._mentions.get(_entity(alert), [])
        found += [other for other in named if _days_apart(other, alert) == 0]
        return [other for other in found if _is_related(other, alert)]


def join(
    alerts: Iterable[Alert], bounds: Bounds = DEFAULT_BOUNDS
) -> tuple[list[Alert], list[Incident]]:
    """``alerts`` by time with ``incident`` and ``related``, and their incidents, oddest first.

    Where a later alert shows that two incidents are one, it takes the id of the earlier; what was
    raised before keeps its own.
    """
    joiner = Joiner(bounds)
    joined = [joiner.add(alert) for alert in sort_by_time(alerts)]
    return joined, joiner.incidents()


def _distinct_groups(groups: Iterable[list[Alert]]) -> list[list[Alert]]:
    return list({group[0]["id"]: group for group in groups}.values())


def _is_related(one: Alert, other: Alert) -> bool:
    """Whether two alerts are more than readers of the same table."""
    if OBJECT not in (one["entity_kind"], other["entity_kind"]) or _entity(one) == _entity(other):
        return True
    return _entity(one) in named_entities(other) and _entity(other) in named_entities(one)


def named_entities(alert: Alert) -> list[Entity]:
    """Entities an alert names: of an account where it came from, the table it drained, its group.

    Of the tables only the one it took the most from: everyone touches the common ones.
    """
    if alert["entity_kind"] != ACCOUNT:
        return [(ACCOUNT, each["name"]) for each in alert["top_accounts"]]
    tables = alert["top_objects"][:1] if alert["records_out"] else []
    return [
        *((ADDRESS, each["name"]) for each in alert["top_client_addresses"]),
        *((OBJECT, each["name"]) for each in tables),
        (GROUP, alert["group"]),
    ]


def _entity(alert: Alert) -> Entity:
    return alert["entity_kind"], alert["entity"]


def _days_apart(earlier: Alert, later: Alert) -> int:
    between = date.fromisoformat(later["date"]) - date.fromisoformat(earlier["date"])
    return abs(between.days)


def sort_by_time(alerts: Iterable[Alert]) -> list[Alert]:
    """In the order in which they fire, day after day: also what was scored one day at a time."""
    return sorted(alerts, key=lambda alert: (alert["date"], alert["time"], *_entity(alert)))
