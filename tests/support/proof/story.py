"""The alerts of the proof, and where they go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from receivers.splunk import TOKEN

from detector import registry
from detector.delivery.routing import Route, build_routes
from detector.delivery.test_alert import build_test_alert

START = datetime(2024, 2, 5, tzinfo=UTC)
ENTITIES = 150
#: The sinks whose receivers are processes of ours, each with a port.
SERVED = ("webhook", "splunk", "elastic", "syslog", "mail")
TOPIC = "alerts"


def alert(seed: int, number: int) -> dict[str, Any]:
    """The alert of this number; the same in every process."""
    identity = hashlib.sha256(f"{seed} {number}".encode()).hexdigest()[:20]
    entity = int(identity[:6], 16) % ENTITIES
    own = {
        "id": identity,
        "alert": identity,
        "incident": identity,
        "entity": f"account {entity}",
        "rows": number,
    }
    return {**build_test_alert(START + timedelta(minutes=number)), **own}


@dataclass(frozen=True)
class Place:
    """Where a proof takes place, and the ports of its receivers."""

    folder: Path
    ports: dict[str, int]
    brokers: str

    @property
    def outbox(self) -> Path:
        """The outbox under proof."""
        return self.folder / "outbox"

    def arrivals(self, name: str) -> Path:
        """What a receiver notes: an id and the hash of its record, a line each."""
        return self.folder / f"{name}.arrived"

    def routes(self) -> list[Route]:
        """All sinks, with small batches, so that much can happen between two."""
        token = self.folder / "token"
        token.write_text(TOKEN, encoding="utf-8")
        urls = {
            "file": f"file://{self.folder}/file/alerts.ndjson",
            "webhook": f"http://127.0.0.1:{self.ports['webhook']}/in",
            "splunk": f"splunk+http://127.0.0.1:{self.ports['splunk']}",
            "elastic": f"elastic+http://127.0.0.1:{self.ports['elastic']}/alerts",
            "syslog": f"syslog+tcp://127.0.0.1:{self.ports['syslog']}",
            "mail": f"smtp://127.0.0.1:{self.ports['mail']}",
            "kafka": f"kafka://{self.brokers}/{TOPIC}",
        }
        more: dict[str, dict[str, Any]] = {
            "file": {"rotate_bytes": 60_000, "batch": 20},
            "webhook": {"batch": 15},
            "splunk": {"batch": 60, "token_file": str(token), "timeout": 0.25},
            "elastic": {"batch": 15},
            "syslog": {"batch": 15},
            "mail": {"batch": 15, "from": "detector@a.example", "to": "soc@a.example"},
            "kafka": {"batch": 15},
        }
        tables = [
            {"url": url, "name": name, "format": "native", "timeout": 1.0, **more[name]}
            for name, url in urls.items()
        ]
        return build_routes(tables, [], registry.sinks(), registry.formats())


def noted(record: bytes) -> str:
    """What is noted of a record."""
    return f"{json.loads(record)['id']} {hashlib.sha256(record).hexdigest()[:16]}"


def in_file(folder: Path) -> Iterator[str]:
    """What a reader of the rotated files has seen, in order."""
    parts = []
    for path in (folder / "file").glob("alerts*.ndjson"):
        marks = path.name.split(".")[1:-1]
        number = int(marks[1]) if len(marks) > 1 else 1
        parts.append(((marks[0], number) if marks else ("~", 0), path))
    for _, path in sorted(parts):
        for line in path.read_bytes().splitlines():
            yield noted(line)
