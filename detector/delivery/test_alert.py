"""A test alert, marked as one, and what a sink makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from detector.alerts.alert import CREATE, Alert
from detector.delivery.routing import Route
from detector.delivery.sink import Delivery, Item, Refusal, Unreachable

TEST_MARK: Final = "test alert of detector"


@dataclass(frozen=True, slots=True)
class SinkCheck:
    """Of one sink; ``words`` say what happened."""

    name: str
    delivered: bool
    words: str


def build_test_alert(moment: datetime) -> Alert:
    """An alert with every key of a real one, of an entity that is none.

    The id is of the moment, so that a receiver that knows ids takes each trial for a new one.
    """
    own = f"test-{moment:%Y%m%dT%H%M%S%fZ}"
    return {
        "id": own,
        "activity": CREATE,
        "alert": own,
        "began": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "triggers": [],
        "incident": own,
        "related": [],
        "verdicts": [],
        "time": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "date": f"{moment:%Y-%m-%d}",
        "entity_kind": "account",
        "entity": TEST_MARK,
        "group": TEST_MARK,
        "severity": "low",
        "techniques": [
            {"id": "T1213.006", "name": "Data from Information Repositories: Databases"}
        ],
        "surprise": 0.0,
        "threshold": 0.0,
        "rows": 0,
        "expected_rows": 0.0,
        "group_largest_rows": 0,
        "since": f"{moment:%Y-%m-%d}",
        "records_out": 0,
        "pace": 0.0,
        "table_gone_in_days": None,
        "statements": 0,
        "unknown_rows_statements": 0,
        "top_objects": [],
        "top_client_addresses": [],
        "top_accounts": [],
        "new_client_addresses": [],
        "new_objects": [],
        "reasons": [f"{TEST_MARK}: nothing happened, someone ran detector sinks test"],
        "features": {},
        "model": "test",
    }


def send_test_alert(route: Route, alert: Alert) -> SinkCheck:
    """Sends it once, past any outbox, whatever the sink's minimum severity."""
    try:
        with route.sink.open(route.config, route.format) as send:
            (outcome,) = send([Item(alert, route.format.encode(alert))])
    except Unreachable as error:
        return SinkCheck(route.name, delivered=False, words=f"not reached: {error.later.message}")
    if isinstance(outcome, Delivery):
        more = f": {outcome.message}" if outcome.message else ""
        return SinkCheck(route.name, delivered=True, words=f"test alert delivered{more}")
    refused = "refused" if isinstance(outcome, Refusal) else "not taken now"
    return SinkCheck(route.name, delivered=False, words=f"{refused}: {outcome.message}")
