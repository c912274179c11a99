"""Alerts cut to what receivers take whole: the larger a theft, the longer its lists.

An account that touches 10,000 tables makes an alert of a megabyte, which Kafka refuses and syslog
servers cut to pieces. So every list and every text is cut in what is sent; ``cut`` says how many
there were. The store has the alert as it was raised.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from detector.alerts.alert import Alert

#: Bytes of a record that receivers of JSON take whole by default (Wazuh's 64 kB, Elastic's 32,766
#: of a keyword), of a syslog message (rsyslog's 8 KiB), and of one over UDP (QRadar's 4,096).
JSON_BYTES: Final = 32_000
SYSLOG_BYTES: Final = 8_000
UDP_BYTES: Final = 4_096


class Limits(NamedTuple):
    """The most of a list, of a text in bytes of JSON, and of features."""

    items: int
    text: int
    features: int


#: One after the other until a record fits.
LIMIT_STEPS: Final = (
    Limits(50, 4000, 1000),
    Limits(20, 1000, 1000),
    Limits(10, 500, 40),
    Limits(5, 250, 20),
    Limits(3, 150, 10),
    Limits(1, 100, 5),
    Limits(0, 60, 0),
)
#: Lists whose latest items stand last, and are kept.
_NEWEST_LAST_KEYS: Final = frozenset({"related", "verdicts", "triggers"})
#: Names of which the strongest are known by the figures beside them.
_RANKING_KEYS: Final = {
    "new_objects": "top_objects",
    "new_client_addresses": "top_client_addresses",
}


def fit_record(alert: Alert, encode: Callable[[Alert], bytes], most: int = JSON_BYTES) -> bytes:
    """The record of ``alert``, cut so that it has at most ``most`` bytes, as far as that goes."""
    record = b""
    for level in LIMIT_STEPS:
        record = encode(apply_limits(alert, level))
        if len(record) <= most:
            break
    return record


def apply_limits(alert: Alert, level: Limits = LIMIT_STEPS[0]) -> Alert:
    """``alert`` with shorter lists and texts; itself where nothing is too long.

    ``cut`` has the key of each that was cut, and how many items or characters it had.
    """
    cut: dict[str, int] = {}
    limited = {key: _limit_value(key, value, alert, level, cut) for key, value in alert.items()}
    # Keys and kinds of values are as they were.
    return cast("Alert", {**limited, "cut": {**alert.get("cut", {}), **cut}}) if cut else alert


def _limit_value(key: str, value: Any, alert: Alert, level: Limits, cut: dict[str, int]) -> Any:
    if key == "features":
        return _limit_features(value, level, cut)
    if isinstance(value, list) and len(value) > level.items:
        cut[key] = len(value)
        value = _select_items(key, value, alert, level.items)
    return _limit_text(value, level.text, key, cut)


def _select_items(key: str, items: list[Any], alert: Alert, most: int) -> list[Any]:
    if key in _NEWEST_LAST_KEYS:
        return items[len(items) - most :]
    ranking = cast("Mapping[str, Any]", alert).get(_RANKING_KEYS.get(key, "")) or ()
    known = {each["name"]: place for place, each in enumerate(ranking)}
    return (
        sorted(items, key=lambda item: known.get(item, len(known)))[:most]
        if known
        else items[:most]
    )


def _limit_features(
    features: Mapping[str, Any], level: Limits, cut: dict[str, int]
) -> dict[str, Any]:
    """The oddest."""
    if len(features) <= level.features:
        return dict(features)
    cut["features"] = len(features)
    odd = sorted(features, key=lambda name: -(features[name].get("surprise") or 0.0))
    chosen = set(odd[: level.features])
    return {name: value for name, value in features.items() if name in chosen}


def _limit_text(value: Any, most: int, key: str, cut: dict[str, int]) -> Any:
    """Texts of at most ``most`` bytes of JSON, also within lists and objects."""
    if isinstance(value, str):
        if _json_size(value) <= most:
            return value
        cut.setdefault(key, len(value))
        low, high = 0, min(len(value), most)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (
                (middle, high)
                if _json_size(_cut_text(value, middle)) <= most
                else (low, middle - 1)
            )
        return _cut_text(value, low)
    if isinstance(value, list):
        return [_limit_text(each, most, key, cut) for each in value]
    if isinstance(value, dict):
        return {name: _limit_text(each, most, f"{key}.{name}", cut) for name, each in value.items()}
    return value


def _cut_text(text: str, kept: int) -> str:
    return f"{text[:kept]}...({len(text) - kept:,} more)"


def _json_size(text: str) -> int:
    return len(text) if text.isascii() and text.isprintable() else len(json.dumps(text)) - 2
