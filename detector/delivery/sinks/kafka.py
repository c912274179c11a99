"""``kafka://host:9092,host:9092/topic``: an idempotent producer that waits for all replicas.

The key is the entity, so that its alerts stay in one partition, and in order. The header
``alert-id`` has the alert's id.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from detector.core.errors import SettingsError
from detector.delivery import tls
from detector.delivery.config import SinkConfig
from detector.delivery.format import Format
from detector.delivery.secrets import read_secret
from detector.delivery.sink import (
    MAX_MESSAGE,
    Deferral,
    Delivery,
    Item,
    Outcome,
    Refusal,
    Send,
    Sink,
)

if TYPE_CHECKING:
    from confluent_kafka import Producer

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
#: Names of errors that are about a message, whoever sends it and whenever
#: (https://kafka.apache.org/protocol#protocol_error_codes).
MESSAGE_ERRORS: Final = frozenset(
    {"MSG_SIZE_TOO_LARGE", "_MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD"}
)


def check(target: SinkConfig, form: Format) -> None:
    """There are brokers and a topic; a password goes through TLS alone."""
    del form
    check_connection(target)


def check_connection(target: SinkConfig) -> None:
    """As ``check``, for whoever reads the topic too. Raises SettingsError."""
    brokers, topic = split_address(target)
    if not brokers or not topic or "/" in topic:
        raise SettingsError("a Kafka url is kafka://broker:9092,broker:9092/topic")
    if target.mechanism and target.mechanism not in MECHANISMS:
        what = f"mechanism = {target.mechanism!r} must be one of {', '.join(MECHANISMS)}"
        raise SettingsError(what)
    if target.scheme == "kafka" and (target.user or target.ca or target.cert):
        what = "users and certificates are for kafka+tls:// alone"
        raise SettingsError(what, hint="use that scheme")
    if bool(target.user) != bool(target.token_env or target.token_file):
        raise SettingsError("user and token_env or token_file go together", hint="name both")


def split_address(target: SinkConfig) -> tuple[str, str]:
    """Brokers, separated by commas, and the topic."""
    rest = target.url.split("://", 1)[1]
    brokers, _, topic = rest.partition("/")
    return brokers, topic


@contextmanager
def open_(target: SinkConfig, form: Format) -> Iterator[Send]:
    """A producer; a new one after each failure, so that nothing of the old one is still sent."""
    del form
    link = TopicProducer(target)
    try:
        yield link.send
    finally:
        link.close()


class TopicProducer:
    """To one topic."""

    def __init__(self, target: SinkConfig) -> None:
        self._target = target
        self._settings = producer_settings(target)
        self._topic = split_address(target)[1]
        self._producer: Producer | None = None
        self._words = ""

    def close(self) -> None:
        """Gives up what is under way."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
            self._producer = None

    def send(self, items: Sequence[Item]) -> list[Outcome]:
        """Waits for the report of each."""
        found: dict[int, Outcome] = {}
        producer = self._open_producer()
        for number, item in enumerate(items):
            self._produce(producer, number, item, found)
        until = time.monotonic() + self._target.timeout
        while producer.flush(0.05) and time.monotonic() < until:
            pass
        late = Deferral(
            f"no answer in time{f': {self._words}' if self._words else ''}"[:MAX_MESSAGE]
        )
        outcomes = [found.get(number, late) for number in range(len(items))]
        if any(isinstance(each, Deferral) for each in outcomes):
            self.close()
        return outcomes

    def _produce(
        self, producer: Producer, number: int, item: Item, found: dict[int, Outcome]
    ) -> None:
        from confluent_kafka import KafkaException

        def report(error: Any, _message: object) -> None:
            found[number] = report_outcome(error)

        entity = f"{item.alert['entity_kind']}:{item.alert['entity']}"
        try:
            producer.produce(
                self._topic,
                value=item.payload,
                key=entity.encode("utf-8", "surrogatepass"),
                headers={"alert-id": str(item.alert["id"])},
                on_delivery=report,
            )
        except KafkaException as error:
            found[number] = report_outcome(error.args[0])
        except BufferError:
            found[number] = Deferral("librdkafka's queue is full")

    def _open_producer(self) -> Producer:
        from confluent_kafka import Producer

        if self._producer is None:
            # Its own lines would go to stderr; what it says of errors we say ourselves.
            quiet = logging.getLogger("detector.kafka")
            quiet.propagate = False
            quiet.addHandler(logging.NullHandler())
            self._producer = Producer(
                {**self._settings, "error_cb": self._record_error}, logger=quiet
            )
        return self._producer

    def _record_error(self, error: Any) -> None:
        self._words = " ".join(error.str().split())


def producer_settings(target: SinkConfig) -> dict[str, Any]:
    """For librdkafka (https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md)."""
    return {
        **connection_settings(target),
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": round(target.timeout * 1000),
    }


def connection_settings(target: SinkConfig) -> dict[str, Any]:
    """What whoever sends and whoever reads have in common."""
    brokers, _ = split_address(target)
    found: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "client.id": "detector",
        "socket.timeout.ms": round(target.timeout * 1000),
        "security.protocol": "PLAINTEXT",
    }
    if target.scheme == "kafka+tls":
        found |= {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "https"}
        for name, file in (("ca", target.ca), ("certificate", target.cert), ("key", target.key)):
            if file:
                found[f"ssl.{name}.location"] = file
    if target.user:
        found |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": target.mechanism or MECHANISMS[0],
            "sasl.username": target.user,
            "sasl.password": read_secret(target),
        }
    return found


def report_outcome(error: Any) -> Outcome:
    """Of a delivery report; ``error`` is a KafkaError, or None."""
    if error is None:
        return Delivery()
    words = " ".join(f"{error.name()}: {error.str()}".split())[:MAX_MESSAGE]
    return Refusal(words) if error.name() in MESSAGE_ERRORS else Deferral(words)


SINK: Final = Sink(
    "kafka", "a topic of Kafka, in order by entity", ("kafka", "kafka+tls"), open_, check, "ocsf",
    keys=tls.KEYS | {"token_env", "token_file", "user", "mechanism"},
    batch=500, has_item_outcomes=True, required_module="confluent_kafka",
)  # fmt: skip
