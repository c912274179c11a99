"""Alerts from scored hours: one per entity and run of odd days, at the first hour that passes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import polars as pl

from detector.alerts.reasons import reasons
from detector.features.feature import Family
from detector.features.novelty import NAMES
from detector.forests.model import Model
from detector.schema import SCORES

#: An alert as plain JSON; the keys are described in docs/alerts.md.
Alert: TypeAlias = dict[str, Any]

HOUR = timedelta(hours=1)
#: Severity by damage: records out when the alert rings.
SEVERITIES = ((100_000, "critical"), (10_000, "high"), (1_000, "medium"))


def alert_id(kind: str, entity: str, day: date) -> str:
    """The same for the same entity and day, however often and in whatever run it is scored."""
    return hashlib.sha256(f"{kind}\0{entity}\0{day.isoformat()}".encode()).hexdigest()[:20]


def severity(rows: int, unknown: int) -> str:
    """By damage. An unknown number of records is never taken for a small one."""
    for least, name in SEVERITIES:
        if rows >= least:
            return name
    return "medium" if unknown else "low"


def raised(scored: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``scoring.score`` at which an alert rings, with all new names of the day."""
    keys = ["entity_kind", "entity", "day"]
    first = scored.filter("alarming")
    until = scored.join(first.select(*keys, at="hour"), on=keys).filter(
        pl.col("hour") <= pl.col("at")
    )
    names = [f"new_{what}_names" for what in NAMES.values()]
    gathered = until.group_by(keys).agg(
        pl.col(name).explode(empty_as_null=False).drop_nulls().sort() for name in names
    )
    return first.drop(names).join(gathered, on=keys).sort("hour", "entity_kind", "entity")


def alerts(ringing: pl.DataFrame, model: Model, families: Sequence[Family]) -> list[Alert]:
    """Alerts of ``raised``, by time."""
    return [_alert(row, model, families) for row in ringing.iter_rows(named=True)]


def _alert(row: dict[str, Any], model: Model, families: Sequence[Family]) -> Alert:
    return {
        "id": alert_id(row["entity_kind"], row["entity"], row["day"]),
        "time": _iso(row["hour"] + HOUR),
        "date": row["day"].isoformat(),
        "entity_kind": row["entity_kind"],
        "entity": row["entity"],
        "group": row["group"],
        "severity": severity(row["rows"], row["unknown"] or 0),
        "surprise": row["surprise"],
        "threshold": round(model.threshold, 6),
        "rows": _whole(row["rows"]),
        "expected_rows": round(row["rows_usual"], 1),
        "group_largest_rows": _whole(row["rows_group_largest"]),
        "statements": _whole(row["statements"]),
        "unknown_rows_statements": _whole(row["unknown"]),
        "new_client_addresses": row["new_addresses_names"],
        "new_objects": row["new_objects_names"],
        "reasons": reasons(row, families),
        "features": {
            feature.name: {
                "value": None if row[feature.name] is None else round(row[feature.name], 6),
                "surprise": row[f"{feature.name}_surprise"],
            }
            for family in families
            for feature in family.features
        },
        "model": model.id,
    }


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def scores(scored: pl.DataFrame, ringing: list[Alert]) -> pl.DataFrame:
    """SCORES of ``scoring.score``'s table, with the alerts' ids at the hours they ring."""
    marks = pl.DataFrame(
        {
            "entity_kind": [alert["entity_kind"] for alert in ringing],
            "entity": [alert["entity"] for alert in ringing],
            "time": [datetime.fromisoformat(alert["time"]) for alert in ringing],
            "alert_id": [alert["id"] for alert in ringing],
        },
        schema={name: SCORES[name] for name in ("entity_kind", "entity", "time", "alert_id")},
    )
    usual_hours = pl.col("hours_usual").fill_null(1).clip(1)
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
            expected_rows=(pl.col("rows_usual") / usual_hours).round(3),
            alert_id="alert_id",
        )
        .sort("time", "entity_kind", "entity")
    )
