"""Documents in the Elastic Common Schema, against its published fields and our index template."""

import csv
import ipaddress
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from whole_alerts import HOSTILE, KINDS, alerts, named, whole

from detector import registry
from detector.delivery import elastic_index
from detector.delivery.formats import ecs

FIELDS = Path(__file__).parents[2] / "data" / "ecs" / "fields.tsv"
with FIELDS.open(encoding="utf-8", newline="") as file:
    PUBLISHED = {row["field"]: row for row in csv.DictReader(file, delimiter="\t")}

#: What Elasticsearch takes for a type. A keyword of another type would be taken too, but not found.
TYPES = {
    "keyword": lambda value: isinstance(value, str),
    "text": lambda value: isinstance(value, str),
    "match_only_text": lambda value: isinstance(value, str),
    "long": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "float": lambda value: isinstance(value, float),
    "double": lambda value: type(value) in {int, float},
    "ip": lambda value: bool(ipaddress.ip_address(value)) and "%" not in value,
    "date": lambda value: bool(datetime.fromisoformat(value)),
}


def leaves(document, path=""):
    """Each value with its field; of a list, each part with whether it stood in a list."""
    for key, value in document.items():
        own = f"{path}{key}"
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from leaves(part, f"{own}.")
            elif part is not None:
                yield own, part, isinstance(value, list)


def mapping():
    """Field to type of the template's mapping."""

    def walk(properties, path):
        for name, each in properties.items():
            if "properties" in each:
                yield from walk(each["properties"], f"{path}{name}.")
            else:
                yield f"{path}{name}", each["type"]

    return dict(walk(elastic_index.template()["template"]["mappings"]["properties"], ""))


def refused(alert):
    """What Elasticsearch would refuse were the template's mapping strict."""
    known = mapping()
    return [
        (field, value)
        for field, value, _ in leaves(json.loads(ecs.encode(alert)))
        if field not in known or not TYPES[known[field]](value)
    ]


def test_real_alerts_have_published_fields_of_the_published_types(real):
    for alert in [*real, *(whole(entity_kind=kind) for kind in KINDS)]:
        for field, value, listed in leaves(json.loads(ecs.encode(alert))):
            if field.startswith("detector."):
                continue
            assert TYPES[PUBLISHED[field]["type"]](value), field
            assert not listed or PUBLISHED[field]["list"] == "yes", field


def test_the_template_takes_every_field_of_real_alerts_strictly(real):
    assert [each for alert in real for each in refused(alert)] == []


@given(alerts())
def test_the_template_takes_every_field_of_any_alert_strictly(alert):
    assert refused(alert) == []


def test_the_template_would_refuse_what_is_wrong():
    assert refused(whole(rows="many")) == [("detector.rows", "many")]
    assert refused(whole(unheard_of=1)) == [("detector.unheard_of", 1)]
    assert refused(whole(features={"rows_fast": {"value": "x", "surprise": 1.0}}))


def test_the_template_maps_every_feature_and_agrees_with_what_is_published():
    known = mapping()
    for family in registry.families():
        for feature in family.features:
            assert known[f"detector.features.{feature.name}.value"] == "double"
            assert known[f"detector.features.{feature.name}.surprise"] == "double"
    own = {field: kind for field, kind in known.items() if not field.startswith("detector.")}
    assert {field: kind.removeprefix("match_only_") for field, kind in own.items()} == {
        field: row["type"] for field, row in PUBLISHED.items()
    }
    head = elastic_index.template()
    assert head["index_patterns"] == [f"{elastic_index.INDEX}*"]
    # Elasticsearch refuses words longer than 32,766 bytes unless it is told to pass them by.
    assert json.dumps(head).count('"keyword"') == json.dumps(head).count('"ignore_above": 1024')


def test_the_document_says_what_who_when_and_how_bad():
    told = ecs.document(whole())
    assert told["@timestamp"] == "2024-02-05T08:00:00Z"
    assert told["ecs"]["version"] == "9.4.0"
    event = told["event"]
    assert (event["kind"], event["category"], event["type"]) == ("alert", ["database"], ["access"])
    assert (event["id"], event["code"]) == (whole()["id"], "unusual_reading.account")
    assert (event["severity"], event["risk_score"]) == (47, 37.0)
    assert (event["start"], event["end"]) == ("2024-02-04T00:00:00Z", "2024-02-05T08:00:00Z")
    assert told["user"] == {"name": "eve", "group": {"name": "site-1"}}
    assert told["source"] == {"address": "203.0.113.77", "ip": "203.0.113.77"}
    assert told["related"] == {"user": ["eve"], "ip": ["203.0.113.77", "172.20.7.198"]}
    assert told["rule"]["id"] == "unusual_reading.account"
    assert told["detector"] == whole()


def test_techniques_are_split_as_ecs_wants_them():
    threat = ecs.document(whole())["threat"]
    assert threat["framework"] == "MITRE ATT&CK"
    assert threat["technique"]["id"] == ["T1213", "T1078"]
    assert threat["technique"]["subtechnique"]["id"] == ["T1213.006"]
    assert threat["technique"]["subtechnique"]["name"] == ["Databases"]
    assert threat["tactic"]["id"] == ["TA0009", "TA0001"]
    assert "threat" not in ecs.document(whole(techniques=[]))


@pytest.mark.parametrize("name", ["[local]", "host-7", "fe80::1%eth0", "999.1.1.1", *HOSTILE])
def test_only_an_address_goes_into_a_field_of_addresses(name):
    told = ecs.document(whole(top_client_addresses=named(name), new_client_addresses=[]))
    assert told["source"] == {"address": name}
    assert told["related"] == {"user": ["eve"], "hosts": [name]}


def test_an_address_alert_has_the_address_as_its_source_and_no_user():
    told = ecs.document(
        whole(entity_kind="client_address", entity="2001:db8::1", top_client_addresses=[],
              new_client_addresses=None, top_accounts=named("eve", "bob"))
    )  # fmt: skip
    assert told["source"]["ip"] == "2001:db8::1"
    assert "user" not in told
    assert told["related"]["user"] == ["eve", "bob"]


def test_a_group_alert_names_no_one_address_as_its_source():
    told = ecs.document(whole(entity_kind="group", entity="site-1", top_accounts=named("eve")))
    assert told["group"] == {"name": "site-1"}
    assert "source" not in told


def test_bulk_creates_each_alert_once_under_its_own_id():
    own = whole()["id"]
    assert elastic_index.action(whole()) == {"create": {"_index": "detector-alerts", "_id": own}}
    assert json.loads(ecs.encode(whole()))["event"]["id"] == own
