r"""A syslog message with structured data, RFC 5424: figures for machines, a sentence for people.

https://www.rfc-editor.org/rfc/rfc5424. In values ``"``, ``\`` and ``]`` take a backslash (6.3.3);
control characters, which "receivers may modify", are made visible first (``feed.text``).
"""

from __future__ import annotations

import codecs
from typing import Final

from detector.alerts.alert import Alert
from detector.delivery import alert_fields, syslog_header
from detector.delivery.escaping import escape_hidden, fit_text, join_names
from detector.delivery.format import TEXT, Format

#: 32473 is the enterprise number for documentation (RFC 5612): we have none of our own, and an
#: identifier without one would claim to be registered (7.2.2).
SD_ID: Final = "detector@32473"
#: Bytes of a name, of a list and of the sentence.
MAX_NAME_BYTES: Final = 500
MAX_LIST_BYTES: Final = 500
MAX_SENTENCE_BYTES: Final = 2000


def escape_value(text: str) -> str:
    """``text`` as the value of a parameter, without its quotes."""
    return _escape_quotes(escape_hidden(text))


def _escape_quotes(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def encode(alert: Alert, facility: str = syslog_header.FACILITY, host: str | None = None) -> bytes:
    """The whole message, header and all, without the framing of a transport."""
    pairs = " ".join(f'{key}="{value}"' for key, value in parameters(alert).items())
    sentence = (
        f"{alert['severity']}: {alert_fields.title(alert)}: {alert_fields.reason_text(alert)}"
    )
    head = f"{syslog_header.format_header(alert, facility, host)} [{SD_ID} {pairs}] "
    # 6.4: a message in UTF-8 begins with the byte order mark.
    return head.encode() + codecs.BOM_UTF8 + fit_text(sentence, MAX_SENTENCE_BYTES).encode()


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
            key: fit_text(str(value), MAX_NAME_BYTES, escape_value)
            for key, value in plain.items()
            if value is not None
        },
        **{k: join_names(v, MAX_LIST_BYTES, _escape_quotes) for k, v in lists.items() if v},
    }


FORMAT = Format(
    "rfc5424", "Syslog message with structured data, RFC 5424", TEXT, encode, is_syslog=True
)
