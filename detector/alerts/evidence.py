"""What the ledger and the settings add to an alert: what is out, and what was touched most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from detector.alerts import impact
from detector.alerts import top_entities as top
from detector.alerts.impact import PriorWeek, RecordsOut
from detector.alerts.severity import DEFAULT_BOUNDS, Bounds, Impact, assess_severity
from detector.alerts.top_entities import EntityDay, EntityHour, TopValue
from detector.core.formatting import quantity
from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT, OBJECT
from detector.features.peer_groups import assign_groups as peer_groups
from detector.model.model import Model

#: Days. That a table lasts longer than this at the pace of an alert is no news.
FORECAST_DAYS = 365


def entity_day(row: Mapping[str, Any]) -> EntityDay:
    """The entity and the day of a row."""
    return row["entity_kind"], row["entity"], row["day"]


def _entity_hour(row: Mapping[str, Any]) -> EntityHour:
    return row["entity_kind"], row["entity"], row["hour"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of some hours of entities. The methods take a row of ``alert.raised``.

    ``prior_weeks`` are what was out before each day, ``episode_records_out`` the same where it is
    known from an episode under way.
    """

    settings: Settings = field(default_factory=Settings)
    prior_weeks: Mapping[EntityDay, PriorWeek] = field(default_factory=dict)
    top_entities: top.TopEntities = field(default_factory=dict)
    bounds: Bounds = DEFAULT_BOUNDS
    episode_records_out: Mapping[EntityDay, RecordsOut] = field(default_factory=dict)

    @classmethod
    def gather(
        cls,
        ringing: pl.DataFrame,
        hours: pl.DataFrame,
        touched: pl.DataFrame,
        directory: pl.DataFrame | None,
        model: Model,
        settings: Settings,
    ) -> Evidence:
        """From HOURS and TOUCHED of the alerts' days and the week before them."""
        bounds = Bounds.from_settings(settings, model.baselines.levels)
        if ringing.is_empty():
            return cls(settings, bounds=bounds)
        groups = peer_groups(hours["account"], directory, model.baselines.groups)
        return cls(
            settings,
            impact.prior_weeks(ringing, hours, touched, groups, model, settings),
            top.rank_touched(ringing, touched, groups),
            bounds,
        )

    def records_out(self, row: Mapping[str, Any]) -> RecordsOut:
        """What is out by the row's hour; of that day alone where nothing is known of others."""
        before = self.episode_records_out.get(entity_day(row)) or self.prior_week(row).records_out(
            row["day"]
        )
        return RecordsOut(
            before.since, before.records + max(0.0, row["rows"] - impact.expected_records(row))
        )

    def prior_week(self, row: Mapping[str, Any]) -> PriorWeek:
        """The days before the row's."""
        return self.prior_weeks.get(entity_day(row), PriorWeek())

    def top_values(self, row: Mapping[str, Any]) -> dict[str, list[TopValue]]:
        """The largest values by dimension."""
        return self.top_entities.get(_entity_hour(row), {})

    def objects(self, row: Mapping[str, Any]) -> list[str]:
        """What is being read, the most first."""
        if row["entity_kind"] == OBJECT:
            return [row["entity"]]
        return [each["name"] for each in self.top_values(row).get(OBJECT, [])]

    def is_sensitive(self, row: Mapping[str, Any]) -> bool:
        """Whether the settings call any of it sensitive."""
        return not set(self.settings.sensitive).isdisjoint(self.objects(row))

    def severity(self, row: Mapping[str, Any], threshold: float) -> str:
        """How severe it is at the row's hour."""
        out = self.records_out(row).records
        # What is usual of an account may have been learned of a theft: all that it read counts.
        records = max(out, row["rows"]) if row["entity_kind"] == ACCOUNT else out
        shown = Impact(
            records,
            row["unknown"] or 0,
            impact.pace(row),
            self.table_size(row),
            is_sensitive=self.is_sensitive(row),
            excess_surprise=row["surprise"] - threshold,
        )
        return assess_severity(shown, self.bounds)

    def table_size(self, row: Mapping[str, Any]) -> int | None:
        """Records of the object that is read most, where the settings name it."""
        return next((self.settings.tables.get(name) for name in self.objects(row)), None)

    def forecast(self, row: Mapping[str, Any]) -> list[str]:
        """What is out and when all would be, as a sentence; nothing where it is far off."""
        records, an_hour = self.records_out(row).records, impact.pace(row)
        size = self.table_size(row)
        days = impact.days_until_empty(size, records, an_hour)
        if size is None or days is None or days > FORECAST_DAYS:
            return []
        when = "within a day" if days < 1 else f"in {quantity(days, 'day')}"
        # A table's are without those of its busiest account.
        least = "at least " if row["entity_kind"] == OBJECT else ""
        words = (
            f"{least}{quantity(records, 'record')} above the usual are out since "
            f"{self.records_out(row).since}; "
            f"at {quantity(an_hour, 'record')} an hour, day and night, "
            f"all {size:,} of {self.objects(row)[0]} would be gone {when}"
        )
        return [words]
