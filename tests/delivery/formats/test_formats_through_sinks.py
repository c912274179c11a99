"""Each format the whole way: the outbox, a sink, a real receiver, a parser that is not ours."""

from __future__ import annotations

import json
import os

import pytest
from receivers.daemons import rsyslog, syslog_ng
from receivers.elastic import Cluster
from receivers.web import receiving
from whole_alerts import HOSTILE, hostile, revealed

from detector import registry
from detector.delivery.formats import ecs
from detector.delivery.outbox.scheduler import DeliveryTimeout, deliver
from detector.delivery.outbox.store import Outbox
from detector.delivery.routing import build_routes
from simulation.loopback import UnavailableError

FORMATS = sorted(registry.formats())
SERVERS = {"rsyslog": rsyslog, "syslog-ng": syslog_ng}
ALERTS = [hostile(text) | {"id": f"{number:020x}"} for number, text in enumerate(HOSTILE)]


@pytest.fixture(params=SERVERS)
def server(request, tmp_path):
    try:
        with SERVERS[request.param](tmp_path) as running:
            running.name = request.param
            yield running
    except UnavailableError as error:
        if os.environ.get("DETECTOR_REQUIRE_SERVERS") == "1":
            pytest.fail(f"DETECTOR_REQUIRE_SERVERS=1, but {error}")
        pytest.skip(str(error))


def delivered(folder, url, name, **table):
    """Puts ALERTS into an outbox and delivers them to ``url`` in the format ``name``."""
    (there,) = build_routes(
        [{"url": url, "format": name, **table}], [], registry.sinks(), registry.formats()
    )
    with Outbox.open(folder / "outbox", [there.name]) as box:
        box.put(ALERTS, {})
    (report,) = deliver(folder / "outbox", [there], DeliveryTimeout(60))
    assert (report.delivered, report.waiting, report.aside) == (len(ALERTS), 0, 0), report.words


def entity(document):
    """Of a document in any of the JSON formats."""
    own = document.get("unmapped") or document.get("detector") or document
    return own["id"], own["entity"]


def of_lines(name, records, lognorm):
    """Id and entity in records of CEF and LEEF."""
    for parsed in lognorm(records):
        if name == "cef":
            fields = parsed["cef"]["Extensions"]
            # liblognorm loses the first letter after the header, unless it is a space.
            yield fields["xternalId"], revealed(fields["cs1"])
        else:
            fields = {each["key"]: each["value"] for each in parsed["attributes"]}
            yield fields["alertId"], revealed(fields["entity"])


def of_message(parsed):
    """Id and entity in structured data that a server has taken apart."""
    return parsed["id"], revealed(parsed["entity"])


def told():
    return [(alert["id"], alert["entity"]) for alert in ALERTS]


@pytest.mark.parametrize("name", FORMATS)
def test_through_a_file_each_alert_is_one_line_that_reads_back_equal(
    name, tmp_path, request, lognorm
):
    delivered(tmp_path, f"file://{tmp_path}/alerts", name)
    *lines, end = (tmp_path / "alerts").read_bytes().split(b"\n")
    assert end == b""
    if registry.formats()[name].is_json:
        assert [entity(json.loads(line)) for line in lines] == told()
    elif name == "rfc5424":
        parsed = request.getfixturevalue("rsyslog")(lines)
        assert [of_message(each["rfc5424-sd"]["detector@32473"]) for each in parsed] == told()
    else:
        assert list(of_lines(name, lines, lognorm)) == told()


def parts(line):
    """Message and structured data of a line that either server wrote, in JSON."""
    found = json.loads(line)
    if "msg" in found:
        return found["msg"], found["structured-data"]
    return found["MESSAGE"], found.get("_SDATA", found.get("SDATA"))


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"rfc5424"}))
def test_through_a_syslog_server_each_alert_is_one_message_that_reads_back_equal(
    name, server, tmp_path, lognorm
):
    delivered(tmp_path, f"syslog+tcp://127.0.0.1:{server.port}", name)
    messages = [parts(line)[0] for line in server.wait_for(len(ALERTS))]
    if registry.formats()[name].is_json:
        found = [entity(json.loads(message)) for message in messages]
        # What is too long for a syslog receiver is cut, and says so.
        for (own, name_of), (id_of, whole) in zip(found, told(), strict=True):
            assert own == id_of
            assert name_of[:10] == whole[:10]
        return
    if name == "leef-tab" and server.name == "rsyslog":
        # As docs/formats.md warns.
        assert not any("\t" in message for message in messages)
        messages = [message.replace("#011", "\t") for message in messages]
    assert list(of_lines(name, [each.encode() for each in messages], lognorm)) == told()


def test_through_a_syslog_server_structured_data_reads_back_equal(server, tmp_path):
    delivered(tmp_path, f"syslog+tcp://127.0.0.1:{server.port}", "rfc5424")
    found = [parts(line) for line in server.wait_for(len(ALERTS))]
    assert all(
        text.lstrip("\ufeff").startswith("medium: Update: Unusual reading") for text, _ in found
    )
    if server.name == "syslog-ng":
        assert [of_message(data["detector@32473"]) for _, data in found] == told()
    else:
        # rsyslog hands on what it was sent; that it can take it apart too is tested with the file.
        sent = [registry.formats()["rfc5424"].encode(alert).decode() for alert in ALERTS]
        assert all(data in line for (_, data), line in zip(found, sent, strict=True))
        assert all(data.endswith('"]') for _, data in found)


def test_through_elasticsearch_the_document_is_the_one_that_the_template_maps(tmp_path):
    documents = {}
    with receiving(Cluster(documents.__setitem__).answer) as receiver:
        delivered(tmp_path, f"elastic+{receiver.url}", "ecs")
    assert documents == {alert["id"]: ecs.document(alert) for alert in ALERTS}
