r"""ArcSight's Common Event Format, as ArcSight, Microsoft Sentinel and many others read it.

"ArcSight Common Event Format, Implementing CEF", version 23, chapters 1 (escaping) and 2 (keys).
In the header ``\`` and ``|`` take a backslash, in an extension ``\`` and ``=``; a new line is
``\n`` or ``\r`` and stands in extensions only. What CEF cannot carry is made visible first
(``feed.text``). Names are longer here than the dictionary's limits only by what escaping adds.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from detector import __version__
from detector.alerts.alert import CREATE, Alert
from detector.delivery import alert_fields
from detector.delivery.escaping import fitted, listed, visible
from detector.delivery.format import TEXT, Format
from detector.features.aggregates import ACCOUNT

#: 0-3 low, 4-6 medium, 7-8 high, 9-10 very high.
SEVERITIES: Final = {"low": 3, "medium": 5, "high": 8, "critical": 10}
#: Bytes of a name, of a list and of the reasons: together below the 8 KiB that rsyslog takes.
NAME: Final = 500
LIST: Final = 700
LONG: Final = 1000
#: The dictionary's Integer is of 32 bits; Long, for cn1 to cn3, of 64.
_MOST_COUNTED: Final = 2**31 - 1


def escaped(text: str) -> str:
    """``text`` as the value of an extension."""
    return "".join(
        {"\n": "\\n", "\r": "\\r"}.get(part)
        or visible(part).replace("\\", "\\\\").replace("=", "\\=")
        for part in re.split(r"([\r\n])", text)
    )


def header(text: str) -> str:
    """``text`` as a field of the header."""
    return visible(text).replace("\\", "\\\\").replace("|", "\\|")


def encode(alert: Alert) -> bytes:
    """``CEF:0|...``, without a syslog header."""
    head = "|".join(
        header(field)
        for field in (
            "CEF:0",
            alert_fields.PRODUCT,
            alert_fields.PRODUCT,
            __version__,
            alert_fields.rule_id(alert),
            alert_fields.rule_name(alert),
            str(SEVERITIES[alert["severity"]]),
        )
    )
    pairs = " ".join(f"{key}={value}" for key, value in extension(alert).items())
    return f"{head}|{pairs}".encode()


def extension(alert: Alert) -> dict[str, str]:
    """Keys of the dictionary and their escaped values; what is not known has no key."""
    told = {
        "externalId": alert["id"],
        "rt": str(alert_fields.millis(alert_fields.moment(alert))),
        "start": str(alert_fields.millis(alert_fields.first_seen(alert))),
        "end": str(alert_fields.millis(alert_fields.moment(alert))),
        "cat": "Database",
        "act": "alert" if alert["activity"] == CREATE else alert["activity"],
        "cnt": str(min(alert["statements"] or 0, _MOST_COUNTED)),
        **_who(alert),
        **_where(alert),
        **_numbers(alert),
        **_strings(alert),
        **_episode(alert),
        "msg": fitted(alert_fields.title(alert), NAME, escaped),
        "reason": fitted(alert_fields.why(alert), LONG, escaped),
    }
    return {key: value for key, value in told.items() if value}


def _who(alert: Alert) -> dict[str, str]:
    """The account is both who read and the database's user; of other entities, the largest."""
    names = alert_fields.accounts(alert)
    if not names:
        return {}
    name = fitted(names[0], NAME, escaped)
    return {"suser": name, "duser": name} if alert["entity_kind"] == ACCOUNT else {"suser": name}


def _where(alert: Alert) -> dict[str, str]:
    """``src`` takes IPv4 only; IPv6 has a key with a label of its own, names have ``shost``."""
    names = alert_fields.addresses(alert)
    if not names:
        return {}
    address = alert_fields.address_of(names[0])
    if address is None:
        return {"shost": fitted(names[0], NAME, escaped)}
    if ipaddress.ip_address(address).version == 4:
        return {"src": address}
    return {"c6a2": address, "c6a2Label": "Source IPv6 Address"}


def _numbers(alert: Alert) -> dict[str, str]:
    return {
        "cn1": str(alert["rows"]),
        "cn1Label": "rows",
        "cn2": str(alert["records_out"]),
        "cn2Label": "recordsOut",
        "cn3": str(round(alert["expected_rows"])),
        "cn3Label": "expectedRows",
        "cfp1": str(alert["surprise"]),
        "cfp1Label": "surprise",
        "cfp2": str(alert["threshold"]),
        "cfp2Label": "threshold",
    }


def _strings(alert: Alert) -> dict[str, str]:
    labelled = {
        "cs1": ("entity", fitted(alert["entity"], NAME, escaped)),
        "cs2": ("incident", escaped(alert["incident"])),
        # The latest first: a long list is cut at its end.
        "cs3": ("relatedAlerts", listed(reversed(alert["related"]), LIST, _doubled)),
        "cs4": ("objects", listed(alert_fields.objects(alert), LIST, _doubled)),
        "cs5": ("accounts", listed(alert_fields.accounts(alert), LIST, _doubled)),
        "cs6": ("techniques", listed((each["id"] for each in alert["techniques"]), NAME, _doubled)),
        "flexString1": ("group", fitted(alert["group"], NAME, escaped)),
        "flexString2": ("clientAddresses", listed(alert_fields.addresses(alert), NAME, _doubled)),
    }
    return {
        name: value
        for key, (label, text) in labelled.items()
        if text
        for name, value in ((key, text), (f"{key}Label", label))
    }


def _episode(alert: Alert) -> dict[str, str]:
    """The first alert of the episode, where this is news of it, and what is new. The dictionary has
    no key that is free: these are our own, named as chapter 3 asks.
    """
    if alert["activity"] == CREATE:
        return {}
    return {
        "detectorAlert": escaped(alert["alert"]),
        "detectorTriggers": listed(alert["triggers"], NAME, _doubled),
    }


def _doubled(text: str) -> str:
    # Names of a list are visible already, new lines too.
    return text.replace("\\", "\\\\").replace("=", "\\=")


FORMAT = Format("cef", "ArcSight Common Event Format, CEF:0", TEXT, encode)
