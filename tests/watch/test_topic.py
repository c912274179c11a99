"""A topic of Kafka counts as files with the same lines would, by offsets of our own.

Against librdkafka's mock cluster, which speaks Kafka's protocol on real ports and deletes what is
beyond 5 MB of a partition.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from receivers.brokers import cluster
from watched import LATER, Kit, as_lines, counted, events_on

from detector import registry
from detector.core.errors import InputError, SettingsError
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.normalize.format_detection import detect
from detector.readers.log_input import LocalFile
from detector.watch import kafka_input as topics
from detector.watch.health import Health
from detector.watch.kafka_input import Topic
from detector.watch.service import raise_health_alerts
from detector.watch.watcher import Watcher

SERVER_LOG = Path(__file__).parents[1] / "data" / "postgresql" / "pg18.csv"
SOME = events_on(datetime(2024, 2, 5, 8, tzinfo=UTC), 400, timedelta(seconds=97))
LINES = as_lines(SOME).splitlines()
PARTITIONS = 4


pytestmark = pytest.mark.usefixtures("unscored")


@pytest.fixture
def broker() -> Iterator[str]:
    with cluster(1, "audit") as address:
        yield address


def send(broker: str, values: Sequence[bytes | None], partition: int | None = None) -> None:
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 5})
    for number, value in enumerate(values):
        where = number % PARTITIONS if partition is None else partition
        producer.produce("audit", value=value, partition=where)
        producer.poll(0)
    assert producer.flush(30) == 0


def topic(broker: str) -> Topic:
    return Topic.from_url(f"kafka://{broker}/audit")


def until(watcher: Watcher, true: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not come so far"
        watcher.run_cycle()
        time.sleep(0.01)


@pytest.mark.slow
def test_all_partitions_are_read_to_their_ends_and_counted_once(kit: Kit, broker: str) -> None:
    send(broker, LINES[:200])
    for lines in ([], LINES[200:300], []):
        if lines:
            send(broker, lines)
        with kit.watching(inlets=[topic(broker)]) as watcher:
            watcher.finish()
            logs = watcher.tracker.logs.values()
            assert {log.path.rsplit("/", 2)[1] for log in logs} == {"audit"}
    assert sorted(log.offset for log in logs) == [75, 75, 75, 75]
    assert counted(watcher) == 300


def test_it_goes_on_after_kills_wherever_they_fall(kit: Kit, broker: str) -> None:
    chance = random.Random(5)
    for start in range(0, 400, 40):
        send(broker, LINES[start : start + 40])
        with kit.watching(inlets=[topic(broker)]) as watcher:
            watcher.batch_reader.max_bytes = chance.choice([200, 1000, 10_000])
            for _ in range(chance.randrange(6)):
                watcher.run_cycle()
                time.sleep(0.01)
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.finish()
        assert counted(watcher) == 400
        assert sum(log.rejects for log in watcher.tracker.logs.values()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [50, 700, 4000])
def test_entries_over_several_messages_and_several_in_one_count_as_in_batch(
    kit: Kit, broker: str, size: int
) -> None:
    """The log of a server, parted at line ends: some of its entries span lines."""
    data = SERVER_LOG.read_bytes()
    ends = [0, *(n + 1 for n, byte in enumerate(data) if byte == 10)]
    cuts = sorted({0, len(data), *(max(e for e in ends if e <= n)
                                   for n in range(0, len(data), size))})  # fmt: skip
    values = [data[one:other] for one, other in pairwise(cuts)]
    third = max(1, len(values) // 3)
    for some in (values[:third], values[third:]):
        send(broker, some, partition=2)
        with kit.watching(inlets=[topic(broker)]) as watcher:
            watcher.batch_reader.max_bytes = 4096
            before = [log.position for log in watcher.tracker.logs.values()]
            logs = watcher.tracker.logs
            until(watcher, lambda: before < [log.position for log in logs.values()])  # noqa: B023
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.finish()
        found = watcher.ledger.hours()
    path = kit.folder / "whole.csv"
    path.write_bytes(data)
    files, _ = detect([LocalFile(path)], registry.sources(), kit.settings)
    ledger = Ledger.open(kit.folder / "batch", "UTC")
    ingest(files, ledger, kit.settings, lambda *_: None)
    assert found.equals(ledger.hours())


@pytest.mark.slow
def test_messages_without_value_are_passed_over(kit: Kit, broker: str) -> None:
    send(broker, [None, LINES[0], b"", LINES[1] + b"\n" + LINES[2], None], partition=0)
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.finish()
        assert counted(watcher) == 3


def test_new_lines_are_found_while_it_runs(kit: Kit, broker: str) -> None:
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.run_cycle()
        send(broker, LINES[:40])
        until(watcher, lambda: counted(watcher) == 40)
        send(broker, LINES[40:80])
        until(watcher, lambda: counted(watcher) == 80)


def big(count: int) -> list[bytes]:
    """Lines of a kilobyte."""
    return [LINES[n % 400][:-1] + b', "note": "' + b"x" * 900 + b'"}' for n in range(count)]


def deleted(broker: str) -> int:
    """How many messages of partition 0 the broker does not have any more."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "look"})
    low, _ = consumer.get_watermark_offsets(TopicPartition("audit", 0), timeout=20)
    consumer.close()
    return low


