"""What every format owes, whichever it is; and the command that chooses one."""

import json
import re
from pathlib import Path

import pycef
import pytest
from hypothesis import given
from whole_alerts import KINDS, SEVERITIES, alerts, hostile, named, whole

from detector import registry
from detector.delivery import alert_fields, syslog_header
from detector.delivery.formats import cef, leef, rfc5424

TOP = Path(__file__).parents[3]
AGENCY = TOP / "data" / "sample" / "agency"
FORMATS = sorted(registry.formats())
#: How each format names the incident and the alerts before.
LINKS = {
    "cef": ("cs2=", "cs3="),
    "leef": ("incident=", "relatedAlerts="),
    "leef-tab": ("incident=", "relatedAlerts="),
    "rfc5424": ('incident="', 'related="'),
}


@given(alerts())
def test_the_same_alert_gives_the_same_single_line(alert):
    for name, each in registry.formats().items():
        line = each.encode(alert)
        assert line == each.encode(json.loads(json.dumps(alert))), name
        assert b"\n" not in line
        assert b"\r" not in line
        line.decode("utf-8")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_severity_has_a_record(name, kind):
    for severity in SEVERITIES:
        line = registry.formats()[name].encode(whole(entity_kind=kind, severity=severity)).decode()
        assert f"unusual_reading.{kind}" in line or name == "native"
        assert whole()["id"] in line


@pytest.mark.parametrize("name", FORMATS)
def test_an_alert_names_its_incident_and_the_alerts_before_it(name):
    line = registry.formats()[name].encode(whole()).decode()
    assert whole()["incident"] in line
    for own in whole()["related"]:
        assert own in line
    if name in LINKS:
        incident, related = LINKS[name]
        assert f"{incident}{whole()['incident']}" in line
        # The latest first, since a long list is cut at its end.
        assert f"{related}{','.join(whole()['related'][::-1])}" in line
        assert related not in registry.formats()[name].encode(whole(related=[])).decode()


@pytest.mark.parametrize("name", sorted(LINKS))
def test_of_many_related_alerts_the_latest_are_named(name):
    many = [f"{number:020x}" for number in range(100)]
    line = registry.formats()[name].encode(whole(related=many)).decode()
    assert many[-1] in line
    assert re.search(r"\.\.\.\(\d+ more\)", line)


def test_formats_are_told_apart():
    formats = registry.formats()
    assert set(formats) >= {
        "native",
        "ocsf",
        "ocsf-1.5",
        "ocsf-1.3",
        "ecs",
        "cef",
        "leef",
        "rfc5424",
    }
    assert {name for name, each in formats.items() if each.is_syslog} == {"rfc5424"}
    assert {name for name, each in formats.items() if not each.is_json} == {
        "cef", "leef", "leef-tab", "rfc5424",
    }  # fmt: skip


def test_risk_rises_with_severity_and_then_with_surprise():
    def at(severity, surprise):
        return alert_fields.risk(whole(severity=severity, surprise=surprise, threshold=2.0))

    assert [at(severity, 2.0) for severity in SEVERITIES] == [0, 25, 50, 75]
    assert at("low", 3.0) == 8
    assert at("low", 400.0) == 24
    assert at("critical", 400.0) == 99
    assert at("low", 1.0) == 0


def test_first_seen_is_before_the_alert_whatever_the_time_zone():
    """In Auckland the fifth of February begins on the fourth in UTC."""
    early = whole(time="2024-02-04T12:00:00Z", since="2024-02-05", date="2024-02-05")
    assert alert_fields.first_seen(early).isoformat() == "2024-02-04T11:00:00+00:00"


def test_cef_has_its_header_and_the_dictionary_s_keys():
    line = cef.encode(whole()).decode()
    assert line.startswith("CEF:0|detector|detector|")
    assert "|unusual_reading.account|Unusual reading by an account|5|externalId=" in line
    fields = pycef.parse(line)
    assert fields["src"] == "203.0.113.77"
    assert fields["suser"] == fields["duser"] == "eve"
    assert (fields["rows"], fields["recordsOut"], fields["expectedRows"]) == ("6068", "5887", "181")
    assert fields["cnt"] == "24"
    assert (fields["start"], fields["end"]) == ("1707004800000", "1707120000000")
    assert fields["techniques"] == "T1213.006,T1078"
    assert fields["clientAddresses"] == "203.0.113.77,172.20.7.198"
    assert fields["msg"] == "Unusual reading by account eve"
    assert fields["reason"].startswith("read 6,068 records")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.1.2.3", "src=10.1.2.3 "),
        ("2001:db8::1", "c6a2=2001:db8::1 c6a2Label=Source IPv6 Address "),
        ("app-7", "shost=app-7 "),
    ],
)
def test_cef_has_each_kind_of_address_under_its_own_key(address, key):
    line = cef.encode(whole(top_client_addresses=named(address), new_client_addresses=[])).decode()
    assert key in line
    assert sum(f" {name}=" in line for name in ("src", "c6a2", "shost")) == 1


