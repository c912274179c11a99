"""The official Elasticsearch client against a stand-in that speaks _bulk: each item by itself."""

from __future__ import annotations

import json

import pytest
from delivery_made_up import item, made, route
from receivers.elastic import Cluster
from receivers.web import Answer, receiving

from detector.delivery.sink import Deferral, Delivery, Refusal, Unreachable, repeat_outcome


def send(url, items, path="", **table):
    there = route(f"elastic+{url}{path}", **table)
    with there.sink.open(there.config, there.format) as sending:
        return sending(items)


def test_documents_are_created_under_the_alert_s_id():
    documents = {}
    with receiving(Cluster(documents.__setitem__).answer) as receiver:
        items = [item(1), item(2)]
        assert send(receiver.url, items) == repeat_outcome(items, Delivery())
    assert documents == {made(n)["id"]: made(n) for n in (1, 2)}
    head = json.loads(receiver.got[-1].body.splitlines()[0])
    assert head == {"create": {"_index": "detector-alerts", "_id": made(1)["id"]}}


def test_the_url_names_the_index_and_what_stands_before_it():
    with receiving(Cluster(lambda *_: None).answer) as receiver:
        send(receiver.url, [item(1)], "/soc-alerts")
    assert json.loads(receiver.got[-1].body.splitlines()[0])["create"]["_index"] == "soc-alerts"


def test_what_is_there_already_has_arrived():
    documents = {}
    with receiving(Cluster(documents.__setitem__).answer) as receiver:
        send(receiver.url, [item(1)])
        assert send(receiver.url, [item(1), item(2)]) == [Delivery(), Delivery()]
    assert len(documents) == 2


def test_each_item_has_its_own_outcome():
    verdicts = {
        made(2)["id"]: (400, "document_parsing_exception", "failed to parse field [rows]"),
        made(3)["id"]: (429, "es_rejected_execution_exception", "queue is full"),
        made(4)["id"]: (503, "unavailable_shards_exception", "primary shard is not active"),
        made(5)["id"]: (403, "cluster_block_exception", "index read-only"),
    }
    documents = {}
    cluster = Cluster(documents.__setitem__, lambda identity, _: verdicts.get(identity))
    with receiving(cluster.answer) as receiver:
        outcomes = send(receiver.url, [item(n) for n in range(1, 7)])
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Delivery, Refusal, Deferral, Deferral, Deferral, Delivery]
    assert "failed to parse field [rows]" in outcomes[1].message
    assert set(documents) == {made(1)["id"], made(6)["id"]}


def test_an_answer_that_leaves_one_out_leaves_it_waiting():
    class Forgetful(Cluster):
        def answer(self, got):
            said = super().answer(got)
            told = json.loads(said.body)
            if "items" in told:
                told["items"].pop()
                said.body = json.dumps(told).encode()
            return said

    with receiving(Forgetful(lambda *_: None).answer) as receiver:
        outcomes = send(receiver.url, [item(1), item(2)])
    assert outcomes == [Delivery(), Deferral("no answer for this one")]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503])
def test_a_refused_request_is_for_later(status):
    headers = {"x-elastic-product": "Elasticsearch", "retry-after": "7"}
    headers["content-type"] = "application/json"
    body = b'{"error": {"type": "security_exception", "reason": "no"}, "status": 1}'
    with receiving(lambda _: Answer(status, body, headers)) as receiver:
        outcomes = send(receiver.url, [item(1), item(2)])
    assert all(isinstance(outcome, Deferral) for outcome in outcomes)
    assert outcomes[0].retry_after == 7.0
    assert f"HTTP {status}" in outcomes[0].message


def test_a_request_that_is_too_large_is_refused_so_that_it_is_sent_in_parts():
    with receiving(lambda _: Answer(413, b"")) as receiver:
        outcomes = send(receiver.url, [item(1), item(2)])
    assert all(isinstance(outcome, Refusal) for outcome in outcomes)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(close=-1),
        Answer(body=b'{"took": 1, "errors"', headers={"content-type": "application/json"}),
        Answer(body=b"x" * 100, close=50),
    ],
    ids=["none", "cut JSON", "half"],
)
def test_half_an_answer_is_no_answer(answer):
    answer.headers["x-elastic-product"] = "Elasticsearch"
    with receiving(lambda _: answer) as receiver, pytest.raises(Unreachable):
        send(receiver.url, [item(1)])


def test_another_product_is_told():
    with receiving(lambda _: Answer(200, b"{}", {"content-type": "application/json"})) as receiver:
        (outcome,) = send(receiver.url, [item(1)])
    assert isinstance(outcome, Deferral)
    assert "Elasticsearch" in outcome.message


@pytest.mark.parametrize(
    ("table", "header"),
    [({}, "ApiKey s3cret"), ({"user": "elastic"}, "Basic ZWxhc3RpYzpzM2NyZXQ=")],
)
def test_it_is_known_by_an_api_key_or_by_user_and_password(monkeypatch, table, header):
    monkeypatch.setenv("ELASTIC", "s3cret")
    with receiving(Cluster(lambda *_: None).answer) as receiver:
        send(receiver.url, [item(1)], token_env="ELASTIC", **table)
    assert receiver.got[-1].headers["authorization"] == header


def test_over_tls_certificates_are_checked(certificates):
    documents = {}
    answer = Cluster(documents.__setitem__).answer
    with receiving(answer, certificates.server_side()) as receiver:
        assert send(receiver.url, [item(1)], ca=certificates.ca) == [Delivery()]
        with pytest.raises(Unreachable, match="certificate"):
            send(receiver.url, [item(1)], ca=certificates.other_ca)
    wrong = certificates.server_side(wrong_name=True)
    with receiving(answer, wrong) as receiver, pytest.raises(Unreachable, match="certificate"):
        send(receiver.url, [item(2)], ca=certificates.ca)
    assert set(documents) == {made(1)["id"]}
