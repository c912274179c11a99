"""OCSF Detection Findings, against the published schemas."""

import json
from functools import cache

import jsonschema
import pytest
from hypothesis import given
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from whole_alerts import HOSTILE, KINDS, alerts, hostile, named, whole

from detector import __version__, registry
from detector.alerts.techniques import TECHNIQUES
from detector.delivery.attack import TACTICS
from detector.delivery.formats import ocsf

VERSIONS = {"1.8.0": "ocsf", "1.5.0": "ocsf-1.5", "1.3.0": "ocsf-1.3"}


@cache
def validator(version):
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version)).get_class_schema("detection_finding")
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def errors(version, alert):
    document = json.loads(registry.formats()[VERSIONS[version]].encode(alert))
    assert document["metadata"]["version"] == version
    return [
        f"{each.json_path}: {each.message}" for each in validator(version).iter_errors(document)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_real_alerts_fit_the_published_schema(version, real):
    assert [error for alert in real for error in errors(version, alert)] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_entity_fits_the_published_schema(version, kind):
    assert errors(version, whole(entity_kind=kind, entity="203.0.113.77")) == []
    assert [error for text in HOSTILE for error in errors(version, hostile(text, kind))] == []
    bare = whole(
        entity_kind=kind, related=[], techniques=[], features={}, new_client_addresses=None,
        new_objects=None, statements=None, unknown_rows_statements=None, group_largest_rows=None,
        top_objects=[], top_client_addresses=[], top_accounts=[],
    )  # fmt: skip
    assert errors(version, bare) == []


@given(alerts())
def test_any_alert_fits_the_published_schemas(alert):
    for version in VERSIONS:
        assert errors(version, alert) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_would_refuse_what_is_wrong(version):
    document = ocsf.finding(whole(), version)
    for wrong in (
        {"severity_id": 77},
        {"time": "2024-02-05"},
        {"anomaly": []},
        {"evidences": [{}]},
        {"finding_info": {"title": "without uid"}},
    ):
        assert list(validator(version).iter_errors({**document, **wrong}))
    assert list(validator(version).iter_errors({"class_uid": 2004}))


def test_a_finding_says_what_who_when_and_how_bad():
    told = ocsf.finding(whole())
    assert (told["class_uid"], told["type_uid"], told["activity_id"]) == (2004, 200401, 1)
    assert told["time"] == 1707120000000
    assert (told["severity_id"], told["severity"]) == (3, "Medium")
    assert told["is_alert"] is True
    assert told["risk_score"] == 25 + 12
    assert told["metadata"]["product"]["version"] == __version__
    info = told["finding_info"]
    assert info["uid"] == told["metadata"]["uid"] == whole()["id"]
    assert info["title"] == "Unusual reading by account eve"
    assert (
        info["desc"] == "read 6,068 records on 5 Feb 2024; its usual day is 181; from 2 addresses"
    )
    assert info["first_seen_time"] == 1707004800000
    assert info["created_time"] == info["last_seen_time"] == told["time"]
    assert info["analytic"]["uid"] == "unusual_reading.account"
    assert info["analytic"]["version"] == whole()["model"]


def test_a_finding_names_its_incident_and_the_alerts_before_it():
    told = ocsf.finding(whole())
    assert told["metadata"]["correlation_uid"] == whole()["incident"]
    assert [each["uid"] for each in told["finding_info"]["related_events"]] == whole()["related"]
    assert "related_events" not in ocsf.finding(whole(related=[]))["finding_info"]


def test_techniques_have_their_tactic_and_sub_technique():
    first, second = ocsf.finding(whole())["finding_info"]["attacks"]
    assert first["tactic"]["uid"] == "TA0009"
    assert (first["technique"]["uid"], first["technique"]["name"]) == (
        "T1213", "Data from Information Repositories",
    )  # fmt: skip
    assert (first["sub_technique"]["uid"], first["sub_technique"]["name"]) == (
        "T1213.006", "Databases",
    )  # fmt: skip
    assert first["sub_technique"]["src_url"] == "https://attack.mitre.org/techniques/T1213/006/"
    assert second["technique"]["uid"] == "T1078"
    assert "sub_technique" not in second
    assert {each.id.split(".")[0] for each in TECHNIQUES} == set(TACTICS)


def test_evidences_say_who_from_where_what_and_how_much():
    who, *touched = ocsf.finding(whole())["evidences"]
    assert who["actor"]["user"] == {"name": "eve", "groups": [{"name": "site-1"}]}
    assert who["data"]["rows"] == 6068
    assert who["data"]["expected_rows"] == 180.9
    assert [each["src_endpoint"]["ip"] for each in touched[:2]] == ["172.20.7.198", "203.0.113.77"]
    assert touched[2]["database"]["name"] == "public.person"
    assert touched[2]["data"]["rows"] == 6000
    assert {each["actor"]["user"]["name"] for each in touched} == {"eve"}


def test_accounts_behind_a_table_are_evidence_and_observables():
    told = ocsf.finding(
        whole(entity_kind="object", entity="public.person", top_accounts=named("eve", "bob"),
              top_objects=[], top_client_addresses=[], new_client_addresses=None, new_objects=None)
    )  # fmt: skip
    table, *people = told["evidences"]
    assert table["database"]["name"] == "public.person"
    assert [each["actor"]["user"]["name"] for each in people] == ["eve", "bob"]
    found = {(each["type_id"], each["value"]) for each in told["observables"]}
    assert found == {(4, "eve"), (4, "bob"), (99, "public.person")}


def test_an_address_that_is_none_is_a_name():
    for name in ("[local]", "app-server-7", "fe80::1%eth0", "10.0.0.256", "::ffff:", "10.0.0.0/8"):
        told = ocsf.finding(whole(top_client_addresses=named(name), new_client_addresses=[]))
        assert told["evidences"][1]["src_endpoint"] == {"name": name}
        assert 2 not in [each["type_id"] for each in told["observables"]]


def test_anomalies_have_what_was_seen_and_what_was_expected():
    (analysis,) = ocsf.finding(whole())["anomaly_analyses"]
    seen = {each["observation_parameter"]: each["observations"] for each in analysis["anomalies"]}
    assert seen == {"rows": [{"value": "6068"}], "length_vs_own": [{"value": "10.881996"}]}
    expected = [
        (each["observation_parameter"], each["observations"][0]["value"])
        for each in analysis["baselines"]
    ]
    assert expected == [("rows", "180.9"), ("rows", "44641"), ("length_vs_own", "0")]


def test_nothing_of_the_alert_is_lost():
    for version in VERSIONS:
        assert ocsf.finding(whole(), version)["unmapped"] == whole()


def test_an_infinity_is_null_and_not_broken_json():
    told = json.loads(ocsf.encode(whole(pace=float("inf"))))
    assert told["unmapped"]["pace"] is None


def test_of_more_than_ten_odd_features_the_ten_oddest_are_told_and_equal_ones_by_name():
    odd = {f"odd_{n:02}": {"value": float(n), "surprise": 1.0 + n} for n in range(12)}
    rest = {
        "b_equal": {"value": 7.0, "surprise": 5.0},
        "barely": {"value": 1.0, "surprise": ocsf.MIN_SURPRISE},
        "usual": {"value": 1.0, "surprise": 0.999},
        "unseen": {"value": None, "surprise": 99.0},
        "unjudged": {"value": 1.0, "surprise": None},
    }

    def told(features):
        (analysis,) = ocsf.finding(whole(features=features))["anomaly_analyses"]
        names = [each["observation_parameter"] for each in analysis["anomalies"]]
        assert [each["observation_parameter"] for each in analysis["baselines"][2:]] == names[1:]
        assert {each["observations"][0]["value"] for each in analysis["baselines"][2:]} == {"0"}
        return names[1:]

    wanted = [f"odd_{n:02}" for n in (11, 10, 9, 8, 7, 6, 5)]
    assert told({**odd, **rest}) == [*wanted, "b_equal", "odd_04", "odd_03"]
    assert told(rest) == ["b_equal", "barely"]