def test_cef_escapes_its_header_and_its_extensions_each_in_its_way():
    assert cef.escape_header("a|b\\c=d") == "a\\|b\\\\c=d"
    assert cef.escape_value("a|b\\c=d\ne\rf") == "a|b\\\\c\\=d\\ne\\rf"


def test_cef_keeps_counts_within_the_dictionary_s_integers():
    assert " cnt=2147483647 " in cef.encode(whole(statements=2**40)).decode()
    assert " cnt=" in cef.encode(whole(statements=None)).decode()


def test_leef_has_its_header_and_ibm_s_keys():
    line = leef.encode(whole()).decode()
    head, rest = line[: line.index("^|") + 2], line[line.index("^|") + 2 :]
    assert head.startswith("LEEF:2.0|detector|detector|")
    assert head.endswith("|unusual_reading.account|^|")
    fields = dict(pair.split("=", 1) for pair in rest.split("^"))
    assert fields["devTime"] == "2024-02-05T08:00:00.000+0000"
    assert fields["devTimeFormat"] == "yyyy-MM-dd'T'HH:mm:ss.SSSZ"
    assert (fields["cat"], fields["sev"], fields["usrName"]) == ("account", "5", "eve")
    assert (fields["src"], fields["resource"]) == ("203.0.113.77", "public.person")
    by_name = leef.encode(whole(top_client_addresses=named("app-7"))).decode()
    assert "^src=" not in by_name
    assert "^clientHost=app-7^" in by_name


def test_syslog_headers_have_priority_time_host_program_and_id():
    line = rfc5424.encode(whole(), host="sender").decode()
    assert line.startswith(
        "<132>1 2024-02-05T08:00:00.000Z sender detector - alert [detector@32473 id="
    )
    assert "] \ufeffmedium: Unusual reading by account eve: read 6,068 records" in line
    framed = syslog_header.wrap_record(b"CEF:0|x", whole(severity="critical"), "local4", "sender")
    assert framed == b"<162>1 2024-02-05T08:00:00.000Z sender detector - alert - CEF:0|x"


@pytest.mark.parametrize(
    ("host", "shown"), [("", "-"), ("a b", "a-b"), ("h\u00f4te\n", "h-te-"), ("x" * 300, "x" * 255)]
)
def test_a_host_name_is_made_fit_for_the_header(host, shown):
    assert syslog_header.format_header(whole(), host=host).split(" ")[2] == shown


def test_names_of_structured_data_are_short_ascii_names():
    for name in rfc5424.parameters(hostile('x"]')):
        assert re.fullmatch(r"[A-Za-z]{1,32}", name)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_severities_are_in_the_same_order_in_each_scale(severity):
    place = SEVERITIES.index(severity)
    for scale in (cef.SEVERITIES, leef.SEVERITIES):
        assert sorted(scale.values())[place] == scale[severity]


def test_each_sink_has_the_format_that_its_receivers_know():
    assert {sink.name: sink.format for sink in registry.sinks().values()} == {
        "file": "ocsf",
        "syslog": "rfc5424",
        "splunk": "ocsf",
        "elastic": "ecs",
        "kafka": "ocsf",
        "webhook": "ocsf",
        "mail": "native",
    }


def score(detector, out, *more):
    return detector(
        "score", AGENCY / "2024-02a.parquet", "--directory", AGENCY / "directory.csv",
        "--model", TOP / "models" / "agency", "--ledger", out / "ledger", "--out", out, *more,
    )  # fmt: skip


def lines(out):
    return [
        json.loads(line)
        for line in (out / "alerts.ndjson").read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.slow
def test_score_writes_ocsf_unless_told_otherwise(detector, tmp_path, real):
    own = AGENCY / "detector.toml"
    assert score(detector, tmp_path, "--settings", own).code == 0
    assert [each["unmapped"] for each in lines(tmp_path)] == real
    assert {each["metadata"]["version"] for each in lines(tmp_path)} == {"1.8.0"}
    assert score(detector, tmp_path, "--settings", own, "--format", "ecs").code == 0
    assert [each["detector"] for each in lines(tmp_path)] == real
    settings = tmp_path / "other.toml"
    settings.write_text(f'format = "ocsf-1.3"\n{own.read_text(encoding="utf-8")}', encoding="utf-8")
    assert score(detector, tmp_path, "--settings", settings).code == 0
    assert {each["metadata"]["version"] for each in lines(tmp_path)} == {"1.3.0"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("cef", "does not go into an .ndjson file"), ("xml", "is unknown"), ("", "is unknown")],
)
def test_a_format_that_is_no_json_is_refused_before_any_work(detector, tmp_path, name, said):
    ran = score(detector, tmp_path, "--format", name)
    assert ran.code == 2
    assert said in ran.err
    assert "known are" in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "ledger").exists()


def test_a_format_in_the_settings_is_named_with_its_file(detector, tmp_path):
    settings = tmp_path / "detector.toml"
    settings.write_text("format = 5\n", encoding="utf-8")
    ran = score(detector, tmp_path, "--settings", settings)
    assert ran.code == 2
    assert "detector.toml: format = 5" in ran.err
