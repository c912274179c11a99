"""Webhooks to a real server over TLS: signed, certificates checked, answers understood."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta

import pytest
from delivery_made_up import item, route
from hypothesis import given
from hypothesis import strategies as st
from receivers.web import Answer, receiving
from standardwebhooks import Webhook, WebhookVerificationError

from detector.delivery import http
from detector.delivery.sink import Deferral, Delivery, Refusal, Unreachable
from detector.delivery.sinks import webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def send(there, items):
    with there.sink.open(there.config, there.format) as sending:
        return sending(items)


@pytest.fixture
def over_tls(certificates, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return {"ca": certificates.ca, "token_env": "HOOK_SECRET"}


def test_an_alert_arrives_and_its_signature_holds(certificates, over_tls):
    with receiving(tls=certificates.server_side()) as receiver:
        there = route(f"{receiver.url}/in?team=soc", **over_tls)
        assert send(there, [item(1)]) == [Delivery()]
    (got,) = receiver.got
    assert got.path == "/in?team=soc"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == item(1).alert["id"]
    assert Webhook(SECRET).verify(got.body, got.headers) == item(1).alert


@pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp"])
def test_what_was_changed_on_the_way_does_not_verify(certificates, over_tls, part):
    with receiving(tls=certificates.server_side()) as receiver:
        send(route(receiver.url, **over_tls), [item(1)])
    (got,) = receiver.got
    headers = dict(got.headers)
    body = got.body
    if part == "body":
        body = body.replace(b"low", b"LOW")
    elif part == "webhook-id":
        headers[part] = "another"
    else:
        headers[part] = str(int(headers[part]) - 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)


def test_several_at_once_are_lines(certificates, over_tls):
    with receiving(tls=certificates.server_side()) as receiver:
        send(route(receiver.url, **over_tls, batch=10), [item(1), item(2)])
    (got,) = receiver.got
    assert got.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["rows"] for line in got.body.splitlines()] == [1, 2]


def test_a_plain_secret_from_a_file_signs_too(tmp_path):
    (tmp_path / "secret").write_text("not base64!\n", encoding="utf-8")
    with receiving() as receiver:
        send(route(receiver.url, token_file=str(tmp_path / "secret")), [item(1)])
    headers = receiver.got[0].headers
    wanted = webhook.signature_headers(
        item(1).alert["id"], int(headers["webhook-timestamp"]), item(1).payload, b"not base64!"
    )
    assert headers["webhook-signature"] == wanted["webhook-signature"]


def test_without_a_secret_nothing_is_signed():
    with receiving() as receiver:
        send(route(receiver.url), [item(1)])
    assert "webhook-signature" not in receiver.got[0].headers


def test_a_certificate_of_an_unknown_authority_is_refused(certificates):
    with receiving(tls=certificates.server_side()) as receiver:
        with pytest.raises(Unreachable, match="certificate is not trusted"):
            send(route(receiver.url, ca=certificates.other_ca), [item(1)])
        with pytest.raises(Unreachable, match="certificate is not trusted"):
            send(route(receiver.url), [item(1)])
    assert receiver.got == []


def test_a_certificate_of_another_host_is_refused(certificates):
    wrong = certificates.server_side(wrong_name=True)
    with receiving(tls=wrong) as receiver, pytest.raises(Unreachable, match="mismatch"):
        send(route(receiver.url, ca=certificates.ca), [item(1)])
    assert receiver.got == []


def test_a_client_certificate_is_shown_where_asked(certificates):
    with receiving(tls=certificates.server_side(ask=True)) as receiver:
        there = route(receiver.url, ca=certificates.ca, cert=certificates.client)
        assert send(there, [item(1)]) == [Delivery()]
        with pytest.raises(Unreachable):
            send(route(receiver.url, ca=certificates.ca), [item(1)])


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_wrong_with_the_body_is_refused_in_the_server_s_words(status):
    with receiving(lambda _: Answer(status, b'{"error":\n "no such field"}')) as receiver:
        (outcome,) = send(route(receiver.url), [item(1)])
    assert outcome == Refusal(f'HTTP {status}: {{"error": "no such field"}}')


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 405, 408, 429, 500, 502, 503])
def test_what_is_wrong_with_the_server_or_the_way_is_for_later(status):
    with receiving(lambda _: Answer(status, headers={"location": "/else"})) as receiver:
        (outcome,) = send(route(receiver.url), [item(1)])
    assert outcome == Deferral(f"HTTP {status}")
    assert len(receiver.got) == 1


def test_retry_after_is_understood_in_seconds_and_as_a_date():
    with receiving(lambda _: Answer(429, headers={"retry-after": "120"})) as receiver:
        (outcome,) = send(route(receiver.url), [item(1)])
    assert outcome == Deferral("HTTP 429", 120.0)
    at = datetime.now(UTC) + timedelta(seconds=90)
    found = http.retry_after(at.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert found is not None
    assert 85 <= found <= 90


@given(st.text(max_size=40))
def test_a_retry_after_that_makes_no_sense_is_none_or_a_time_to_come(header):
    found = http.retry_after(header)
    assert found is None or 0 <= found <= http.MAX_RETRY_AFTER


@pytest.mark.parametrize(
    "answer", [Answer(close=-1), Answer(body=b"x" * 100, close=50)], ids=["none", "half"]
)
def test_half_an_answer_is_no_answer(answer):
    with receiving(lambda _: answer) as receiver, pytest.raises(Unreachable):
        send(route(receiver.url), [item(1)])


def test_a_server_that_says_nothing_is_not_waited_for_forever():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = route(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        with pytest.raises(Unreachable, match="no answer in time"):
            send(there, [item(1)])


def test_a_server_that_is_not_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(Unreachable, match="Connection refused"):
        send(route(f"http://127.0.0.1:{port}"), [item(1)])


def test_a_secret_that_is_not_there_is_told_and_not_guessed(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(Unreachable, match="the variable NO_SUCH is not set"):
        send(route("http://127.0.0.1:9", token_env="NO_SUCH"), [item(1)])
    with pytest.raises(Unreachable, match="cannot be read: No such file"):
        send(route("http://127.0.0.1:9", token_file=str(tmp_path / "none")), [item(1)])
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    with pytest.raises(Unreachable, match="is empty"):
        send(route("http://127.0.0.1:9", token_file=str(tmp_path / "empty")), [item(1)])


def test_a_certificate_file_that_is_none_is_told(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate", encoding="utf-8")
    with pytest.raises(Unreachable, match=r"cannot use .*ca\.pem"):
        send(route("https://127.0.0.1:9", ca=str(tmp_path / "ca.pem")), [item(1)])
