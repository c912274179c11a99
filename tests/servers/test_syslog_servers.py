"""The real rsyslog and syslog-ng receive what the syslog sink sends, and we read it back."""

from __future__ import annotations

import json
import os
import signal
import ssl
import threading
import time
from contextlib import ExitStack

import pytest
import trustme
from receivers.daemons import Pem, rsyslog, syslog_ng

from detector import registry
from detector.core.errors import SettingsError
from detector.delivery.outbox.scheduler import DeliveryTimeout, deliver
from detector.delivery.outbox.store import Outbox
from detector.delivery.routing import build_routes
from detector.delivery.sink import Delivery, Item, Unreachable, repeat_outcome
from detector.delivery.test_alert import build_test_alert
from simulation.loopback import UnavailableError

RESTARTS = 5
BATCH = 5
SERVERS = {"rsyslog": rsyslog, "syslog-ng": syslog_ng}


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Of a small authority: a server's files, and a client's."""
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, host in (("server", "127.0.0.1"), ("client", "detector"), ("wrong", "else.example")):
        issued = authority.issue_cert(host)
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
    return folder


def files(folder, name):
    return Pem(str(folder / f"{name}.key"), str(folder / f"{name}.pem"), str(folder / "ca.pem"))


@pytest.fixture(params=SERVERS)
def start(request, tmp_path):
    """Starts the server; skips without it, or fails where DETECTOR_REQUIRE_SERVERS=1."""
    with ExitStack() as stack:

        def started(*arguments, **options):
            try:
                return stack.enter_context(SERVERS[request.param](tmp_path, *arguments, **options))
            except UnavailableError as error:
                if os.environ.get("DETECTOR_REQUIRE_SERVERS") == "1":
                    pytest.fail(f"DETECTOR_REQUIRE_SERVERS=1, but {error}")
                pytest.skip(str(error))

        yield started


def route(url, **table):
    (found,) = build_routes(
        [{"url": url, "name": "siem", "format": "native", **table}],
        [], registry.sinks(), registry.formats(),
    )  # fmt: skip
    return found


def made(number, **other):
    from datetime import UTC, datetime

    alert = build_test_alert(datetime(2024, 2, 5, 12, tzinfo=UTC))
    return {**alert, "id": f"{number:020}", "entity": f"account {number % 7}", **other}


def send(there, alerts):
    with there.sink.open(there.config, there.format) as sending:
        return sending([Item(alert, there.format.encode(alert)) for alert in alerts])


def read(lines):
    """The alerts in what the server wrote: both write the parts of the message as JSON."""
    found = []
    for line in lines:
        parts = json.loads(line)
        text = parts.get("msg", parts.get("MESSAGE"))
        found.append(json.loads(text[text.index("{") :]))
    return found


HOSTILE = 'a|b=c]d"e\\f\n<34>1 2024 forged\r\x00\x1b[2J\u2028\u202e\U0001f600' + "é" * 200


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_messages_arrive_whole_and_in_order(start, over):
    server = start()
    alerts = [made(n) for n in range(50)] + [made(50, entity=HOSTILE)]
    there = route(f"syslog+{over}://127.0.0.1:{server.port}")
    assert send(there, alerts) == repeat_outcome(alerts, Delivery())
    assert read(server.wait_for(len(alerts))) == alerts


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.formats())
def test_the_worst_alerts_arrive_whole_by_the_servers_usual_settings(start, name):
    """syslog-ng's plain tcp() and rsyslog take lines; so does Azure's forwarder."""
    server = start(usual=True)
    text = HOSTILE * 20
    names = [f"{text[:200]}{number}" for number in range(2000)]
    top = [{"name": each, "statements": 2**62, "rows": 2**62} for each in names]
    alerts = [
        made(n, entity=text, group=text, new_objects=names, top_objects=top, reasons=[text] * 50)
        for n in range(20)
    ]
    there = route(f"syslog+tcp://127.0.0.1:{server.port}", format=name, framing="newline")
    assert send(there, alerts) == repeat_outcome(alerts, Delivery())
    lines = server.wait_for(len(alerts))
    time.sleep(0.2)
    assert len(server.received) == len(lines) == len(alerts)
    for line, alert in zip(lines, alerts, strict=True):
        assert alert["id"] in line
    if there.format.is_json:
        texts = [json.loads(line) for line in lines]
        texts = [each.get("msg", each.get("MESSAGE")) for each in texts]
        assert all(json.loads(text[text.index("{") :]) for text in texts)


@pytest.mark.parametrize(
    ("url", "framing", "said"),
    [("syslog+udp://a", "newline", "TCP and TLS"), ("syslog+tcp://a", "lines", "must be one of")],
)
def test_a_framing_that_makes_no_sense_is_refused(url, framing, said):
    with pytest.raises(SettingsError, match=said):
        route(url, framing=framing)


def test_over_tls_with_a_client_certificate(start, pem):
    server = start(files(pem, "server"), ask=True)
    there = {"ca": str(pem / "ca.pem"), "cert": str(pem / "client.pem")}
    there["key"] = str(pem / "client.key")
    alerts = [made(n) for n in range(200)]
    url = f"syslog+tls://127.0.0.1:{server.port}"
    assert send(route(url, **there), alerts) == repeat_outcome(alerts, Delivery())
    assert read(server.wait_for(len(alerts))) == alerts


def test_a_server_that_asks_for_a_certificate_gets_nothing_without(start, pem):
    server = start(files(pem, "server"), ask=True)
    there = route(f"syslog+tls://127.0.0.1:{server.port}", ca=str(pem / "ca.pem"))
    with pytest.raises(Unreachable):
        send(there, [made(1)])
    assert server.received == []


def test_a_certificate_for_another_host_is_refused(start, pem):
    server = start(files(pem, "wrong"))
    there = route(f"syslog+tls://127.0.0.1:{server.port}", ca=str(pem / "ca.pem"))
    with pytest.raises(Unreachable, match="mismatch"):
        send(there, [made(1)])
    assert server.received == []


def test_an_unknown_authority_is_refused(start, pem):
    server = start(files(pem, "server"))
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        send(route(f"syslog+tls://127.0.0.1:{server.port}"), [made(1)])
    assert server.received == []


@pytest.mark.slow
@pytest.mark.parametrize("secured", [False, True], ids=["tcp", "tls"])
def test_a_server_that_is_restarted_again_and_again_gets_what_it_does_not_lose_itself(
    start, pem, secured, tmp_path
):
    """SIGTERM, wherever the connection is. rsyslog writes what it has read; syslog-ng, when it is
    stopped, forgets what it has read of one connection (measured; see docs/sinks.md).
    """
    server = start(files(pem, "server")) if secured else start()
    more = {"ca": str(pem / "ca.pem")} if secured else {}
    url = f"syslog+{'tls' if secured else 'tcp'}://127.0.0.1:{server.port}"
    there = route(url, batch=BATCH, timeout=5, **more)
    done, restarts = threading.Event(), []

    def restart():
        while not done.wait(0.1):
            server.stop(signal.SIGTERM)
            server.start()
            restarts.append(1)

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        put = _deliver_until(tmp_path / "outbox", there, lambda: len(restarts) >= RESTARTS)
    finally:
        done.set()
        thread.join()
    server.stop(signal.SIGTERM)
    got = [alert["id"] for alert in read(server.received)]
    lost = set(put) - set(got)
    assert set(got) <= set(put)
    assert len(lost) <= (0 if "rsyslog" in server.command[0] else BATCH * len(restarts))
    first = list(dict.fromkeys(got))
    assert first == sorted(first)


def _deliver_until(box, there, enough):
    """Puts and delivers, pausing for nothing; the ids that were put."""
    put = []
    while True:
        ended = enough()
        alerts = [made(len(put) + n) for n in range(50)]
        put += [alert["id"] for alert in alerts]
        with Outbox.open(box, ["siem"]) as kept:
            kept.put(alerts, {})
        while True:
            (report,) = deliver(box, [there], DeliveryTimeout(60))
            if not report.waiting:
                break
            with Outbox.open(box) as again, again.transaction() as rows:
                rows.execute("UPDATE sinks SET next_try = 0.0")
            time.sleep(0.01)
        if ended:
            return put


def test_without_a_server_nothing_counts_as_delivered():
    with pytest.raises(Unreachable, match="Connection refused"):
        send(route("syslog+tcp://127.0.0.1:9"), [made(1)])


def test_a_server_that_dies_before_it_read_all_is_found_out():
    """It takes the connection and goes, before our data: it closes in order, then resets."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def die():
            for _ in range(20):
                line, _ = listening.accept()
                line.close()

        thread = threading.Thread(target=die)
        thread.start()
        there = route(f"syslog+tcp://127.0.0.1:{port}", timeout=3)
        outcomes = []
        for _ in range(20):
            with pytest.raises(Unreachable):
                outcomes.append(send(there, [made(n) for n in range(100)]))
        thread.join()
    assert outcomes == []


def test_a_server_that_does_not_close_is_no_receipt(pem):
    import socket

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(pem / "server.pem"), str(pem / "server.key"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        there = route(f"syslog+tcp://127.0.0.1:{port}", timeout=0.3)
        with pytest.raises(Unreachable, match="no answer in time"):
            send(there, [made(1)])
