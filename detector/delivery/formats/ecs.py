"""Elastic Common Schema (https://www.elastic.co/docs/reference/ecs), fields of 8.x and 9.x.

What ECS has no field for stands under ``detector``, which is the alert as ``native`` has it.
``feed.elastic`` has the action of ``_bulk`` and the index template.
"""

from __future__ import annotations

from typing import Any, Final

from detector import __version__
from detector.alerts.alert import CLOSE, CREATE, UPDATE, Alert
from detector.delivery import alert_fields, attack
from detector.delivery.escaping import json_line
from detector.delivery.format import JSON, Format
from detector.delivery.truncation import fit_record
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP

VERSION: Final = "9.4.0"
#: As Elastic's own rules have them: what event.severity its dashboards colour how.
SEVERITIES: Final = {"low": 21, "medium": 47, "high": 73, "critical": 99}

#: event.action, by what an alert is of its episode.
ACTIONS: Final = {
    CREATE: "unusual-reading",
    UPDATE: "unusual-reading-update",
    CLOSE: "unusual-reading-end",
}


def encode(alert: Alert) -> bytes:
    """One document as a line of JSON."""
    return fit_record(alert, lambda told: json_line(document(told)))


def document(alert: Alert) -> dict[str, Any]:
    """The document as plain JSON; a field of which nothing is known is left out."""
    addresses = alert_fields.addresses(alert)
    known = [each for name in addresses if (each := alert_fields.parse_ip(name))]
    fields: dict[str, Any] = {
        "@timestamp": alert["time"],
        "ecs": {"version": VERSION},
        "message": f"{alert_fields.title(alert)}: {alert_fields.reason_text(alert)}",
        "tags": [alert_fields.PRODUCT],
        "event": _event(alert),
        "rule": {
            "id": alert_fields.rule_id(alert),
            "name": alert_fields.rule_name(alert),
            "category": "anomaly",
            "ruleset": alert_fields.PRODUCT,
            "version": str(alert["model"]),
        },
        "observer": {
            "vendor": alert_fields.PRODUCT, "product": alert_fields.PRODUCT, "version": __version__
        },
        "user": _user(alert),
        "group": {"name": alert["entity"]} if alert["entity_kind"] == GROUP else {},
        "source": _source(alert, addresses),
        "related": {
            "user": alert_fields.accounts(alert),
            "ip": alert_fields.deduplicate(known),
            "hosts": [name for name in addresses if not alert_fields.parse_ip(name)],
        },
        "threat": _threat(alert),
        "detector": alert,
    }  # fmt: skip
    fields["related"] = {key: names for key, names in fields["related"].items() if names}
    return {key: value for key, value in fields.items() if value}


def _event(alert: Alert) -> dict[str, Any]:
    return {
        "kind": "alert",
        "category": ["database"],
        "type": ["access"],
        "action": ACTIONS[alert["activity"]],
        "module": alert_fields.PRODUCT,
        "dataset": f"{alert_fields.PRODUCT}.alerts",
        "provider": alert_fields.PRODUCT,
        "id": alert["id"],
        "code": alert_fields.rule_id(alert),
        "severity": SEVERITIES[alert["severity"]],
        "risk_score": float(alert_fields.risk(alert)),
        "reason": alert_fields.reason_text(alert),
        "start": alert_fields.first_seen(alert).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": alert["time"],
    }


def _user(alert: Alert) -> dict[str, Any]:
    if alert["entity_kind"] != ACCOUNT:
        return {}
    return {"name": alert["entity"], "group": {"name": alert["group"]}}


def _source(alert: Alert, addresses: list[str]) -> dict[str, Any]:
    """The address itself, or the one an account came from: the new one, or its largest."""
    if alert["entity_kind"] not in (ACCOUNT, ADDRESS) or not addresses:
        return {}
    address = alert_fields.parse_ip(addresses[0])
    return {"address": addresses[0], **({"ip": address} if address else {})}


def _threat(alert: Alert) -> dict[str, Any]:
    found = attack.attacks(alert)
    if not found:
        return {}
    below = [each.sub_technique for each in found if each.sub_technique]
    technique = _parallel_lists([each.technique for each in found])
    return {
        "framework": attack.FRAMEWORK,
        "tactic": _parallel_lists([each.tactic for each in found if each.tactic]),
        "technique": {**technique, "subtechnique": _parallel_lists(below)} if below else technique,
    }


def _parallel_lists(named: list[attack.AttackEntry]) -> dict[str, list[str]]:
    once = list(dict.fromkeys(named))
    return {
        "id": [each.id for each in once],
        "name": [each.name for each in once],
        "reference": [each.url for each in once],
    }


FORMAT = Format("ecs", f"Elastic Common Schema {VERSION}", JSON, encode)
