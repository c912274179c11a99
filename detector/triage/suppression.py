"""What is expected and held back: of one entity, for known reasons, up to a day and a volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol

import polars as pl

from detector.alerts.alert import Alert
from detector.alerts.impact import expected_records
from detector.alerts.techniques import NOTABLE_SURPRISE
from detector.core.formatting import quantity
from detector.detection.day_context import PLANNED_WORK_COLUMNS as PLANNED_BY
from detector.features.feature import Family
from detector.triage.subjects import alert_families, notable_families, reason_families

#: Features that tell of an absence: work that is planned is no reason for those.
ABSENCE_FEATURES: Final = ("idle_days", "idle_lately")


@dataclass(frozen=True, slots=True)
class Observation:
    """What an alert, or the day so far, shows. ``records_out`` is null where it is not known.

    ``hour`` is the one it shows, ``expected_records`` the records of a usual full day;
    ``is_returning`` says whether a long absence is odd. ``tables`` are those read and how much,
    where that is known.
    """

    entity_kind: str
    entity: str
    day: date
    families: frozenset[str]
    rows: int
    unknown_rows_statements: int
    records_out: int | None
    group: str | None = None
    hour: datetime | None = None
    expected_records: float = 0.0
    expected_unknown: float = 0.0
    is_returning: bool = False
    tables: tuple[tuple[str, int], ...] = ()


class SuppressionRule(Protocol):
    """What a person expects, of one entity or of many."""

    def applies_to(self, seen: Observation) -> bool:
        """Whether it is about this entity and moment."""

    def objection(self, seen: Observation, growth: float) -> str | None:
        """Why ``seen`` is more than is expected; null where it is not."""

    def to_text(self) -> str:
        """Who expects it, until when, and why."""

    def to_dict(self) -> dict[str, Any]:
        """As it stands in an alert that is held back."""


class ScopedRule(SuppressionRule, Protocol):
    """What is expected of many entities."""

    def scope(self) -> pl.Expr:
        """Which rows of a scored table are of them."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Alerts of one entity that a person accepted, and answers for.

    It holds on days later than ``after`` (of any day where that is null) up to ``until``, for
    reasons among ``families``. ``rows``, ``unknown_rows_statements`` and, unless null,
    ``records_out`` are what was accepted. ``alert`` is the alert it was said of, null for one of
    the allow-list.
    """

    entity_kind: str
    entity: str
    families: frozenset[str]
    after: date | None
    until: date
    rows: int
    records_out: int | None
    unknown_rows_statements: int
    author: str
    reason: str
    alert: str | None = None

    def applies_to(self, seen: Observation) -> bool:
        """Whether it is about this entity and day."""
        same = (self.entity_kind, self.entity) == (seen.entity_kind, seen.entity)
        return same and (self.after is None or self.after < seen.day) and seen.day <= self.until

    def objection(self, seen: Observation, growth: float) -> str | None:
        """Why ``seen`` is more than was accepted; null where it is not."""
        new = sorted(reason_families(seen.families) - reason_families(self.families))
        if new or not seen.families:
            return f"for other reasons: {', '.join(new) or 'none of those accepted'}"
        for amount, accepted, noun in (
            (seen.rows, self.rows, "record"),
            (
                seen.unknown_rows_statements,
                self.unknown_rows_statements,
                "statement of unknown size",
            ),
            (seen.records_out, self.records_out, "record above the usual"),
        ):
            if amount is not None and accepted is not None and amount > growth * accepted:
                return (
                    f"for less: {_format_amount(amount, noun)}, more than {growth:g} "
                    f"times {accepted:,}"
                )
        return None

    def to_text(self) -> str:
        """Who expects it, until when, and why."""
        where = "the allow-list, " if self.alert is None else ""
        return f"expected by {where}{self.author}, until {self.until} ({self.reason})"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in an alert that is held back."""
        return {
            "alert": self.alert,
            "reason": self.reason,
            "by": self.author,
            "until": self.until.isoformat(),
            "families": sorted(self.families),
            "rows": self.rows,
            "records_out": self.records_out,
            "unknown_rows_statements": self.unknown_rows_statements,
        }


