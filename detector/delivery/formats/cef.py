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
from detector.delivery.escaping import escape_hidden, fit_text, join_names
from detector.delivery.format import TEXT, Format
from detector.features.aggregates import ACCOUNT

#: 0-3 low, 4-6 medium, 7-8 high, 9-10 very high.
SEVERITIES: Final = {"low": 3, "medium": 5, "high": 8, "critical": 10}
#: Bytes of a name, of a list and of the reasons: together below the 8 KiB that rsyslog takes.
MAX_NAME_BYTES: Final = 500
MAX_LIST_BYTES: Final = 700
MAX_REASON_BYTES: Final = 1000
#: The dictionary's Integer is of 32 bits; Long, for cn1 to cn3, of 64.
_MAX_INTEGER: Final = 2**31 - 1


def escape_value(text: str) -> str:
    """``text`` as the value of an extension."""
    return "".join(
        {"\n": "\\n", "\r": "\\r"}.get(part)
        or escape_hidden(part).replace("\\", "\\\\").replace("=", "\\=")
        for part in re.split(r"([\r\n])", text)
    )


def escape_header(text: str) -> str:
    """``text`` as a field of the header."""
    return escape_hidden(text).replace("\\", "\\\\").replace("|", "\\|")


def encode(alert: Alert) -> bytes:
    """``CEF:0|...``, without a syslog header."""
    head = "|".join(
        escape_header(field)
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
        "rt": str(alert_fields.epoch_millis(alert_fields.fire_time(alert))),
        "start": str(alert_fields.epoch_millis(alert_fields.first_seen(alert))),
        "end": str(alert_fields.epoch_millis(alert_fields.fire_time(alert))),
        "cat": "Database",
        "act": "alert" if alert["activity"] == CREATE else alert["activity"],
        "cnt": str(min(alert["statements"] or 0, _MAX_INTEGER)),
        **_account_fields(alert),
        **_source_fields(alert),
        **_number_fields(alert),
        **_string_fields(alert),
        **_episode_fields(alert),
        "msg": fit_text(alert_fields.title(alert), MAX_NAME_BYTES, escape_value),
        "reason": fit_text(alert_fields.reason_text(alert), MAX_REASON_BYTES, escape_value),
    }
    return {key: value for key, value in told.items() if value}


def _account_fields(alert: Alert) -> dict[str, str]:
    """The account is both who read and the database's user; of other entities, the largest."""
    names = alert_fields.accounts(alert)
    if not names:
        return {}
    name = fit_text(names[0], MAX_NAME_BYTES, escape_value)
    return {"suser": name, "duser": name} if alert["entity_kind"] == ACCOUNT else {"suser": name}


def _source_fields(alert: Alert) -> dict[str, str]:
    """``src`` takes IPv4 only; IPv6 has a key with a label of its own, names have ``shost``."""
    names = alert_fields.addresses(alert)
    if not names:
        return {}
    address = alert_fields.parse_ip(names[0])
    if address is None:
        return {"shost": fit_text(names[0], MAX_NAME_BYTES, escape_value)}
    if ipaddress.ip_address(address).version == 4:
        return {"src": address}
    return {"c6a2": address, "c6a2Label": "Source IPv6 Address"}


def _number_fields(alert: Alert) -> dict[str, str]:
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


def _string_fields(alert: Alert) -> dict[str, str]:
    labelled = {
        "cs1": ("entity", fit_text(alert["entity"], MAX_NAME_BYTES, escape_value)),
        "cs2": ("incident", escape_value(alert["incident"])),
        # The latest first: a long list is cut at its end.
        "cs3": (
            "relatedAlerts",
            join_names(reversed(alert["related"]), MAX_LIST_BYTES, _escape_item),
        ),
        "cs4": ("objects", join_names(alert_fields.objects(alert), MAX_LIST_BYTES, _escape_item)),
        "cs5": ("accounts", join_names(alert_fields.accounts(alert), MAX_LIST_BYTES, _escape_item)),
        "cs6": (
            "techniques",
            join_names((each["id"] for each in alert["techniques"]), MAX_NAME_BYTES, _escape_item),
        ),
        "flexString1": ("group", fit_text(alert["group"], MAX_NAME_BYTES, escape_value)),
        "flexString2": (
            "clientAddresses",
            join_names(alert_fields.addresses(alert), MAX_NAME_BYTES, _escape_item),
        ),
    }
    return {
        name: value
        for key, (label, text) in labelled.items()
        if text
        for name, value in ((key, text), (f"{key}Label", label))
    }


def _episode_fields(alert: Alert) -> dict[str, str]:
    """The first alert of the episode, where this is news of it, and what is new. The dictionary has
    no key that is free: these are our own, named as chapter 3 asks.
    """
    if alert["activity"] == CREATE:
        return {}
    return {
        "detectorAlert": escape_value(alert["alert"]),
        "detectorTriggers": join_names(alert["triggers"], MAX_NAME_BYTES, _escape_item),
    }


def _escape_item(text: str) -> str:
    # Names of a list are visible already, new lines too.
    return text.replace("\\", "\\\\").replace("=", "\\=")


FORMAT = Format("cef", "ArcSight Common Event Format, CEF:0", TEXT, encode)
