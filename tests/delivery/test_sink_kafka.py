"""Kafka's protocol against librdkafka's mock cluster: arrival, order, and failures."""

from __future__ import annotations

from typing import ClassVar

import pytest
from delivery_made_up import item, made, route
from receivers.brokers import TOPIC, cluster, consumed

from detector import registry
from detector.delivery.sink import Deferral, Delivery, Refusal, repeat_outcome
from detector.delivery.sinks import kafka


@pytest.fixture(scope="module")
def brokers():
    with cluster() as addresses:
        yield addresses


def send(there, items):
    with there.sink.open(there.config, there.format) as sending:
        return sending(items)


def test_alerts_arrive_keyed_by_entity_and_marked_with_their_id(brokers):
    items = [item(n, entity=f"account {n % 5}") for n in range(40)]
    assert send(route(f"kafka://{brokers}/{TOPIC}"), items) == repeat_outcome(items, Delivery())
    encode = registry.formats()["native"].encode
    got = consumed(brokers, len(items))
    assert {message.value() for message in got} == {each.payload for each in items}
    for entity in range(5):
        key = f"account:account {entity}".encode()
        mine = [message for message in got if message.key() == key]
        wanted = [made(n, f"account {entity}") for n in range(40) if n % 5 == entity]
        assert [message.value() for message in mine] == [encode(alert) for alert in wanted]
        assert [dict(message.headers())["alert-id"].decode() for message in mine] == [
            alert["id"] for alert in wanted
        ]
        assert len({message.partition() for message in mine}) == 1


def test_one_that_is_too_large_is_refused_and_the_others_arrive(brokers):
    there = route(f"kafka://{brokers}/another")
    outcomes = send(there, [item(100), item(101, payload=b"x" * 2_000_000), item(102)])
    assert [type(outcome) for outcome in outcomes] == [Delivery, Refusal, Delivery]
    assert "MSG_SIZE_TOO_LARGE" in outcomes[1].message


def test_without_a_broker_all_is_for_later_and_nothing_reaches_the_screen(capfd):
    there = route("kafka://127.0.0.1:9/alerts", timeout=0.5)
    (outcome,) = send(there, [item(1)])
    assert isinstance(outcome, Deferral)
    assert "Connection refused" in outcome.message or "no answer in time" in outcome.message
    assert capfd.readouterr() == ("", "")


def test_it_waits_for_all_replicas_and_checks_hosts(monkeypatch):
    monkeypatch.setenv("KAFKA", "s3cret")
    plain = kafka.producer_settings(route("kafka://a:9092,b:9092/alerts").config)
    assert (plain["enable.idempotence"], plain["acks"]) == (True, "all")
    assert plain["bootstrap.servers"] == "a:9092,b:9092"
    secured = kafka.producer_settings(
        route(
            "kafka+tls://a:9093/alerts", ca="/ca.pem", user="detector", token_env="KAFKA",
            mechanism="SCRAM-SHA-512",
        ).config
    )  # fmt: skip
    assert secured["security.protocol"] == "SASL_SSL"
    assert secured["ssl.endpoint.identification.algorithm"] == "https"
    assert secured["ssl.ca.location"] == "/ca.pem"
    assert secured["sasl.password"] == "s3cret"


class Remembering:
    """A producer that notes what befalls it; ``reports`` says whether it answers."""

    made: ClassVar[list[Remembering]] = []
    reports = False

    def __init__(self, _settings, **_):
        self.open, self.purged = [], False
        self.made.append(self)

    def produce(self, _topic, *, on_delivery, **_):
        self.open.append(on_delivery)

    def flush(self, _seconds):
        while self.reports and self.open:
            self.open.pop()(None, None)
        return len(self.open)

    def purge(self):
        self.purged, self.open = True, []


def test_after_a_failure_a_new_producer_begins_and_the_old_one_sends_nothing_more(monkeypatch):
    """Otherwise what is told as late would still be sent, behind what is sent again."""
    monkeypatch.setattr("confluent_kafka.Producer", Remembering)
    monkeypatch.setattr(Remembering, "made", [])
    there = route("kafka://127.0.0.1:9/alerts", timeout=0.05)
    with there.sink.open(there.config, there.format) as sending:
        assert isinstance(sending([item(1)])[0], Deferral)
        (first,) = Remembering.made
        assert first.purged
        monkeypatch.setattr(Remembering, "reports", True)
        for n in (1, 2):
            assert sending([item(n)]) == [Delivery()]
        assert len(Remembering.made) == 2  # one that delivers is kept
