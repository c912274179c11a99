"""What the ledger and the settings add to an alert: what is out, and what was touched most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from detector.alerts import impact
from detector.alerts import top_entities as top
from detector.alerts.impact import Out, Week
from detector.alerts.severity import DEFAULT, Bounds, Impact, severity
from detector.alerts.top_entities import Key, Moment
from detector.core.formatting import counted
from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT, OBJECT
from detector.features.peer_groups import groups as peer_groups
from detector.model.model import Model

#: Days. That a table lasts longer than this at the pace of an alert is no news.
FORESEEN = 365


def day_of(row: Mapping[str, Any]) -> Key:
    """The entity and the day of a row."""
    return row["entity_kind"], row["entity"], row["day"]


def _moment(row: Mapping[str, Any]) -> Moment:
    return row["entity_kind"], row["entity"], row["hour"]


@dataclass(frozen=True, slots=True)
class Context:
    """Of some hours of entities. The methods take a row of ``alert.raised``.

    ``weeks`` are what was out before each day, ``outs`` the same where it is known from an episode
    under way.
    """

    settings: Settings = field(default_factory=Settings)
    weeks: Mapping[Key, Week] = field(default_factory=dict)
    largest: top.Tops = field(default_factory=dict)
    bounds: Bounds = DEFAULT
    outs: Mapping[Key, Out] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        ringing: pl.DataFrame,
        hours: pl.DataFrame,
        touched: pl.DataFrame,
        directory: pl.DataFrame | None,
        model: Model,
        settings: Settings,
    ) -> Context:
        """From HOURS and TOUCHED of the alerts' days and the week before them."""
        bounds = Bounds.of(settings, model.learned.levels)
        if ringing.is_empty():
            return cls(settings, bounds=bounds)
        groups = peer_groups(hours["account"], directory, model.learned.groups)
        return cls(
            settings,
            impact.out(ringing, hours, touched, groups, model, settings),
            top.tops(ringing, touched, groups),
            bounds,
        )

    def out(self, row: Mapping[str, Any]) -> Out:
        """What is out by the row's hour; of that day alone where nothing is known of others."""
        before = self.outs.get(day_of(row)) or self.week(row).out(row["day"])
        return Out(before.since, before.records + max(0.0, row["rows"] - impact.expected(row)))

    def week(self, row: Mapping[str, Any]) -> Week:
        """The days before the row's."""
        return self.weeks.get(day_of(row), Week())

    def tops(self, row: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """The largest values by dimension."""
        return self.largest.get(_moment(row), {})

    def objects(self, row: Mapping[str, Any]) -> list[str]:
        """What is being read, the most first."""
        if row["entity_kind"] == OBJECT:
            return [row["entity"]]
        return [each["name"] for each in self.tops(row).get(OBJECT, [])]

    def sensitive(self, row: Mapping[str, Any]) -> bool:
        """Whether the settings call any of it sensitive."""
        return not set(self.settings.sensitive).isdisjoint(self.objects(row))

    def severity(self, row: Mapping[str, Any], threshold: float) -> str:
        """How severe it is at the row's hour."""
        out = self.out(row).records
        # What is usual of an account may have been learned of a theft: all that it read counts.
        records = max(out, row["rows"]) if row["entity_kind"] == ACCOUNT else out
        shown = Impact(
            records,
            row["unknown"] or 0,
            impact.pace(row),
            self.size(row),
            sensitive=self.sensitive(row),
            beyond=row["surprise"] - threshold,
        )
        return severity(shown, self.bounds)

    def size(self, row: Mapping[str, Any]) -> int | None:
        """Records of the object that is read most, where the settings name it."""
        return next((self.settings.tables.get(name) for name in self.objects(row)), None)

    def outlook(self, row: Mapping[str, Any]) -> list[str]:
        """What is out and when all would be, as a sentence; nothing where it is far off."""
        records, an_hour = self.out(row).records, impact.pace(row)
        size = self.size(row)
        days = impact.gone_in(size, records, an_hour)
        if size is None or days is None or days > FORESEEN:
            return []
        when = "within a day" if days < 1 else f"in {counted(days, 'day')}"
        # A table's are without those of its busiest account.
        least = "at least " if row["entity_kind"] == OBJECT else ""
        words = (
            f"{least}{counted(records, 'record')} above the usual are out since "
            f"{self.out(row).since}; "
            f"at {counted(an_hour, 'record')} an hour, day and night, "
            f"all {size:,} of {self.objects(row)[0]} would be gone {when}"
        )
        return [words]
