"""The alert as detector itself knows it; its keys are described in docs/alerts.md."""

from __future__ import annotations

import json

from detector.alerts.alert import Alert
from detector.delivery.format import JSON, Format
from detector.delivery.truncation import fit_record


def encode(alert: Alert) -> bytes:
    """The alert as it is, but for what is too long, as one line of JSON in ASCII."""
    return fit_record(alert, lambda told: json.dumps(told, ensure_ascii=True).encode("ascii"))


FORMAT = Format("native", "detector's own JSON, as in docs/alerts.md", JSON, encode)
