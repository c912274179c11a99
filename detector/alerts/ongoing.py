"""An episode that goes on, for machines and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.alerts.alert import Alert
from detector.alerts.episodes import EpisodeState
from detector.core.formatting import quantity


def to_dict(standing: EpisodeState, last: Alert | None) -> dict[str, Any]:
    """As JSON; the keys are described in docs/alerts.md. ``last`` is its latest message."""
    return {
        "alert": standing.alert,
        "incident": last["incident"] if last else standing.alert,
        "entity_kind": standing.entity_kind,
        "entity": standing.entity,
        "severity": standing.severity,
        "since": standing.since.isoformat(),
        "began": standing.began,
        "last_day": standing.day.isoformat(),
        "last_message": last["time"] if last else standing.began,
        "records_out": round(standing.records_out),
    }


def to_text(told: Mapping[str, Any]) -> str:
    """One line of ``to_dict``."""
    kind = str(told["entity_kind"]).replace("_", " ")
    out = quantity(told["records_out"], "record")
    return (
        f"{kind} {told['entity']}: severity {told['severity']}, since {told['since']}, "
        f"{out} above the usual out; last anomalous day {told['last_day']}, "
        f"last told {told['last_message'].replace('T', ' ').removesuffix(':00Z')} UTC "
        f"(alert {told['alert']})"
    )
