"""``splunk+https://``: Splunk's HTTP Event Collector, with gzip and indexer acknowledgement.

Where the token has ``useACK``, an alert counts as delivered when Splunk says that it is indexed
(https://docs.splunk.com/Documentation/Splunk/latest/Data/AboutHECIDXAck); otherwise, when Splunk
has taken it.
"""

from __future__ import annotations

import gzip
import json
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from detector.core.errors import SettingsError
from detector.delivery import http as web
from detector.delivery import tls
from detector.delivery.config import SinkConfig
from detector.delivery.format import Format
from detector.delivery.secrets import read_secret
from detector.delivery.sink import (
    Deferral,
    Delivery,
    Item,
    Outcome,
    Refusal,
    Send,
    Sink,
    Unreachable,
    repeat_outcome,
)

if TYPE_CHECKING:
    import httpx

EVENTS_PATH: Final = "/services/collector/event"
ACKS_PATH: Final = "/services/collector/ack"
PORT: Final = 8088
#: Codes of an answer that are about an event; others with the same HTTP status 400 are about the
#: index or the channel (https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector).
EVENT_ERROR_CODES: Final = frozenset({5, 6, 12, 13, 15})
#: Answers' worth of time that indexing may take.
ACK_TIMEOUTS: Final = 6
FIRST_LOOK, LONGEST_LOOK = 0.05, 1.0
#: Questions in a row that may fail: the events need not be sent again for that.
MAX_FAILED_POLLS: Final = 4


def check(target: SinkConfig, form: Format) -> None:
    """There is a host, and a token."""
    del form
    if not target.host:
        raise SettingsError("a Splunk url has no host", hint="such as splunk+https://siem:8088")
    if not (target.token_env or target.token_file):
        hint = "name it with token_env = or token_file ="
        raise SettingsError("Splunk's collector needs a token", hint=hint)


@contextmanager
def open_(target: SinkConfig, form: Format) -> Iterator[Send]:
    """A channel of our own: acknowledgements are told apart by it."""
    headers = {
        "authorization": f"Splunk {read_secret(target)}",
        "content-type": "application/json",
        "x-splunk-request-channel": str(uuid.uuid4()),
    }
    with web.client(target) as http:
        collector = Collector(http, _base_url(target), headers, target, form)
        yield collector.send


def _base_url(target: SinkConfig) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{target.scheme.removeprefix('splunk+')}://{host}:{target.port(PORT)}"


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector and how to speak to it."""

    http: httpx.Client
    base: str
    headers: dict[str, str]
    config: SinkConfig
    form: Format

    def send(self, items: Sequence[Item]) -> list[Outcome]:
        """All of a batch are taken, or none."""
        body = b"\n".join(encode_event(item, self.config, self.form) for item in items)
        packed = gzip.compress(body, mtime=0)
        answer, said = web.post(
            self.http, self.base + EVENTS_PATH, packed, {**self.headers, "content-encoding": "gzip"}
        )
        return repeat_outcome(items, self._outcome(answer, said))

    def _outcome(self, answer: httpx.Response, said: bytes) -> Outcome:
        outcome, told = web.outcome(answer, said), _parse_object(said)
        if isinstance(outcome, Refusal) and told.get("code") not in {None, *EVENT_ERROR_CODES}:
            return Deferral(outcome.message)
        if not isinstance(outcome, Delivery):
            return outcome
        if told.get("code") != 0:
            return Deferral(f"no collector answers so: {web.status_text(answer.status_code, said)}")
        return self._wait_for_index(told["ackId"]) if "ackId" in told else outcome

    def _wait_for_index(self, receipt: object) -> Outcome:
        """Asks until the receipt is good. A question that fails is asked again, a few times."""
        until = time.monotonic() + ACK_TIMEOUTS * self.config.timeout
        pause, failures = FIRST_LOOK, 0
        while True:
            looked = self._poll_ack(receipt)
            if isinstance(looked, Delivery):
                return looked
            failures = failures + 1 if isinstance(looked, Deferral) else 0
            if isinstance(looked, Deferral) and failures > MAX_FAILED_POLLS:
                return looked
            if time.monotonic() + pause > until:
                raise Unreachable("taken, but not indexed in time")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK)

    def _poll_ack(self, receipt: object) -> Delivery | Deferral | None:
        """One question; None where the receipt is not good yet."""
        body = json.dumps({"acks": [receipt]}).encode("ascii")
        try:
            answer, said = web.post(self.http, self.base + ACKS_PATH, body, self.headers)
        except Unreachable as error:
            return error.later
        if not answer.is_success:
            return Deferral(web.status_text(answer.status_code, said))
        acks = _parse_object(said).get("acks")
        return Delivery() if isinstance(acks, dict) and acks.get(str(receipt)) is True else None


def encode_event(item: Item, target: SinkConfig, form: Format) -> bytes:
    """One event of the collector, with the record in it as it is."""
    about: dict[str, Any] = {
        "time": datetime.fromisoformat(item.alert["time"]).timestamp(),
        "host": socket.gethostname(),
        "source": "detector",
        "sourcetype": f"detector:{form.name}",
        "fields": {"alert_id": item.alert["id"]},
    }
    if target.index:
        about["index"] = target.index
    head = json.dumps(about).encode("ascii").removesuffix(b"}")
    text = item.payload
    if not form.is_json:
        text = json.dumps(item.payload.decode("utf-8")).encode("ascii")
    return head + b', "event": ' + text + b"}"


def _parse_object(said: bytes) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


SINK: Final = Sink(
    "splunk", "Splunk's HTTP Event Collector, with acknowledgement",
    ("splunk+https", "splunk+http"), open_, check, "ocsf",
    keys=tls.KEYS | {"token_env", "token_file", "index"},
    plaintext_schemes=frozenset({"splunk+http"}), batch=200,
)  # fmt: skip
