"""Alerts from scored hours: one per entity and run of odd days, at the first hour that passes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NotRequired, TypedDict

import polars as pl

from detector.alerts.evidence import Evidence
from detector.alerts.impact import days_until_empty, expected_records, pace
from detector.alerts.reasons import explain
from detector.alerts.techniques import matching_techniques
from detector.alerts.top_entities import TopValue
from detector.core.schema import SCORES
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT
from detector.features.feature import Family
from detector.model.model import Model


class Alert(TypedDict):
    """A message as plain JSON: an alert, an update of it, or its end (docs/alerts.md).

    Times are ISO 8601 in UTC, ``date`` and ``since`` are days of the organisation's time zone.
    """

    id: str
    activity: str
    alert: str
    began: str
    triggers: list[str]
    incident: str
    related: list[str]
    verdicts: list[dict[str, Any]]
    time: str
    date: str
    entity_kind: str
    entity: str
    group: str
    severity: str
    techniques: list[dict[str, str]]
    surprise: float
    threshold: float
    rows: int | None
    expected_rows: float
    group_largest_rows: int | None
    since: str
    records_out: int
    pace: float
    table_gone_in_days: float | None
    statements: int | None
    unknown_rows_statements: int | None
    top_objects: list[TopValue]
    top_client_addresses: list[TopValue]
    top_accounts: list[TopValue]
    new_client_addresses: list[str] | None
    new_objects: list[str] | None
    reasons: list[str]
    features: dict[str, dict[str, Any]]
    model: str
    #: When the watcher raised it, by the wall clock.
    raised: NotRequired[str]
    #: Who expected it, where it was suppressed.
    held: NotRequired[dict[str, Any]]
    #: By key, how many items or characters it had, where a sink's limits cut it.
    cut: NotRequired[dict[str, int]]


HOUR = timedelta(hours=1)
#: What a message is of its episode: the alert that opens it, news of it, or its end.
CREATE, UPDATE, CLOSE = "create", "update", "close"


def alert_id(kind: str, entity: str, day: date) -> str:
    """The same for the same entity and day, however often and in whatever run it is scored."""
    return hashlib.sha256(f"{kind}\0{entity}\0{day.isoformat()}".encode()).hexdigest()[:20]


def with_episode_keys(alert: Alert) -> Alert:
    """An alert with the keys of its episode, which those of older versions lack, added last."""
    first: Alert = {
        **alert, "activity": CREATE, "alert": alert["id"], "began": alert["time"], "triggers": [],
    }  # fmt: skip
    return {**first, **alert}


def build_alert(
    row: Mapping[str, Any], model: Model, families: Sequence[Family], context: Evidence
) -> Alert:
    """The alert of one row, as the first of its episode."""
    own = alert_id(row["entity_kind"], row["entity"], row["day"])
    out, tops = context.records_out(row), context.top_values(row)
    return {
        "id": own,
        "activity": CREATE,
        "alert": own,
        "began": _iso(row["hour"] + HOUR),
        "triggers": [],
        "incident": own,
        "related": [],
        "verdicts": [],
        "time": _iso(row["hour"] + HOUR),
        "date": row["day"].isoformat(),
        "entity_kind": row["entity_kind"],
        "entity": row["entity"],
        "group": row["group"],
        "severity": context.severity(row, model.threshold),
        "techniques": matching_techniques(row),
        "surprise": row["surprise"],
        "threshold": round(model.threshold, 6),
        "rows": _round_to_int(row["rows"]),
        "expected_rows": round(expected_records(row), 1),
        "group_largest_rows": _round_to_int(row["rows_group_largest"]),
        "since": out.since.isoformat(),
        "records_out": round(out.records),
        "pace": round(pace(row), 1),
        "table_gone_in_days": _round_to_tenth(
            days_until_empty(context.table_size(row), out.records, pace(row))
        ),
        "statements": _round_to_int(row["statements"]),
        "unknown_rows_statements": _round_to_int(row["unknown"]),
        "top_objects": tops.get(OBJECT, []),
        "top_client_addresses": tops.get(ADDRESS, []),
        "top_accounts": tops.get(ACCOUNT, []),
        "new_client_addresses": row["new_addresses_names"],
        "new_objects": row["new_objects_names"],
        "reasons": [*explain(row, families), *context.forecast(row)],
        "features": _feature_values(row, families),
        "model": model.id,
    }


def _feature_values(row: Mapping[str, Any], families: Sequence[Family]) -> dict[str, Any]:
    return {
        feature.name: {
            "value": None if row[feature.name] is None else round(row[feature.name], 6),
            "surprise": row[f"{feature.name}_surprise"],
        }
        for family in families
        for feature in family.features
    }


def _round_to_tenth(number: float | None) -> float | None:
    return None if number is None else round(number, 1)


def _round_to_int(number: float | None) -> int | None:
    return None if number is None else round(number)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def score_table(scored: pl.DataFrame, ringing: list[Alert]) -> pl.DataFrame:
    """SCORES of a scored table, with the id of the episode's first alert at the hours at which it,
    or an update of it, fires.
    """
    said = [alert for alert in ringing if alert["activity"] != CLOSE]
    marks = pl.DataFrame(
        {
            "entity_kind": [alert["entity_kind"] for alert in said],
            "entity": [alert["entity"] for alert in said],
            "time": [datetime.fromisoformat(alert["time"]) for alert in said],
            "alert_id": [alert["alert"] for alert in said],
        },
        schema={name: SCORES[name] for name in ("entity_kind", "entity", "time", "alert_id")},
    ).unique(["entity_kind", "entity", "time"], keep="first", maintain_order=True)
    usual_hours = pl.col("hours_usual").fill_null(1).clip(1)
    # A group's level is per head, of those who are at work (``damage.expected``).
    at_work = pl.max_horizontal("others", "others_usual", pl.lit(1.0))
    heads = pl.when(pl.col("entity_kind") == GROUP).then(at_work).otherwise(1.0)
    return (
        scored.with_columns(time=pl.col("hour") + HOUR)
        .join(marks, on=["entity_kind", "entity", "time"], how="left")
        .select(
            date="day",
            time="time",
            entity_kind="entity_kind",
            entity="entity",
            surprise="surprise",
            rows=pl.col("hour_rows").cast(pl.Int64),
            expected_rows=(pl.col("rows_usual") * heads / usual_hours).round(3),
            alert_id="alert_id",
        )
        .sort("time", "entity_kind", "entity")
    )
