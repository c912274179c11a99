"""Alerts cut to what receivers take whole: the larger a theft, the longer its lists.

An account that touches 10,000 tables makes an alert of a megabyte, which Kafka refuses and syslog
servers cut to pieces. So every list and every text is cut in what is sent; ``cut`` says how many
there were. The store has the alert as it was raised.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from detector.alerts.alert import Alert

#: Bytes of a record that receivers of JSON take whole by default (Wazuh's 64 kB, Elastic's 32,766
#: of a keyword), of a syslog message (rsyslog's 8 KiB), and of one over UDP (QRadar's 4,096).
JSON_BYTES: Final = 32_000
SYSLOG_BYTES: Final = 8_000
UDP_BYTES: Final = 4_096


class Level(NamedTuple):
    """The most of a list, of a text in bytes of JSON, and of features."""

    items: int
    text: int
    features: int


#: One after the other until a record fits.
LEVELS: Final = (
    Level(50, 4000, 1000),
    Level(20, 1000, 1000),
    Level(10, 500, 40),
    Level(5, 250, 20),
    Level(3, 150, 10),
    Level(1, 100, 5),
    Level(0, 60, 0),
)
#: Lists whose latest items stand last, and are kept.
_LATEST_LAST: Final = frozenset({"related", "verdicts", "triggers"})
#: Names of which the strongest are known by the figures beside them.
_RANKED: Final = {"new_objects": "top_objects", "new_client_addresses": "top_client_addresses"}


def fitted(alert: Alert, encode: Callable[[Alert], bytes], most: int = JSON_BYTES) -> bytes:
    """The record of ``alert``, cut so that it has at most ``most`` bytes, as far as that goes."""
    record = b""
    for level in LEVELS:
        record = encode(capped(alert, level))
        if len(record) <= most:
            break
    return record


def capped(alert: Alert, level: Level = LEVELS[0]) -> Alert:
    """``alert`` with shorter lists and texts; itself where nothing is too long.

    ``cut`` has the key of each that was cut, and how many items or characters it had.
    """
    cut: dict[str, int] = {}
    told = {key: _value(key, value, alert, level, cut) for key, value in alert.items()}
    return {**told, "cut": {**alert.get("cut", {}), **cut}} if cut else alert


def _value(key: str, value: Any, alert: Alert, level: Level, cut: dict[str, int]) -> Any:
    if key == "features":
        return _features(value, level, cut)
    if isinstance(value, list) and len(value) > level.items:
        cut[key] = len(value)
        value = _strongest(key, value, alert, level.items)
    return _short(value, level.text, key, cut)


def _strongest(key: str, items: list[Any], alert: Alert, most: int) -> list[Any]:
    if key in _LATEST_LAST:
        return items[len(items) - most :]
    known = {
        each["name"]: place for place, each in enumerate(alert.get(_RANKED.get(key, "")) or [])
    }
    return (
        sorted(items, key=lambda item: known.get(item, len(known)))[:most]
        if known
        else items[:most]
    )


def _features(features: Mapping[str, Any], level: Level, cut: dict[str, int]) -> dict[str, Any]:
    """The oddest."""
    if len(features) <= level.features:
        return dict(features)
    cut["features"] = len(features)
    odd = sorted(features, key=lambda name: -(features[name].get("surprise") or 0.0))
    chosen = set(odd[: level.features])
    return {name: value for name, value in features.items() if name in chosen}


def _short(value: Any, most: int, key: str, cut: dict[str, int]) -> Any:
    """Texts of at most ``most`` bytes of JSON, also within lists and objects."""
    if isinstance(value, str):
        if _size(value) <= most:
            return value
        cut.setdefault(key, len(value))
        low, high = 0, min(len(value), most)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (
                (middle, high) if _size(_noted(value, middle)) <= most else (low, middle - 1)
            )
        return _noted(value, low)
    if isinstance(value, list):
        return [_short(each, most, key, cut) for each in value]
    if isinstance(value, dict):
        return {name: _short(each, most, f"{key}.{name}", cut) for name, each in value.items()}
    return value


def _noted(text: str, kept: int) -> str:
    return f"{text[:kept]}...({len(text) - kept:,} more)"


def _size(text: str) -> int:
    return len(text) if text.isascii() and text.isprintable() else len(json.dumps(text)) - 2
