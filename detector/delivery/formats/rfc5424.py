r"""A syslog message with structured data, RFC 5424: figures for machines, a sentence for people.

https://www.rfc-editor.org/rfc/rfc5424. In values ``"``, ``\`` and ``]`` take a backslash (6.3.3);
control characters, which "receivers may modify", are made visible first (``feed.text``).
"""

from __future__ import annotations

import codecs
from typing import Final

from detector.alerts.alert import Alert
from detector.delivery import alert_fields, syslog_header
from detector.delivery.escaping import fitted, listed, visible
from detector.delivery.format import TEXT, Format

#: 32473 is the enterprise number for documentation (RFC 5612): we have none of our own, and an
#: identifier without one would claim to be registered (7.2.2).
SD_ID: Final = "detector@32473"
#: Bytes of a name, of a list and of the sentence.
NAME: Final = 500
LIST: Final = 500
LONG: Final = 2000


def quoted(text: str) -> str:
    """``text`` as the value of a parameter, without its quotes."""
    return _escaped(visible(text))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def encode(alert: Alert, facility: str = syslog_header.FACILITY, host: str | None = None) -> bytes:
    """The whole message, header and all, without the framing of a transport."""
    pairs = " ".join(f'{key}="{value}"' for key, value in parameters(alert).items())
    sentence = f"{alert['severity']}: {alert_fields.title(alert)}: {alert_fields.why(alert)}"
    head = f"{syslog_header.header(alert, facility, host)} [{SD_ID} {pairs}] "
    # 6.4: a message in UTF-8 begins with the byte order mark.
    return head.encode() + codecs.BOM_UTF8 + fitted(sentence, LONG).encode()


def parameters(alert: Alert) -> dict[str, str]:
    """Names of at most 32 ASCII characters (6.3.3) and escaped values."""
    plain = {
        "id": alert["id"],
        "activity": alert["activity"],
        "alert": alert["alert"],
        "began": alert["began"],
        "incident": alert["incident"],
        "rule": alert_fields.rule_id(alert),
        "kind": alert["entity_kind"],
        "entity": alert["entity"],
        "group": alert["group"],
        "severity": alert["severity"],
        "risk": alert_fields.risk(alert),
        "surprise": alert["surprise"],
        "threshold": alert["threshold"],
        "rows": alert["rows"],
        "expectedRows": alert["expected_rows"],
        "recordsOut": alert["records_out"],
        "statements": alert["statements"],
        "since": alert["since"],
        "model": alert["model"],
    }
    lists = {
        "triggers": alert["triggers"],
        "techniques": [each["id"] for each in alert["techniques"]],
        # The latest first: a long list is cut at its end.
        "related": alert["related"][::-1],
        "accounts": alert_fields.accounts(alert),
        "addresses": alert_fields.addresses(alert),
        "objects": alert_fields.objects(alert),
    }
    return {
        **{
            key: fitted(str(value), NAME, quoted)
            for key, value in plain.items()
            if value is not None
        },
        **{key: listed(names, LIST, _escaped) for key, names in lists.items() if names},
    }


FORMAT = Format(
    "rfc5424", "Syslog message with structured data, RFC 5424", TEXT, encode, is_syslog=True
)
