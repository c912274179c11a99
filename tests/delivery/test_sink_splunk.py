"""Splunk's collector (a stand-in): gzip, channel, acknowledgement, and each of its refusals."""

from __future__ import annotations

import gzip
import json

import pytest
from delivery_made_up import item, made, route
from receivers.splunk import TOKEN, Collector
from receivers.web import Answer, receiving

from detector.delivery.sink import Deferral, Delivery, Refusal, Unreachable, repeat_outcome

RECEIPT = b'{"text": "Success", "code": 0, "ackId": 7}'


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("HEC", TOKEN)
    return {"token_env": "HEC"}


def send(url, items, **table):
    there = route(f"splunk+{url}", **table)
    with there.sink.open(there.config, there.format) as sending:
        return sending(items)


def test_events_are_delivered_once_they_are_indexed(token):
    indexed = []
    with receiving(Collector(indexed.append).answer) as receiver:
        items = [item(1), item(2)]
        assert send(receiver.url, items, index="security", **token) == repeat_outcome(
            items, Delivery()
        )
    assert [event["event"] for event in indexed] == [made(1), made(2)]
    assert indexed[0]["sourcetype"] == "detector:native"
    assert indexed[0]["fields"] == {"alert_id": made(1)["id"]}
    assert indexed[0]["index"] == "security"
    assert indexed[0]["time"] == 1707134400.0
    first, *looks = receiver.got
    assert first.headers["content-encoding"] == "gzip"
    assert len(first.body) < len(gzip.decompress(first.body))
    assert [got.path for got in looks] == ["/services/collector/ack"] * 3
    assert len({got.headers["x-splunk-request-channel"] for got in receiver.got}) == 1


def test_without_acknowledgement_taken_is_delivered(token):
    indexed = []
    with receiving(Collector(indexed.append, acks=False).answer) as receiver:
        assert send(receiver.url, [item(1)], **token) == [Delivery()]
    assert len(receiver.got) == 1


def test_what_is_taken_but_never_indexed_is_sent_again(token):
    def answer(got):
        told = {"acks": {"7": False}} if got.path.endswith("ack") else {"code": 0, "ackId": 7}
        return Answer(200, json.dumps(told).encode())

    with receiving(answer) as receiver, pytest.raises(Unreachable, match="not indexed in time"):
        send(receiver.url, [item(1)], timeout=0.05, **token)


def test_a_question_after_the_receipt_that_fails_is_asked_again(token):
    indexed, failures = [], iter([Answer(503), Answer(close=-1)])
    collector = Collector(indexed.append)

    def answer(got):
        failed = next(failures, None) if got.path.endswith("ack") else None
        return failed or collector.answer(got)

    with receiving(answer) as receiver:
        assert send(receiver.url, [item(1)], **token) == [Delivery()]
    assert len(indexed) == 1


def test_a_collector_that_goes_away_before_the_receipt_is_good_is_told(token):
    def answer(got):
        return Answer(503, b"gone") if got.path.endswith("ack") else Answer(body=RECEIPT)

    with receiving(answer) as receiver:
        assert send(receiver.url, [item(1)], **token) == [Deferral("HTTP 503: gone")]


def test_over_tls(certificates, token):
    indexed = []
    collector = Collector(indexed.append)
    with receiving(collector.answer, certificates.server_side()) as receiver:
        assert send(receiver.url, [item(1)], ca=certificates.ca, **token) == [Delivery()]
        with pytest.raises(Unreachable, match="not trusted"):
            send(receiver.url, [item(1)], ca=certificates.other_ca, **token)


@pytest.mark.parametrize("code", [5, 6, 12, 13, 15])
def test_what_is_wrong_with_an_event_is_refused(token, code):
    body = json.dumps({"code": code, "text": "Invalid", "invalid-event-number": 0}).encode()
    with receiving(lambda _: Answer(400, body)) as receiver:
        (outcome,) = send(receiver.url, [item(1)], **token)
    assert isinstance(outcome, Refusal)
    assert "Invalid" in outcome.message


@pytest.mark.parametrize(
    ("status", "code"), [(400, 7), (400, 10), (400, 11), (401, 2), (403, 4), (503, 9), (500, 8)]
)
def test_what_is_wrong_with_the_token_the_index_or_the_server_is_for_later(token, status, code):
    body = json.dumps({"code": code, "text": "no"}).encode()
    with receiving(lambda _: Answer(status, body, {"retry-after": "9"})) as receiver:
        (outcome,) = send(receiver.url, [item(1)], **token)
    assert isinstance(outcome, Deferral)
    assert f"HTTP {status}" in outcome.message


@pytest.mark.parametrize("body", [b"", b"<html>welcome</html>", b"[]", b'{"code": 8}'])
def test_a_friendly_answer_that_is_no_collector_s_is_no_delivery(token, body):
    with receiving(lambda _: Answer(200, body)) as receiver:
        (outcome,) = send(receiver.url, [item(1)], **token)
    assert isinstance(outcome, Deferral)


def test_a_wrong_token_is_told_but_not_shown(monkeypatch):
    monkeypatch.setenv("HEC", "s3cret")
    with receiving(Collector(print).answer) as receiver:
        (outcome,) = send(receiver.url, [item(1)], token_env="HEC")
    assert outcome == Deferral('HTTP 403: {"text": "Invalid token", "code": 4}')
