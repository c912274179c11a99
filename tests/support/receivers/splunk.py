"""A stand-in for Splunk's HTTP Event Collector, after its documentation.

Codes: https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

from receivers.web import Answer, Got

TOKEN = "00000000-0000-0000-0000-0000000000aa"  # noqa: S105 - nobody's


class Collector:
    """``index(event)`` keeps an event; with ``acks`` a receipt is good from the third look on."""

    def __init__(self, index: Callable[[dict[str, Any]], None], *, acks: bool = True) -> None:
        self._index = index
        self._acks = acks
        self._looks: dict[tuple[str, int], int] = {}
        self._next = 0

    def answer(self, got: Got) -> Answer:
        """As the collector does."""
        scheme, _, token = got.headers.get("authorization", "").partition(" ")
        if scheme != "Splunk":
            return _told(401, 2, "Token is required")
        if token != TOKEN:
            return _told(403, 4, "Invalid token")
        channel = got.headers.get("x-splunk-request-channel")
        if self._acks and not channel:
            return _told(400, 10, "Data channel is missing")
        if got.path == "/services/collector/ack":
            return self._looked(channel or "", got.body)
        if got.path != "/services/collector/event":
            return Answer(404, b"no such endpoint")
        packed = got.headers.get("content-encoding") == "gzip"
        return self._taken(channel or "", gzip.decompress(got.body) if packed else got.body)

    def _taken(self, channel: str, body: bytes) -> Answer:
        text, events = body.decode("utf-8").strip(), []
        while text:
            try:
                event, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                return _told(400, 6, "Invalid data format", **{"invalid-event-number": len(events)})
            if "event" not in event:
                more = {"invalid-event-number": len(events)}
                return _told(400, 12, "Event field is required", **more)
            events.append(event)
            text = text[end:].lstrip()
        if not events:
            return _told(400, 5, "No data")
        for event in events:
            self._index(event)
        if not self._acks:
            return _told(200, 0, "Success")
        receipt, self._next = self._next, self._next + 1
        self._looks[channel, receipt] = 0
        return _told(200, 0, "Success", ackId=receipt)

    def _looked(self, channel: str, body: bytes) -> Answer:
        if not self._acks:
            return _told(400, 14, "ACK is disabled")
        found = {}
        for receipt in json.loads(body)["acks"]:
            looks = self._looks.get((channel, receipt))
            found[str(receipt)] = looks is not None and looks >= 2
            if looks is not None:
                self._looks[channel, receipt] = looks + 1
            if found[str(receipt)]:
                del self._looks[channel, receipt]  # Splunk forgets what it has told
        return Answer(200, json.dumps({"acks": found}).encode())


def _told(status: int, code: int, text: str, **more: object) -> Answer:
    return Answer(status, json.dumps({"text": text, "code": code, **more}).encode())
