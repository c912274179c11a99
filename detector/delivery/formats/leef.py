r"""IBM QRadar's Log Event Extended Format 2.0.

https://www.ibm.com/docs/en/dsm?topic=leef-overview. The header's fields stand between ``|``, its
last is the character between attributes: ``^``, as in IBM's example, since rsyslog rewrites the tab
of LEEF 1.0 on the way (as ``#011``). LEEF has no escapes: "avoid tab, pipe, or caret delimiters in
your event payload". So what would end a value is made visible (``feed.text``), and only the first
``=`` ends a key.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from detector import __version__
from detector.alerts.alert import Alert
from detector.delivery import alert_fields
from detector.delivery.escaping import escape_hidden, fit_text, join_names
from detector.delivery.format import TEXT, Format

CARET: Final = "^"
TAB: Final = "\t"
#: Characters that are no part of a key, a number, a list or of what says that text was cut.
DELIMITERS: Final = (CARET, TAB, "~", ";", "#", "&", "$", "@")
#: 1 to 10.
SEVERITIES: Final = {"low": 3, "medium": 5, "high": 8, "critical": 10}
#: Bytes of a name, of a list and of the reasons: QRadar takes 4,096 of a message by default.
MAX_NAME_BYTES: Final = 250
MAX_LIST_BYTES: Final = 250
MAX_REASON_BYTES: Final = 600
#: A pattern of Java's SimpleDateFormat, which devTimeFormat is.
TIME_PATTERN: Final = "yyyy-MM-dd'T'HH:mm:ss.SSSZ"


def encode(alert: Alert, delimiter: str = CARET) -> bytes:
    """``LEEF:2.0|...``, without a syslog header.

    ``delimiter`` is one of DELIMITERS.
    """
    if delimiter not in DELIMITERS:
        raise ValueError(f"{delimiter!r} cannot stand between attributes")

    def value(text: str) -> str:
        return escape_hidden(text, also=delimiter)

    head = "|".join(
        (
            "LEEF:2.0",
            alert_fields.PRODUCT,
            alert_fields.PRODUCT,
            __version__,
            alert_fields.rule_id(alert),
            "x09" if delimiter == TAB else delimiter,
        )
    )
    pairs = [
        f"{key}={fit_text(text, most, value)}" for key, text, most in _attributes(alert) if text
    ]
    lists = [
        f"{key}={written}"
        for key, names in _list_attributes(alert).items()
        if (
            written := join_names(
                names, MAX_LIST_BYTES, lambda text: text.replace(delimiter, value(delimiter))
            )
        )
    ]
    return f"{head}|{delimiter.join([*pairs, *lists])}".encode()


def _attributes(alert: Alert) -> list[tuple[str, str, int]]:
    """Key, value, most bytes. First QRadar's own keys, then ours."""
    accounts, addresses, objects = (
        part(alert)
        for part in (alert_fields.accounts, alert_fields.addresses, alert_fields.objects)
    )
    first = addresses[0] if addresses else ""
    address = alert_fields.parse_ip(first)
    at = alert_fields.fire_time(alert).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return [
        ("devTime", at, MAX_NAME_BYTES),
        ("devTimeFormat", TIME_PATTERN, MAX_NAME_BYTES),
        ("cat", alert["entity_kind"], MAX_NAME_BYTES),
        ("sev", str(SEVERITIES[alert["severity"]]), MAX_NAME_BYTES),
        ("usrName", accounts[0] if accounts else "", MAX_NAME_BYTES),
        # QRadar takes nothing but an address here.
        ("src", address or "", MAX_NAME_BYTES),
        ("clientHost", "" if address else first, MAX_NAME_BYTES),
        ("resource", objects[0] if objects else "", MAX_NAME_BYTES),
        ("alertId", alert["id"], MAX_NAME_BYTES),
        ("activity", alert["activity"], MAX_NAME_BYTES),
        ("firstAlert", alert["alert"], MAX_NAME_BYTES),
        ("incident", alert["incident"], MAX_NAME_BYTES),
        ("entity", alert["entity"], MAX_NAME_BYTES),
        ("entityGroup", alert["group"], MAX_NAME_BYTES),
        ("severityName", alert["severity"], MAX_NAME_BYTES),
        ("risk", str(alert_fields.risk(alert)), MAX_NAME_BYTES),
        ("surprise", str(alert["surprise"]), MAX_NAME_BYTES),
        ("threshold", str(alert["threshold"]), MAX_NAME_BYTES),
        ("records", str(alert["rows"]), MAX_NAME_BYTES),
        ("expectedRecords", str(alert["expected_rows"]), MAX_NAME_BYTES),
        ("recordsOut", str(alert["records_out"]), MAX_NAME_BYTES),
        (
            "statements",
            "" if alert["statements"] is None else str(alert["statements"]),
            MAX_NAME_BYTES,
        ),
        ("since", alert["since"], MAX_NAME_BYTES),
        ("model", str(alert["model"]), MAX_NAME_BYTES),
        ("reasons", alert_fields.reason_text(alert), MAX_REASON_BYTES),
    ]


def _list_attributes(alert: Alert) -> dict[str, list[str]]:
    return {
        "triggers": alert["triggers"],
        "techniques": [each["id"] for each in alert["techniques"]],
        # The latest first: a long list is cut at its end.
        "relatedAlerts": alert["related"][::-1],
        "accounts": alert_fields.accounts(alert),
        "clientAddresses": alert_fields.addresses(alert),
        "objects": alert_fields.objects(alert),
    }


FORMAT = Format(
    "leef",
    "IBM Log Event Extended Format 2.0, ^ between attributes",
    TEXT,
    encode,
    variants=(
        Format(
            "leef-tab",
            "IBM Log Event Extended Format 2.0, tab between attributes",
            TEXT,
            partial(encode, delimiter=TAB),
        ),
    ),
)
