"""What every format tells of an alert, in the terms that SIEMs share."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from detector.alerts.alert import CLOSE, CREATE, UPDATE, Alert
from detector.alerts.severity import SEVERITY_ORDER
from detector.alerts.top_entities import TopValue
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT

PRODUCT: Final = "detector"
#: The kind of an alert that is of no entity: what is in a log cannot be judged, or not wholly.
LOG: Final = "log"
#: What a rule is to a SIEM: one per kind of entity. Never renamed, since people filter by it.
RULES: Final = {
    ACCOUNT: ("unusual_reading.account", "Unusual reading by an account"),
    ADDRESS: ("unusual_reading.client_address", "Unusual reading from a client address"),
    GROUP: ("unusual_reading.group", "Unusual reading by a group"),
    OBJECT: ("unusual_reading.object", "Unusual reading of a table"),
    LOG: ("watching.log", "A log that cannot be judged"),
}
_TITLES: Final = {
    ACCOUNT: "Unusual reading by account",
    ADDRESS: "Unusual reading from client address",
    GROUP: "Unusual reading by group",
    OBJECT: "Unusual reading of table",
    LOG: "Not judged: log",
}
#: What a title begins with, by what the message is of its episode.
_TITLE_PREFIXES: Final = {CREATE: "", UPDATE: "Update: ", CLOSE: "Ended: "}
#: A name in a title is cut there; its own field has it whole.
_MAX_TITLE_NAME: Final = 100


def rule_id(alert: Alert) -> str:
    """The id of the rule that a SIEM may filter by."""
    return RULES[alert["entity_kind"]][0]


def rule_name(alert: Alert) -> str:
    """The same for all alerts of a kind."""
    return RULES[alert["entity_kind"]][1]


def title(alert: Alert) -> str:
    """What and who."""
    name = alert["entity"]
    shown = name if len(name) <= _MAX_TITLE_NAME else f"{name[:_MAX_TITLE_NAME]}..."
    return f"{_TITLE_PREFIXES[alert['activity']]}{_TITLES[alert['entity_kind']]} {shown}"


def reason_text(alert: Alert) -> str:
    """The reasons in one line."""
    return "; ".join(alert["reasons"])


def risk(alert: Alert) -> int:
    """0 to 99: the severity's quarter, and within it how far the surprise is over the threshold.

    The upper end of a quarter is an alert whose odds are a thousand times longer than it takes.
    """
    beyond = min(max(float(alert["surprise"] - alert["threshold"]), 0.0), 3.0) / 3.0
    return 25 * SEVERITY_ORDER.index(alert["severity"]) + round(24 * beyond)


def fire_time(alert: Alert) -> datetime:
    """When it rang."""
    return datetime.fromisoformat(alert["time"])


def first_seen(alert: Alert) -> datetime:
    """The beginning of ``since``, at the latest of the hour in which the alert rang.

    An alert names days of the organisation's time zone but not the zone: midnight is UTC's.
    """
    since = datetime.fromisoformat(alert["since"]).replace(tzinfo=UTC)
    return min(since, fire_time(alert) - timedelta(hours=1))


def epoch_millis(time: datetime) -> int:
    """Milliseconds since 1970."""
    return round(time.timestamp()) * 1000


def parse_ip(text: str) -> str | None:
    """``text`` as an IP address without a zone, in its usual writing; None where it is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None:
        return None
    return str(found)


def accounts(alert: Alert) -> list[str]:
    """The account, or those behind the entity, most records first."""
    return _names(alert, ACCOUNT, alert["top_accounts"])


def addresses(alert: Alert) -> list[str]:
    """The client address, or those the entity came from; the new ones among them first."""
    fresh = alert["new_client_addresses"] or []
    largest = _names(alert, ADDRESS, alert["top_client_addresses"])
    return [*(name for name in largest if name in fresh),
            *(name for name in largest if name not in fresh)]  # fmt: skip


def objects(alert: Alert) -> list[str]:
    """The table, or those the entity read the most from."""
    return _names(alert, OBJECT, alert["top_objects"])


def _names(alert: Alert, kind: str, top: Sequence[TopValue]) -> list[str]:
    own = [alert["entity"]] if alert["entity_kind"] == kind else []
    return deduplicate([*own, *(each["name"] for each in top)])


def deduplicate(names: Iterable[str]) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(names))
