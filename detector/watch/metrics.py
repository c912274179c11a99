"""Figures for Prometheus, by its own client, on the loopback address only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from detector.core.errors import SettingsError

HOST: Final = "127.0.0.1"
GAUGES: Final = {
    "lag_bytes": "Bytes of logs that were not read yet",
    "last_event_time_seconds": "Time of the newest event",
    "events_per_second": "Events taken in lately",
    "open_days": "Days that are not in the ledger yet",
    "days_to_score": "Days to be scored, or scored anew",
    "logs": "Logs that are followed",
}


def serve(port: int) -> Callable[[dict[str, Any]], None]:
    """Serves what the function it gives is told (see ``standing``). Raises SettingsError."""
    try:
        from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
    except ImportError:
        hint = "pip install 'detector[metrics]'"
        raise SettingsError(
            "needs the prometheus-client package", where="--metrics", hint=hint
        ) from None
    registry = CollectorRegistry()
    gauges = {
        name: Gauge(f"detector_{name}", words, registry=registry) for name, words in GAUGES.items()
    }
    events = Counter("detector_events", "Events taken in", registry=registry)
    alerts = Counter("detector_alerts", "Alerts raised", registry=registry)
    seen = {"events": 0, "alerts": 0}
    try:
        start_http_server(port, HOST, registry)
    except OSError as error:
        what = f"port {port} cannot be served ({error.strerror or error})"
        raise SettingsError(what, where="--metrics", hint="name another port") from error

    def told(found: dict[str, Any]) -> None:
        for name in ("lag_bytes", "events_per_second", "days_to_score"):
            gauges[name].set(found[name])
        gauges["open_days"].set(len(found["open_days"]))
        gauges["logs"].set(len(found["logs"]))
        if found["last_event"]:
            last = datetime.fromisoformat(found["last_event"]).timestamp()
            gauges["last_event_time_seconds"].set(last)
        for name, counter in (("events", events), ("alerts", alerts)):
            counter.inc(max(0, found[name] - seen[name]))
            seen[name] = found[name]

    return told
