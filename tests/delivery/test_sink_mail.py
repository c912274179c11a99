"""A digest by mail through a real SMTP server."""

from __future__ import annotations

import email
import json
import smtplib
import socket
from email import policy

import pytest
from delivery_made_up import item, made, route
from receivers.mailbox import ACCEPTED, mailbox

from detector.delivery.sink import Deferral, Delivery, Refusal, Unreachable

PEOPLE = {"from": "detector@office.example", "to": ["soc@office.example", "ciso@office.example"]}


class Box:
    def __init__(self, answer=ACCEPTED):
        self.answer = answer
        self.mails = []

    def take(self, content):
        self.mails.append(email.message_from_bytes(content, policy=policy.default))
        return self.answer


def send(port, items, scheme="smtp", host="127.0.0.1", **table):
    there = route(f"{scheme}://{host}:{port}", **PEOPLE, **table)
    with there.sink.open(there.config, there.format) as sending:
        return sending(items)


def test_a_batch_is_one_mail_in_words_with_the_records_attached():
    box = Box()
    with mailbox(box.take) as port:
        items = [item(1, severity="high"), item(2)]
        assert send(port, items) == [Delivery(), Delivery()]
    (mail,) = box.mails
    assert mail["Subject"] == "detector: 2 alerts, high: account 1 and 1 more"
    assert mail["To"] == "soc@office.example, ciso@office.example"
    text = mail.get_body().get_content()
    assert "HIGH  account account 1" in text
    assert made(2)["id"] in text
    (attached,) = mail.iter_attachments()
    lines = attached.get_content().decode().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [made(1)["id"], made(2)["id"]]


def test_the_same_alerts_have_the_same_message_id():
    box = Box()
    with mailbox(box.take) as port:
        for items in ([item(1)], [item(1)], [item(2)]):
            send(port, items)
    first, again, other = (mail["Message-ID"] for mail in box.mails)
    assert first == again != other


def test_hostile_names_forge_no_header_and_steer_no_screen():
    box = Box()
    name = "eve\r\nBcc: all@office.example\x1b[2J\u202e\u2028" + "x" * 3000
    with mailbox(box.take) as port:
        hostile = item(1, entity=name, reasons=[name], severity="low")
        assert send(port, [hostile]) == [Delivery()]
    (mail,) = box.mails
    assert mail["Bcc"] is None
    assert len(mail["Subject"]) < 200
    text = mail.get_body().get_content()
    assert not {"\x1b", "\u202e", "\u2028"} & {*text, *mail["Subject"]}
    (attached,) = mail.iter_attachments()
    assert json.loads(attached.get_content())["entity"] == name


def test_starttls_and_login(certificates, monkeypatch):
    monkeypatch.setenv("MAIL", "s3cret")
    box = Box()
    known = {"ca": certificates.ca, "user": "detector", "token_env": "MAIL"}
    with mailbox(box.take, certificates.server_side(), password="s3cret") as port:
        assert send(port, [item(1)], **known) == [Delivery()]
        monkeypatch.setenv("MAIL", "wr0ng")
        with pytest.raises(Unreachable, match="SMTP 535") as caught:
            send(port, [item(2)], **known)
    assert "wr0ng" not in str(caught.value)
    assert len(box.mails) == 1


@pytest.fixture
def elsewhere(monkeypatch):
    """A host of another network, which in truth is this one."""
    name = "mail.office.example"

    def connect(_server, _host, port, timeout):
        return socket.create_connection(("127.0.0.1", port), timeout)

    monkeypatch.setattr(smtplib.SMTP, "_get_socket", connect)
    return name


def test_no_mail_goes_to_another_host_without_tls_even_where_no_ca_is_named(elsewhere):
    box = Box()
    with mailbox(box.take) as port, pytest.raises(Unreachable, match="STARTTLS"):
        send(port, [item(1)], host=elsewhere)
    assert box.mails == []


def test_without_a_ca_another_host_is_held_against_what_the_system_trusts(elsewhere, certificates):
    box = Box()
    secured = certificates.server_side()
    with mailbox(box.take, secured) as port, pytest.raises(Unreachable, match="not trusted"):
        send(port, [item(1)], host=elsewhere)
    assert box.mails == []


def test_tls_from_the_start_and_certificates_are_checked(certificates):
    box = Box()
    with mailbox(box.take, certificates.server_side(), implicit=True) as port:
        assert send(port, [item(1)], "smtps", ca=certificates.ca) == [Delivery()]
        with pytest.raises(Unreachable, match="not trusted"):
            send(port, [item(1)], "smtps", ca=certificates.other_ca)
    wrong = certificates.server_side(wrong_name=True)
    with mailbox(box.take, wrong) as port, pytest.raises(Unreachable, match="mismatch"):
        send(port, [item(1)], ca=certificates.ca)
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("554 looks like spam", Refusal), ("552 too large", Refusal), ("451 try later", Deferral)],
)
def test_a_mail_that_is_not_taken_is_told_in_the_server_s_words(answer, kind):
    with mailbox(Box(answer).take) as port:
        (outcome,) = send(port, [item(1)])
    assert isinstance(outcome, kind)
    assert outcome.message == f"SMTP {answer[:3]}:{answer[3:]}"


def test_one_recipient_who_is_refused_keeps_it_from_no_other():
    box = Box()
    with mailbox(box.take, refused="ciso@office.example") as port:
        (outcome,) = send(port, [item(1)])
    assert outcome == Delivery("refused for ciso@office.example")
    assert len(box.mails) == 1


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(Unreachable, match="Connection refused"):
        send(9, [item(1)])
