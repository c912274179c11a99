"""The alert as it is, one JSON object."""

from __future__ import annotations

import json

from detector.alerts.alert import Alert
from detector.feed.format import Format


def encode(alert: Alert) -> bytes:
    """JSON in ASCII."""
    return json.dumps(alert, ensure_ascii=True).encode("ascii")


FORMAT = Format("native", "application/json", encode)
