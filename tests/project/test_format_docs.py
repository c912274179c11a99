"""docs/formats.md and docs/siem say what the formats write."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detector import registry
from detector.alerts.severity import SEVERITY_ORDER
from detector.core.settings import load
from detector.delivery import elastic_index
from detector.delivery.formats import cef, ecs, leef, ocsf, rfc5424
from detector.delivery.routing import build_routes

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "formats"))
from whole_alerts import KINDS, named, update, whole  # noqa: E402

TEXT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
SIEMS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs/siem").glob("*.md")}
#: Between them, every key that a format can have.
ALERTS = [
    update(),
    *(whole(entity_kind=kind, top_client_addresses=named(address), new_client_addresses=[],
          top_accounts=named("bob"))
    for kind in KINDS
    for address in ("10.0.0.1", "2001:db8::1", "app-7"))
]  # fmt: skip


def section(name: str) -> str:
    return TEXT.split(f"\n## {name}\n")[1].split("\n## ")[0]


def block(name: str, language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", section(name), re.MULTILINE | re.DOTALL)
    return found


def keys(text: str) -> list[str]:
    """Every name in the first cells of its tables."""
    return [
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    ]


def leaves(document: Any, path: str = "") -> Iterator[str]:
    for key, value in document.items():
        own = f"{path}{key}"
        if isinstance(value, dict) and own != "detector":
            yield from leaves(value, f"{own}.")
        else:
            yield own


def test_every_format_stands_in_the_docs_with_its_title() -> None:
    table = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", TEXT.split("\n## ")[0], re.MULTILINE))
    assert table == {name: each.title for name, each in registry.formats().items()}


@pytest.mark.parametrize(
    ("name", "own"), [("native", ""), ("ocsf", "unmapped"), ("ecs", "detector")]
)
def test_the_json_samples_are_what_is_written(name: str, own: str) -> None:
    document = json.loads(registry.formats()[name].encode(whole()))
    if own:
        assert document[own] == whole()
        document[own] = {"...": "the alert as native has it"}
    assert json.loads(block(name, "json")) == document


@pytest.mark.parametrize("name", ["cef", "leef"])
def test_the_line_samples_are_what_is_written(name: str) -> None:
    assert block(name, "text") == registry.formats()[name].encode(whole()).decode() + "\n"


def test_the_syslog_sample_is_what_is_written_but_for_the_invisible_mark() -> None:
    line = rfc5424.encode(whole(), host="detector-1").decode()
    assert line.count("\ufeff") == 1
    assert block("rfc5424", "text") == line.replace("\ufeff", "") + "\n"


def test_every_key_of_each_format_stands_in_the_docs() -> None:
    said = keys(section("ocsf"))
    assert set(said) - {"finding_info"} == {
        key
        for alert in ALERTS
        for key in (*ocsf.finding(alert), *ocsf.finding(alert)["finding_info"])
    } - {"finding_info"}
    said_ecs = {key for alert in ALERTS for key in leaves(ecs.document(alert))}
    assert set(keys(section("ecs"))) == said_ecs
    assert keys(section("cef")) == list(dict.fromkeys(keys(section("cef"))))
    assert set(keys(section("cef"))) == {key for alert in ALERTS for key in cef.extension(alert)}
    lines = [leef.encode(alert).decode().split("|", 6)[6] for alert in ALERTS]
    told = {pair.split("=")[0] for line in lines for pair in line.split("^")}
    assert set(keys(section("leef"))) == told
    assert set(keys(section("rfc5424"))) == {
        key for alert in ALERTS for key in rfc5424.parameters(alert)
    }


def test_the_docs_say_the_scales_and_the_limits() -> None:
    for at, severity in enumerate(SEVERITY_ORDER):
        (row,) = re.findall(rf"^\| {severity} \|(.+)\|$", TEXT, re.MULTILINE)
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[:3] == [
            str(scale[severity]) for scale in (ocsf.SEVERITIES, ecs.SEVERITIES, cef.SEVERITIES)
        ]
        assert cells[-1] == f"{25 * at} to {25 * at + 24}"
    for name, module, longest in (
        ("CEF", cef, cef.MAX_REASON_BYTES),
        ("LEEF", leef, leef.MAX_REASON_BYTES),
        ("RFC 5424", rfc5424, rfc5424.MAX_SENTENCE_BYTES),
    ):
        (row,) = re.findall(rf"^\| {name} \|(.+)\|$", TEXT, re.MULTILINE)
        limits = [int(cell.replace(",", "")) for cell in re.findall(r"(?<=\| )[\d,]+(?= )", row)]
        assert limits[1:] == [module.MAX_NAME_BYTES, module.MAX_LIST_BYTES, longest]


def test_there_is_a_page_for_each_siem() -> None:
    assert set(SIEMS) == {"splunk", "elastic", "sentinel", "qradar", "wazuh"}


@pytest.mark.parametrize("name", sorted(SIEMS))
def test_a_siem_s_page_has_sinks_that_the_settings_accept(name: str, tmp_path: Path) -> None:
    """Each block as a settings file of its own, up to what the commands that send demand."""
    blocks = re.findall(r"^```toml\n(.*?)^```", SIEMS[name], re.MULTILINE | re.DOTALL)
    assert blocks
    for text in blocks:
        file = tmp_path / "detector.toml"
        file.write_text(text, encoding="utf-8")
        found = build_routes(load(file).sinks, [], registry.sinks(), registry.formats())
        assert found
        # A page says the format, so that it stays what the receiver was set up for.
        assert [route.format.name for route in found] == [route.config.format for route in found]
        assert not any(route.config.scheme in route.sink.plaintext_schemes for route in found)


@pytest.mark.parametrize("name", sorted(SIEMS))
def test_json_and_xml_to_paste_are_well_formed(name: str) -> None:
    for text in re.findall(r"^```json\n(.*?)^```", SIEMS[name], re.MULTILINE | re.DOTALL):
        json.loads(text)
    for text in re.findall(r"^```xml\n(.*?)^```", SIEMS[name], re.MULTILINE | re.DOTALL):
        ET.fromstring(f"<all>{text}</all>")  # noqa: S314 - our own page


def test_wazuh_s_rules_name_fields_that_an_alert_has_and_match_it() -> None:
    """Wazuh's own engine is not to be had here: its comparisons are done by hand."""
    texts = re.findall(r"^```xml\n(.*?)^```", SIEMS["wazuh"], re.MULTILINE | re.DOTALL)
    rules = [rule for text in texts for rule in ET.fromstring(f"<a>{text}</a>").iter("rule")]  # noqa: S314
    assert len(rules) == 1 + len(SEVERITY_ORDER) - 1
    for severity in SEVERITY_ORDER:
        document = ecs.document(whole(severity=severity))
        matched = [
            rule for rule in rules if all(_holds(each, document) for each in rule.iter("field"))
        ]
        assert max(int(rule.attrib["level"]) for rule in matched) >= 3
    levels = [int(rule.attrib["level"]) for rule in rules]
    assert levels == sorted(levels)
    for rule in rules:
        for path in re.findall(r"\$\(([\w.]+)\)", rule.findtext("description") or ""):
            assert _at(path, ecs.document(whole()))


def _at(path: str, document: Any) -> Any:
    for key in path.split("."):
        document = document[key]
    return document


def _holds(field: ET.Element, document: dict[str, Any]) -> bool:
    return re.search(field.text or "", str(_at(field.attrib["name"], document))) is not None


def test_fields_that_the_pages_search_for_are_there() -> None:
    """Paths into an OCSF finding or an ECS document, as a SIEM's search writes them."""
    finding = json.loads(json.dumps(ocsf.finding(whole())))
    for path in re.findall(r"\bunmapped\.(\w+)", SIEMS["splunk"]):
        assert path in finding["unmapped"], path
    known = {*leaves(ecs.document(whole())), *(f"detector.{key}" for key in whole())}
    for path in re.findall(
        r"`((?:event|user|source|rule|threat|detector)\.[\w.]+)`", SIEMS["elastic"]
    ):
        assert path in known, path
    assert str(elastic_index.TEMPLATE) in SIEMS["elastic"]
