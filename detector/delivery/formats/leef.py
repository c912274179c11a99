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
from detector.delivery.escaping import fitted, listed, visible
from detector.delivery.format import TEXT, Format

CARET: Final = "^"
TAB: Final = "\t"
#: Characters that are no part of a key, a number, a list or of what says that text was cut.
DELIMITERS: Final = (CARET, TAB, "~", ";", "#", "&", "$", "@")
#: 1 to 10.
SEVERITIES: Final = {"low": 3, "medium": 5, "high": 8, "critical": 10}
#: Bytes of a name, of a list and of the reasons: QRadar takes 4,096 of a message by default.
NAME: Final = 250
LIST: Final = 250
LONG: Final = 600
#: A pattern of Java's SimpleDateFormat, which devTimeFormat is.
TIME_PATTERN: Final = "yyyy-MM-dd'T'HH:mm:ss.SSSZ"


def encode(alert: Alert, delimiter: str = CARET) -> bytes:
    """``LEEF:2.0|...``, without a syslog header.

    ``delimiter`` is one of DELIMITERS.
    """
    if delimiter not in DELIMITERS:
        raise ValueError(f"{delimiter!r} cannot stand between attributes")

    def value(text: str) -> str:
        return visible(text, also=delimiter)

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
    pairs = [f"{key}={fitted(text, most, value)}" for key, text, most in _told(alert) if text]
    lists = [
        f"{key}={written}"
        for key, names in _lists(alert).items()
        if (written := listed(names, LIST, lambda text: text.replace(delimiter, value(delimiter))))
    ]
    return f"{head}|{delimiter.join([*pairs, *lists])}".encode()


def _told(alert: Alert) -> list[tuple[str, str, int]]:
    """Key, value, most bytes. First QRadar's own keys, then ours."""
    accounts, addresses, objects = (
        part(alert)
        for part in (alert_fields.accounts, alert_fields.addresses, alert_fields.objects)
    )
    first = addresses[0] if addresses else ""
    address = alert_fields.address_of(first)
    at = alert_fields.moment(alert).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return [
        ("devTime", at, NAME),
        ("devTimeFormat", TIME_PATTERN, NAME),
        ("cat", alert["entity_kind"], NAME),
        ("sev", str(SEVERITIES[alert["severity"]]), NAME),
        ("usrName", accounts[0] if accounts else "", NAME),
        # QRadar takes nothing but an address here.
        ("src", address or "", NAME),
        ("clientHost", "" if address else first, NAME),
        ("resource", objects[0] if objects else "", NAME),
        ("alertId", alert["id"], NAME),
        ("activity", alert["activity"], NAME),
        ("firstAlert", alert["alert"], NAME),
        ("incident", alert["incident"], NAME),
        ("entity", alert["entity"], NAME),
        ("entityGroup", alert["group"], NAME),
        ("severityName", alert["severity"], NAME),
        ("risk", str(alert_fields.risk(alert)), NAME),
        ("surprise", str(alert["surprise"]), NAME),
        ("threshold", str(alert["threshold"]), NAME),
        ("records", str(alert["rows"]), NAME),
        ("expectedRecords", str(alert["expected_rows"]), NAME),
        ("recordsOut", str(alert["records_out"]), NAME),
        ("statements", "" if alert["statements"] is None else str(alert["statements"]), NAME),
        ("since", alert["since"], NAME),
        ("model", str(alert["model"]), NAME),
        ("reasons", alert_fields.why(alert), LONG),
    ]


def _lists(alert: Alert) -> dict[str, list[str]]:
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
