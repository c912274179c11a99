"""OCSF Detection Finding, class 2004 (https://schema.ocsf.io/1.8.0/classes/detection_finding).

Written for 1.8.0. 1.5.0 takes the same; 1.3.0 lacks what NOT_IN_1_3 names.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Final

from detector import __version__
from detector.alerts.alert import CLOSE, CREATE, UPDATE, Alert
from detector.delivery import alert_fields, attack
from detector.delivery.alert_fields import LOG
from detector.delivery.escaping import json_line
from detector.delivery.format import JSON, Format
from detector.delivery.truncation import fit_record
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT

LATEST_VERSION: Final = "1.8.0"
CLASS_UID: Final = 2004
#: activity_id and activity_name, status_id and status, by what an alert is of its episode. Nobody
#: has looked into one that ended by itself: it is not resolved.
ACTIVITIES: Final = {
    CREATE: (1, "Create", 1, "New"),
    UPDATE: (2, "Update", 1, "New"),
    CLOSE: (3, "Close", 99, "Ended"),
}
TYPE_UID: Final = CLASS_UID * 100 + 1
#: severity_id; 1 is Informational, 6 Fatal.
SEVERITIES: Final = {"low": 2, "medium": 3, "high": 4, "critical": 5}
#: analytic.type_id.
LEARNING_TYPE_ID: Final = 4
OTHER_TYPE_ID: Final = 99
#: observable.type_id.
HOST_NAME, IP_ADDRESS, USER_NAME = 1, 2, 4
NOT_IN_1_3: Final = ("is_alert", "anomaly_analyses", "resources")
#: Features a finding tells apart, the oddest; the others stand in ``unmapped``.
MAX_FEATURES: Final = 10
#: A feature less surprising than one honest day in ten is no anomaly.
MIN_SURPRISE: Final = 1.0
#: New addresses and tables that are observables, besides the largest.
MAX_NEW_VALUES: Final = 20


def encode(alert: Alert, version: str = LATEST_VERSION) -> bytes:
    """One finding as a line of JSON."""
    return fit_record(alert, lambda told: json_line(finding(told, version)))


def finding(alert: Alert, version: str = LATEST_VERSION) -> dict[str, Any]:
    """The finding as plain JSON, after the schema of ``version``.

    ``unmapped`` is the alert as ``native`` has it.
    """
    time = alert_fields.epoch_millis(alert_fields.fire_time(alert))
    activity, name, status, shown = ACTIVITIES[alert["activity"]]
    document = {
        "activity_id": activity,
        "activity_name": name,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS_UID,
        "class_name": "Detection Finding",
        "type_uid": CLASS_UID * 100 + activity,
        "type_name": f"Detection Finding: {name}",
        "time": time,
        "start_time": alert_fields.epoch_millis(alert_fields.first_seen(alert)),
        "end_time": time,
        "severity_id": SEVERITIES[alert["severity"]],
        "severity": alert["severity"].capitalize(),
        "status_id": status,
        "status": shown,
        "is_alert": True,
        "risk_score": alert_fields.risk(alert),
        "message": f"{alert_fields.title(alert)}: {alert_fields.reason_text(alert)}",
        "metadata": _metadata(alert, version),
        "finding_info": _finding_info(alert, time),
        "evidences": _evidences(alert),
        "observables": _observables(alert),
        "resources": [{"name": name, "type": "Table"} for name in alert_fields.objects(alert)],
        "anomaly_analyses": [_analysis(alert)],
        "unmapped": alert,
    }
    left_out = NOT_IN_1_3 if version == "1.3.0" else ()
    return {key: value for key, value in document.items() if value != [] and key not in left_out}


def _metadata(alert: Alert, version: str) -> dict[str, Any]:
    return {
        "version": version,
        "product": {
            "name": alert_fields.PRODUCT,
            "vendor_name": alert_fields.PRODUCT,
            "version": __version__,
        },
        "uid": alert["id"],
        "correlation_uid": alert["incident"],
        "event_code": alert_fields.rule_id(alert),
        "log_name": "alerts",
    }


def _finding_info(alert: Alert, time: int) -> dict[str, Any]:
    began = datetime.fromisoformat(alert["began"])
    told = {
        "uid": alert["alert"],
        "title": alert_fields.title(alert),
        "desc": alert_fields.reason_text(alert),
        # An alert is made when its hour ends, and found again with the same bytes.
        "created_time": alert_fields.epoch_millis(began),
        "modified_time": time,
        "first_seen_time": alert_fields.epoch_millis(alert_fields.first_seen(alert)),
        "last_seen_time": time,
        "data_sources": ["database access log"],
        "types": ["Unusual reading of records"],
        "analytic": {
            "type_id": LEARNING_TYPE_ID,
            "type": "Learning (ML/DL)",
            "uid": alert_fields.rule_id(alert),
            "name": alert_fields.rule_name(alert),
            "version": str(alert["model"]),
        },
        "attacks": [_attack(each) for each in attack.attacks(alert)],
        "related_events": [{"uid": own, "type_uid": TYPE_UID} for own in alert["related"]],
    }
    return {key: value for key, value in told.items() if value != []}


def _attack(each: attack.Attack) -> dict[str, Any]:
    parts = {
        "tactic": each.tactic,
        "technique": each.technique,
        "sub_technique": each.sub_technique,
    }
    return {
        "version": attack.VERSION,
        **{
            key: {"uid": part.id, "name": part.name, "src_url": part.url}
            for key, part in parts.items()
            if part
        },
    }


def _evidences(alert: Alert) -> list[dict[str, Any]]:
    """The entity with the figures of its day; then what it touched, each with its own."""
    figures = {
        "rows": alert["rows"],
        "expected_rows": alert["expected_rows"],
        "records_out": alert["records_out"],
        "statements": alert["statements"],
        "entity_kind": alert["entity_kind"],
        "entity": alert["entity"],
    }
    who = _entity(alert)
    # Who read it is said beside what was read, so that an evidence can be understood alone.
    actor = _actor(alert["entity"]) if alert["entity_kind"] == ACCOUNT else {}
    tops = (
        (alert["top_client_addresses"], ADDRESS, _endpoint),
        (alert["top_objects"], OBJECT, _table),
        (alert["top_accounts"], ACCOUNT, _actor),
    )
    return [
        {**who, "data": figures},
        *(
            {**actor, **part(each["name"]), "data": {"entity_kind": kind, **each}}
            for values, kind, part in tops
            for each in values
        ),
    ]


def _entity(alert: Alert) -> dict[str, Any]:
    name = alert["entity"]
    if alert["entity_kind"] == ACCOUNT:
        user = {"name": name, "groups": [{"name": alert["group"]}]}
        return {"actor": {"user": user}}
    # The schema has no evidence for a group of people: the figures name it.
    of: dict[str, Any] = {ADDRESS: _endpoint(name), OBJECT: _table(name), GROUP: {}, LOG: {}}
    return dict(of[alert["entity_kind"]])


def _actor(name: str) -> dict[str, Any]:
    return {"actor": {"user": {"name": name}}}


def _endpoint(name: str) -> dict[str, Any]:
    address = alert_fields.parse_ip(name)
    # What is no address may be no host name either: "[local]", or what a log was made to say.
    return {"src_endpoint": {"ip": address} if address else {"name": name}}


def _table(name: str) -> dict[str, Any]:
    # No evidence has a table; the nearest object is the database, said to be something else.
    return {"database": {"name": name, "type_id": OTHER_TYPE_ID, "type": "Table"}}


def _observables(alert: Alert) -> list[dict[str, Any]]:
    """Names to search for elsewhere, each once, with where they stand in the finding."""
    addresses = alert_fields.deduplicate(
        [*alert_fields.addresses(alert), *(alert["new_client_addresses"] or [])[:MAX_NEW_VALUES]]
    )
    objects = alert_fields.deduplicate(
        [*alert_fields.objects(alert), *(alert["new_objects"] or [])[:MAX_NEW_VALUES]]
    )
    found = [
        *(_observable("evidences.actor.user.name", USER_NAME, "User Name", name)
          for name in alert_fields.accounts(alert)),
        *(_observable("evidences.src_endpoint.ip", IP_ADDRESS, "IP Address", address)
          if (address := alert_fields.parse_ip(name))
          else _observable("evidences.src_endpoint.name", OTHER_TYPE_ID, "Endpoint Name", name)
          for name in addresses),
        *(_observable("evidences.database.name", OTHER_TYPE_ID, "Table", name) for name in objects),
    ]  # fmt: skip
    if alert["entity_kind"] == GROUP:
        found.append(_observable("evidences.data.entity", OTHER_TYPE_ID, "Group", alert["entity"]))
    return found


def _observable(path: str, type_id: int, kind: str, value: str) -> dict[str, Any]:
    return {"name": path, "type_id": type_id, "type": kind, "value": value}


def _analysis(alert: Alert) -> dict[str, Any]:
    """What was expected of the day and what was seen; then the oddest features.

    A feature measures how far a day lies from what is usual, so what is expected of it is 0.
    """
    odd = sorted(
        (
            (-each["surprise"], name, each["value"])
            for name, each in alert["features"].items()
            if each["value"] is not None and (each["surprise"] or 0.0) >= MIN_SURPRISE
        ),
    )[:MAX_FEATURES]
    records = "records read in the day"
    return {
        "analysis_targets": [{"name": alert["entity"], "type": alert["entity_kind"]}],
        "anomalies": [
            _observation("rows", records, alert["rows"]),
            *(
                _observation(name, "feature of docs/features.md", value, f"surprise {-surprise:g}")
                for surprise, name, value in odd
            ),
        ],
        "baselines": [
            _observation("rows", records, alert["expected_rows"], "its usual full day"),
            _observation("rows", records, alert["group_largest_rows"], "largest day of its group"),
            *(_observation(name, "feature of docs/features.md", 0) for _, name, _ in odd),
        ],
    }


def _observation(what: str, kind: str, value: object, pattern: str = "") -> dict[str, Any]:
    told = {
        "observation_parameter": what,
        "observation_type": kind,
        # The schema wants text here.
        "observations": [{"value": "unknown" if value is None else str(value)}],
    }
    return {**told, "observed_pattern": pattern} if pattern else told


FORMAT = Format(
    "ocsf",
    "OCSF Detection Finding, schema 1.8.0",
    JSON,
    encode,
    variants=tuple(
        Format(
            f"ocsf-{version.removesuffix('.0')}",
            f"OCSF Detection Finding, schema {version}",
            JSON,
            partial(encode, version=version),
        )
        for version in ("1.5.0", "1.3.0")
    ),
)
