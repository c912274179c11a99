"""Whatever a log names an account, each sink carries it whole, and nothing beside it."""

from __future__ import annotations

import gzip
import json

import pytest
from delivery_made_up import made, route
from receivers.brokers import cluster, consumed
from receivers.elastic import Cluster
from receivers.splunk import TOKEN, Collector
from receivers.web import receiving

from detector.delivery.sink import Delivery, Item

HOSTILE = [
    'two\nlines\r\nand {"id": "forged"}',
    '|=]"\\,;\x00\x1b[2J\x07\u2028\u2029\u202e\ufeff',
    "=cmd|' /C calc'!A0",
    "\U0001f600\u0301é" * 50,
    "x" * 4_000,  # Longer ones are cut: test_worst_alerts.
    '{"create": {"_index": "other", "_id": "1"}}',
    "",
]


def alerts():
    return [made(n, entity, reasons=[entity]) for n, entity in enumerate(HOSTILE)]


def send(there):
    items = [Item(alert, there.format.encode(alert)) for alert in alerts()]
    with there.sink.open(there.config, there.format) as sending:
        assert sending(items) == [Delivery()] * len(items)


def test_through_a_file(tmp_path):
    send(route(f"file://{tmp_path}/a.ndjson"))
    lines = (tmp_path / "a.ndjson").read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == alerts()


def test_through_a_webhook():
    with receiving() as receiver:
        send(route(receiver.url, batch=100))
    (got,) = receiver.got
    assert [json.loads(line) for line in got.body.split(b"\n")] == alerts()


def test_through_splunk(monkeypatch):
    monkeypatch.setenv("HEC", TOKEN)
    indexed = []
    with receiving(Collector(indexed.append).answer) as receiver:
        send(route(f"splunk+{receiver.url}", token_env="HEC"))
    assert [event["event"] for event in indexed] == alerts()
    assert gzip.decompress(receiver.got[0].body).count(b"\n") == len(HOSTILE) - 1


def test_through_elasticsearch():
    documents = {}
    with receiving(Cluster(documents.__setitem__).answer) as receiver:
        send(route(f"elastic+{receiver.url}"))
    assert list(documents.values()) == alerts()


def test_through_kafka():
    with cluster(1) as brokers:
        send(route(f"kafka://{brokers}/alerts"))
        got = consumed(brokers, len(HOSTILE))
    found = {dict(message.headers())["alert-id"].decode(): message.value() for message in got}
    assert [json.loads(found[alert["id"]]) for alert in alerts()] == alerts()


@pytest.mark.parametrize("entity", HOSTILE)
def test_through_the_outbox(tmp_path, entity):
    from detector.delivery.outbox.store import Outbox

    with Outbox.open(tmp_path, ["x"]) as box:
        box.put([made(1, entity)], {entity[:100]: entity})
        (entry,) = box.next_batch("x", 9, 0.0, apart=False)
        assert box.progress() == {entity[:100]: entity}
    assert entry.alert == made(1, entity)
