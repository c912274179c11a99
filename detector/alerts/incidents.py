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

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from detector.alerts.alert import Alert
from detector.alerts.severity import DEFAULT, Bounds, Impact, severity, worst
from detector.features.measures import ACCOUNT, ADDRESS, GROUP, OBJECT
from detector.forests.budget import RUN_DAYS

#: Within a run an entity rings once, so its silence ends with the run; a week more, since thieves
#: rest too.
SAME_DAYS: Final = RUN_DAYS + 7
#: Two entities are odd together while both are within a run.
RELATED_DAYS: Final = RUN_DAYS
#: Ids an alert names, the latest: an alert must stay small enough for a SIEM to take.
MOST_RELATED: Final = 100

Entity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Incident:
    """``alerts`` by time. ``id`` is that of the first; ``bounds`` say how severe it is."""

    alerts: tuple[Alert, ...]
    bounds: Bounds = DEFAULT

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
        return worst(
            [
                severity(Impact(self.records_out, unknown), self.bounds),
                *(alert["severity"] for alert in self.alerts),
            ]
        )

    def plain(self) -> dict[str, Any]:
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
            "alerts": [alert["id"] for alert in self.alerts],
        }


def join(alerts: list[Alert]) -> tuple[list[Alert], list[Incident]]:
    """``alerts`` by time with ``incident`` and ``related``, and their incidents, oddest first.

    Where a later alert shows that two incidents are one, it takes the id of the earlier; what was
    raised before keeps its own.
    """
    of: dict[str, list[Alert]] = {}
    latest: dict[Entity, Alert] = {}
    named: dict[Entity, list[Alert]] = {}
    joined = []
    for alert in _by_time(alerts):
        linked = [of[other["id"]] for other in _linked(alert, latest, named)]
        before = _by_time([other for group in _distinct(linked) for other in group])
        own = {
            **alert,
            "incident": before[0]["id"] if before else alert["id"],
            "related": [other["id"] for other in before[-MOST_RELATED:]],
        }
        merged = [*before, own]
        of.update((each["id"], merged) for each in merged)
        joined.append(own)
        latest[_entity(own)] = own
        for name in names(own):
            named.setdefault(name, []).append(own)
    found = [Incident(tuple(group)) for group in _distinct(of.values())]
    return joined, sorted(found, key=lambda incident: (-incident.surprise, incident.id))


def _distinct(groups: Iterable[list[Alert]]) -> list[list[Alert]]:
    return list({group[0]["id"]: group for group in groups}.values())


def _linked(
    alert: Alert, latest: dict[Entity, Alert], named: dict[Entity, list[Alert]]
) -> list[Alert]:
    """Earlier alerts that this one is joined to: ``latest`` by entity."""
    found = []
    same = latest.get(_entity(alert))
    if same and _days(same, alert) <= SAME_DAYS:
        found.append(same)
    related = [other for name in names(alert) if (other := latest.get(name))]
    found += [other for other in related if _days(other, alert) <= RELATED_DAYS]
    # On one day, either may name the other: an address rings when its day is over.
    found += [other for other in named.get(_entity(alert), []) if _days(other, alert) == 0]
    return [other for other in found if _close(other, alert)]


def _close(one: Alert, other: Alert) -> bool:
    """Whether two alerts are more than readers of the same table."""
    if OBJECT not in (one["entity_kind"], other["entity_kind"]) or _entity(one) == _entity(other):
        return True
    return _entity(one) in names(other) and _entity(other) in names(one)


def names(alert: Alert) -> list[Entity]:
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


def _days(earlier: Alert, later: Alert) -> int:
    between = date.fromisoformat(later["date"]) - date.fromisoformat(earlier["date"])
    return abs(between.days)


def _by_time(alerts: list[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (alert["time"], *_entity(alert)))
