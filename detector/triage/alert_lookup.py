"""Alerts as they lie in files, in whatever JSON they were written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from detector.alerts.alert import Alert
from detector.core.errors import VerdictError
from detector.features.feature import Family
from detector.triage.subjects import Subject

#: Where OCSF and ECS keep the whole native alert.
NATIVE_KEYS: Final = ("unmapped", "detector")


def native_alert(raw: object) -> Alert | None:
    """The native alert in a JSON object: the object itself, or within; null where none is."""
    if not isinstance(raw, dict):
        return None
    found = (each for each in (raw, *map(raw.get, NATIVE_KEYS)) if isinstance(each, dict))
    native = next((each for each in found if "id" in each and "features" in each), None)
    return cast("Alert | None", native)


def read_alerts(path: Path, families: Sequence[Family]) -> list[Alert]:
    """The alerts of an NDJSON file that ``score`` wrote; none where it is not there.

    Raises VerdictError, with the line, for what is no alert.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise VerdictError(f"cannot be read: {error.strerror}", where=path) from error
    return [
        _parse_alert(line, number, path, families) for number, line in enumerate(lines, start=1)
    ]


def _parse_alert(line: bytes, number: int, path: Path, families: Sequence[Family]) -> Alert:
    try:
        alert = native_alert(json.loads(line))
        if alert is not None:
            Subject.from_alert(alert, families)
            return alert
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        pass
    hint = "it must be as detector score wrote it"
    raise VerdictError(f"line {number} is no alert", where=path, hint=hint)
