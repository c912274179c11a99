"""Alerts and scored rows made up for tests, with the keys that the tested code reads."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from detector.core.settings import Settings
from detector.features.feature_table import TrainedBaselines
from detector.model.model import Model

DAY = date(2024, 2, 5)


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "statements": 1, "rows": 100} for name in names]


def made(entity: str, day: int = 0, kind: str = "account", **other: Any) -> dict[str, Any]:
    """An alert of ``entity``, ``day`` days after DAY, at noon unless ``hour`` says otherwise."""
    at = DAY + timedelta(days=day)
    hour = other.pop("hour", 12 if kind == "account" else 23)
    identity = hashlib.sha256(f"{kind} {entity} {at}".encode()).hexdigest()[:20]
    alert = {
        "id": identity,
        "activity": "create",
        "alert": identity,
        "incident": identity,
        "related": [],
        "time": f"{at}T{hour:02}:00:00Z",
        "date": str(at),
        "entity_kind": kind,
        "entity": entity,
        "group": "agency" if kind == "account" else f"all {kind}s",
        "severity": "low",
        "techniques": [],
        "surprise": 3.0,
        "rows": 500,
        "since": str(at),
        "records_out": 400,
        "unknown_rows_statements": 0,
        "top_objects": [],
        "top_client_addresses": [],
        "top_accounts": [],
        "reasons": ["read 500 records"],
    }
    return {**alert, **other}


def row(**other: Any) -> dict[str, Any]:
    """A row at which an alert rings: an account that read 1,000 records by the end of 11:00."""
    figures = {
        "entity_kind": "account",
        "entity": "eve",
        "day": DAY,
        "hour": datetime.fromisoformat("2024-02-05T11:00:00+00:00"),
        "slot": 11,
        "rows": 1000.0,
        "unknown": 0.0,
        "hours": 4.0,
        "others": 2.0,
        "others_usual": 2.0,
        "rows_usual": 100.0,
        "rows_centre": 4.6151,
        "rows_spread": 0.5,
    }
    return {**figures, **other}


def model(levels: pl.DataFrame, groups: pl.DataFrame, contaminated: tuple[str, ...] = ()) -> Model:
    """A model that knows levels and groups and judges nothing."""
    nothing = pl.DataFrame()
    learned = TrainedBaselines(levels, nothing, nothing, nothing, nothing, nothing, groups)
    return Model(
        {}, 2.0, learned, Settings(), 1.0, DAY, DAY, DAY, 1, len(groups), 1.0,
        contaminated_accounts=contaminated,
    )  # fmt: skip
