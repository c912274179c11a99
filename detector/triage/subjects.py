"""What of an alert must be known once it was judged, when the alert itself may be gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from detector.alerts.alert import Alert
from detector.alerts.incidents import Entity, named_entities
from detector.alerts.techniques import NOTABLE_SURPRISE
from detector.features.feature import Family

#: Families that tell how much was read. They are one reason: what goes on for weeks moves from
#: one of them to the next, and how much of it is accepted has a bound of its own.
AMOUNT_FAMILIES: Final = frozenset({"volume", "running", "population"})


def notable_families(
    surprise: Callable[[str], float | None], families: Sequence[Family]
) -> frozenset[str]:
    """The families that spoke: rarer than one honest day in a hundred, and always the oddest.

    ``surprise`` gives that of a feature. Nothing where no feature is odd at all.
    """
    odd = {
        family.name: max((surprise(each.name) or 0.0 for each in family.features), default=0.0)
        for family in families
    }
    most = max(odd.values(), default=0.0)
    if most <= 0:
        return frozenset()
    return frozenset(name for name, value in odd.items() if value >= min(NOTABLE_SURPRISE, most))


def reason_families(families: Iterable[str]) -> frozenset[str]:
    """Families as reasons, with those of AMOUNT as one: ``volume``."""
    return frozenset("volume" if name in AMOUNT_FAMILIES else name for name in families)


@dataclass(frozen=True, slots=True)
class Subject:
    """An alert as it was judged.

    ``names`` are the entities it named (``incidents.names``), ``families`` those that spoke.
    """

    alert: str
    incident: str
    time: str
    day: date
    since: date
    entity_kind: str
    entity: str
    families: tuple[str, ...]
    rows: int
    records_out: int
    unknown_rows_statements: int
    names: tuple[Entity, ...]

    @property
    def entity_key(self) -> Entity:
        """Kind and name."""
        return self.entity_kind, self.entity

    @classmethod
    def from_alert(cls, alert: Alert, families: Sequence[Family]) -> Subject:
        """Of a native alert. Raises KeyError, TypeError or ValueError where it is none."""
        told = alert["features"]
        return cls(
            alert=str(alert["id"]),
            incident=str(alert["incident"]),
            time=str(alert["time"]),
            day=date.fromisoformat(alert["date"]),
            since=date.fromisoformat(alert["since"]),
            entity_kind=str(alert["entity_kind"]),
            entity=str(alert["entity"]),
            families=tuple(sorted(alert_families(told, families))),
            rows=int(alert["rows"] or 0),
            records_out=int(alert["records_out"] or 0),
            unknown_rows_statements=int(alert["unknown_rows_statements"] or 0),
            names=tuple(sorted({(kind, str(name)) for kind, name in named_entities(alert)})),
        )


def alert_families(
    features: dict[str, dict[str, float | None]], families: Sequence[Family]
) -> set[str]:
    """``notable_families`` of an alert's ``features``."""
    return set(notable_families(lambda name: features.get(name, {}).get("surprise"), families))
