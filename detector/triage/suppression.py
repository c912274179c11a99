"""What is expected and held back: of one entity, for known reasons, up to a day and a volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol

import polars as pl

from detector.alerts.alert import Alert
from detector.alerts.impact import expected
from detector.alerts.techniques import SPEAKS
from detector.core.formatting import counted
from detector.detection.day_context import OF_PLANS as PLANNED_BY
from detector.features.feature import Family
from detector.triage.subjects import reasons, spoke, spoken

#: Features that tell of an absence: work that is planned is no reason for those.
ABSENCE: Final = ("idle_days", "idle_lately")


@dataclass(frozen=True, slots=True)
class Seen:
    """What an alert, or the day so far, shows. ``records_out`` is null where it is not known.

    ``hour`` is the one it shows, ``usual`` the records of a usual full day; ``is_back`` says
    whether a long absence is odd. ``tables`` are those read and how much, where that is known.
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
    usual: float = 0.0
    usual_unknown: float = 0.0
    is_back: bool = False
    tables: tuple[tuple[str, int], ...] = ()


class Expected(Protocol):
    """What a person expects, of one entity or of many."""

    def concerns(self, seen: Seen) -> bool:
        """Whether it is about this entity and moment."""

    def objection(self, seen: Seen, growth: float) -> str | None:
        """Why ``seen`` is more than is expected; null where it is not."""

    def words(self) -> str:
        """Who expects it, until when, and why."""

    def plain(self) -> dict[str, Any]:
        """As it stands in an alert that is held back."""


class OfMany(Expected, Protocol):
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
    by: str
    why: str
    alert: str | None = None

    def concerns(self, seen: Seen) -> bool:
        """Whether it is about this entity and day."""
        same = (self.entity_kind, self.entity) == (seen.entity_kind, seen.entity)
        return same and (self.after is None or self.after < seen.day) and seen.day <= self.until

    def objection(self, seen: Seen, growth: float) -> str | None:
        """Why ``seen`` is more than was accepted; null where it is not."""
        new = sorted(reasons(seen.families) - reasons(self.families))
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
                return f"for less: {_amount(amount, noun)}, more than {growth:g} times {accepted:,}"
        return None

    def words(self) -> str:
        """Who expects it, until when, and why."""
        where = "the allow-list, " if self.alert is None else ""
        return f"expected by {where}{self.by}, until {self.until} ({self.why})"

    def plain(self) -> dict[str, Any]:
        """As it stands in an alert that is held back."""
        return {
            "alert": self.alert,
            "reason": self.why,
            "by": self.by,
            "until": self.until.isoformat(),
            "families": sorted(self.families),
            "rows": self.rows,
            "records_out": self.records_out,
            "unknown_rows_statements": self.unknown_rows_statements,
        }


def _amount(amount: int, noun: str) -> str:
    head, _, tail = noun.partition(" ")
    return f"{counted(amount, head)} {tail}".rstrip()


@dataclass(frozen=True, slots=True)
class Expectations:
    """All of them, and how many times the accepted volume is still accepted (``growth``).

    ``items`` are of one entity each, ``planned`` of many.
    """

    items: Sequence[Expectation]
    growth: float
    families: Sequence[Family]
    planned: Sequence[OfMany] = ()

    @property
    def every(self) -> Sequence[Expected]:
        """Of one entity, and of many."""
        return (*self.items, *self.planned)

    def covers(self, scored: pl.DataFrame) -> pl.Series:
        """Of each row of a scored table, whether what it shows is expected."""
        who = pl.DataFrame(
            [(each.entity_kind, each.entity) for each in self.items],
            schema={"entity_kind": pl.String, "entity": pl.String},
            orient="row",
        )
        asked = scored.select(
            "entity_kind", "entity", "day", "rows", "unknown",
            *(name for name in PLANNED_BY if name in scored.columns),
            *(f"{each.name}_surprise" for family in self.families for each in family.features),
        ).with_row_index("at")  # fmt: skip
        scopes = [each.scope() for each in self.planned]
        mine = asked.join(who, on=["entity_kind", "entity"], how="semi")
        asked = pl.concat([mine, asked.filter(pl.any_horizontal(scopes))]) if scopes else mine
        found = {
            row["at"]
            for row in asked.iter_rows(named=True)
            if self._holder(_of_row(row, self.families))
        }
        return pl.Series("covered", [at in found for at in range(len(scored))], dtype=pl.Boolean)

    def holder(self, alert: Alert) -> Expected | None:
        """The expectation that holds an alert back, if one does."""
        return self._holder(_of_alert(alert, self.families))

    def holds(self, alert: Alert) -> bool:
        """Whether an alert is held back."""
        return self.holder(alert) is not None

    def objections(self, alert: Alert) -> list[str]:
        """Sentences on why an alert is not what was expected of its entity."""
        seen = _of_alert(alert, self.families)
        told = [
            f"{each.words()}, but {why}"
            for each in self.every
            if each.concerns(seen) and (why := each.objection(seen, self.growth))
        ]
        return list(dict.fromkeys(told))

    def _holder(self, seen: Seen) -> Expected | None:
        return next(
            (
                each
                for each in self.every
                if each.concerns(seen) and each.objection(seen, self.growth) is None
            ),
            None,
        )


def _of_row(row: Mapping[str, Any], families: Sequence[Family]) -> Seen:
    return Seen(
        row["entity_kind"],
        row["entity"],
        row["day"],
        spoke(lambda name: row[f"{name}_surprise"], families),
        round(row["rows"]),
        round(row["unknown"] or 0),
        None,
        row.get("group"),
        row.get("hour"),
        expected(row) if row.get("rows_usual") is not None else 0.0,
        row.get("unknown_usual") or 0.0,
        any((row.get(f"{name}_surprise") or 0.0) >= SPEAKS for name in ABSENCE),
    )


def _of_alert(alert: Alert, families: Sequence[Family]) -> Seen:
    return Seen(
        alert["entity_kind"],
        alert["entity"],
        date.fromisoformat(alert["date"]),
        frozenset(spoken(alert["features"], families)),
        alert["rows"] or 0,
        alert["unknown_rows_statements"] or 0,
        alert["records_out"] or 0,
        alert["group"],
        datetime.fromisoformat(alert["time"]) - timedelta(hours=1),
        alert["expected_rows"] or 0.0,
        # The hour was covered with what was usual of it; an alert does not have that.
        float(alert["unknown_rows_statements"] or 0),
        any((alert["features"].get(name, {}).get("surprise") or 0.0) >= SPEAKS for name in ABSENCE),
        tuple((each["name"], each["rows"] or 0) for each in alert["top_objects"]),
    )
