"""librdkafka's own mock cluster: it speaks Kafka's protocol on real ports, and forgets all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TOPIC = "alerts"


@contextmanager
def cluster(brokers: int = 3, topic: str = TOPIC) -> Iterator[str]:
    """The addresses of its brokers, which have a topic of four partitions."""
    from confluent_kafka import Producer

    host = Producer({"test.mock.num.brokers": brokers, "bootstrap.servers": "mock"})
    found = host.list_topics(topic, timeout=20)
    try:
        yield ",".join(f"{broker.host}:{broker.port}" for broker in found.brokers.values())
    finally:
        host.flush(0)
        del host


def consumed(brokers: str, enough: int, seconds: float = 20) -> list[Any]:
    """All messages of TOPIC, in their partitions' order: at least ``enough``, or in vain."""
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"reader-{time.monotonic_ns()}",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_uncommitted",
        }
    )
    consumer.subscribe([TOPIC])
    found: list[Any] = []
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append(message)
            elif message is None and len(found) >= enough:
                break
    finally:
        consumer.close()
    return found