@pytest.mark.slow
def test_what_the_broker_deleted_before_it_was_read_is_counted_and_told(
    kit: Kit, broker: str
) -> None:
    send(broker, big(100), partition=0)
    with kit.watching(inlets=[topic(broker)]) as watcher:
        until(watcher, lambda: watcher.tracker.logs and counted(watcher) == 100)
    send(broker, big(9000), partition=0)
    low = deleted(broker)
    assert low > 100
    told = []
    for _ in range(2):
        with kit.watching(inlets=[topic(broker)]) as watcher:
            watcher.finish()
            told += raise_health_alerts(watcher, Health(0.0, "m"), LATER)
            (log,) = watcher.tracker.logs.values()
    assert (log.lost, log.rejects, counted(watcher)) == (low - 100, 1, 9100 - (low - 100))
    rejects = watcher.ledger.rejects([part.id for part in watcher.ledger.parts()]).collect()
    assert f"(offsets 100 to {low - 1})" in rejects["reason"].item()
    (alert,) = told
    assert alert["entity_kind"] == "log"
    assert f"deleted {low - 100:,} messages" in alert["reasons"][0]


@pytest.mark.slow
def test_a_topic_that_was_made_anew_is_told_and_not_read_twice(kit: Kit, broker: str) -> None:
    send(broker, LINES[:40], partition=0)
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.finish()
        (log,) = watcher.tracker.logs.values()
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.tracker.update_log(log.__class__(**{**log.to_dict(), "offset": 70, "first": None,
                                           "last": None, "stage": "open"}))  # fmt: skip
        until(watcher, lambda: watcher.tracker.logs[log.id].stage == "left out")
        assert "the topic was made anew" in watcher.tracker.logs[log.id].reason
        assert [a["entity"] for a in raise_health_alerts(watcher, Health(0.0, "m"), LATER)] == [
            log.path
        ]
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.finish()
        assert counted(watcher) == 40


@pytest.mark.slow
def test_memory_is_bounded_by_pausing(
    kit: Kit, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "MIB", 1 << 14)
    monkeypatch.setattr(topics, "MAX_BUFFER_BYTES", 1 << 16)
    monkeypatch.setattr(topics, "MESSAGES_PER_POLL", 10)
    send(broker, big(400), partition=1)
    held = 0
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.batch_reader.max_bytes = 2000
        while counted(watcher) < 400:
            watcher.run_cycle()
            held = max(
                held, *(len(s._buffer) for s in watcher.tracker.streams.by_log_id.values()), 0
            )
            watcher.batch_reader.max_bytes = 1 << 15 if held else 2000
    assert 0 < held <= 3 << 14


def test_what_cannot_be_read_is_refused_in_one_line(kit: Kit, broker: str) -> None:
    with (
        kit.watching(inlets=[Topic.from_url(f"kafka://{broker}/nothing")]) as watcher,
        pytest.raises(InputError, match=r"kafka://\S+/nothing: cannot be read \(Broker: Unknown"),
    ):
        watcher.run_cycle()
    for url, words in (
        ("kafka://a:9092", "a Kafka url is kafka://broker:9092,broker:9092/topic"),
        ("kafka://a:9092/t#user=u", "for kafka\\+tls:// alone"),
    ):
        with pytest.raises(SettingsError, match=words):
            Topic.from_url(url)


def test_without_a_broker_it_is_refused_in_one_line(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(topics, "BROKER_TIMEOUT", 0.5)
    with (
        kit.watching(inlets=[Topic.from_url("kafka://127.0.0.1:9/audit")]) as watcher,
        pytest.raises(InputError, match=r"kafka://127.0.0.1:9/audit: no answer \(.*is the broker"),
    ):
        watcher.run_cycle()
    assert capfd.readouterr() == ("", "")


def test_without_its_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"needs confluent_kafka; install it: pip install 'det"):
        Topic.from_url("kafka://a:9092/audit")


@pytest.mark.slow
def test_what_no_source_knows_is_left_out_and_said(kit: Kit, broker: str) -> None:
    send(broker, [b"what is this"] * 10, partition=0)
    send(broker, LINES[:40], partition=1)
    with kit.watching(inlets=[topic(broker)]) as watcher:
        watcher.finish()
        assert counted(watcher) == 40
        (said,) = watcher.tracker.notices
        assert said.startswith("left out kafka:")