def _format_amount(amount: int, noun: str) -> str:
    head, _, tail = noun.partition(" ")
    return f"{quantity(amount, head)} {tail}".rstrip()


@dataclass(frozen=True, slots=True)
class Expectations:
    """All of them, and how many times the accepted volume is still accepted (``growth``).

    ``expectations`` are of one entity each, ``planned_work`` of many.
    """

    expectations: Sequence[Expectation]
    growth: float
    families: Sequence[Family]
    planned_work: Sequence[ScopedRule] = ()

    @property
    def rules(self) -> Sequence[SuppressionRule]:
        """Of one entity, and of many."""
        return (*self.expectations, *self.planned_work)

    def covers(self, scored: pl.DataFrame) -> pl.Series:
        """Of each row of a scored table, whether what it shows is expected."""
        who = pl.DataFrame(
            [(each.entity_kind, each.entity) for each in self.expectations],
            schema={"entity_kind": pl.String, "entity": pl.String},
            orient="row",
        )
        asked = scored.select(
            "entity_kind", "entity", "day", "rows", "unknown",
            *(name for name in PLANNED_BY if name in scored.columns),
            *(f"{each.name}_surprise" for family in self.families for each in family.features),
        ).with_row_index("at")  # fmt: skip
        scopes = [each.scope() for each in self.planned_work]
        mine = asked.join(who, on=["entity_kind", "entity"], how="semi")
        asked = pl.concat([mine, asked.filter(pl.any_horizontal(scopes))]) if scopes else mine
        found = {
            row["at"]
            for row in asked.iter_rows(named=True)
            if self._matching_rule(_observation_from_row(row, self.families))
        }
        return pl.Series("covered", [at in found for at in range(len(scored))], dtype=pl.Boolean)

    def suppressing_rule(self, alert: Alert) -> SuppressionRule | None:
        """The expectation that holds an alert back, if one does."""
        return self._matching_rule(_observation_from_alert(alert, self.families))

    def is_suppressed(self, alert: Alert) -> bool:
        """Whether an alert is held back."""
        return self.suppressing_rule(alert) is not None

    def objections(self, alert: Alert) -> list[str]:
        """Sentences on why an alert is not what was expected of its entity."""
        seen = _observation_from_alert(alert, self.families)
        told = [
            f"{each.to_text()}, but {why}"
            for each in self.rules
            if each.applies_to(seen) and (why := each.objection(seen, self.growth))
        ]
        return list(dict.fromkeys(told))

    def _matching_rule(self, seen: Observation) -> SuppressionRule | None:
        return next(
            (
                each
                for each in self.rules
                if each.applies_to(seen) and each.objection(seen, self.growth) is None
            ),
            None,
        )


def _observation_from_row(row: Mapping[str, Any], families: Sequence[Family]) -> Observation:
    return Observation(
        row["entity_kind"],
        row["entity"],
        row["day"],
        notable_families(lambda name: row[f"{name}_surprise"], families),
        round(row["rows"]),
        round(row["unknown"] or 0),
        None,
        row.get("group"),
        row.get("hour"),
        expected_records(row) if row.get("rows_usual") is not None else 0.0,
        row.get("unknown_usual") or 0.0,
        any((row.get(f"{name}_surprise") or 0.0) >= NOTABLE_SURPRISE for name in ABSENCE_FEATURES),
    )


def _observation_from_alert(alert: Alert, families: Sequence[Family]) -> Observation:
    return Observation(
        alert["entity_kind"],
        alert["entity"],
        date.fromisoformat(alert["date"]),
        frozenset(alert_families(alert["features"], families)),
        alert["rows"] or 0,
        alert["unknown_rows_statements"] or 0,
        alert["records_out"] or 0,
        alert["group"],
        datetime.fromisoformat(alert["time"]) - timedelta(hours=1),
        alert["expected_rows"] or 0.0,
        # The hour was covered with what was usual of it; an alert does not have that.
        float(alert["unknown_rows_statements"] or 0),
        any(
            (alert["features"].get(name, {}).get("surprise") or 0.0) >= NOTABLE_SURPRISE
            for name in ABSENCE_FEATURES
        ),
        tuple((each["name"], each["rows"] or 0) for each in alert["top_objects"]),
    )
