"""Which MITRE ATT&CK techniques an alert shows."""

import re
from pathlib import Path

import pytest
from alerts_made_up import row

from detector import registry
from detector.alerts.techniques import NOTABLE_SURPRISE, TECHNIQUES, matching_techniques

DATABASES, VALID, LIMITS, AUTOMATED = "T1213.006", "T1078", "T1030", "T1020"


def shown(**figures):
    return [each["id"] for each in matching_techniques(row(**figures))]


def test_reading_records_is_always_told():
    assert shown() == [DATABASES]
    assert shown(rows=0.0, unknown=3.0) == [DATABASES]
    assert shown(rows=0.0, unknown=None, strange_hours_surprise=5.0) == []


@pytest.mark.parametrize(
    ("feature", "technique"),
    [
        ("foreign_networks", VALID),
        ("new_addresses", VALID),
        ("strange_hours", VALID),
        ("idle_days", VALID),
        ("rows_slow", LIMITS),
        ("statements_month", LIMITS),
        ("unknown_vs_own", AUTOMATED),
        ("hours_vs_own", AUTOMATED),
        ("peak_vs_own", AUTOMATED),
    ],
)
def test_a_feature_that_speaks_shows_its_technique(feature, technique):
    assert shown(**{f"{feature}_surprise": NOTABLE_SURPRISE}) == [DATABASES, technique]
    assert shown(**{f"{feature}_surprise": NOTABLE_SURPRISE - 0.01}) == [DATABASES]
    assert shown(**{f"{feature}_surprise": None}) == [DATABASES]


def test_paging_is_not_said_where_a_single_statement_is_large():
    assert shown(rows_slow_surprise=4.0, largest_vs_own_surprise=4.0) == [DATABASES]
    assert shown(rows_slow_surprise=4.0, largest_vs_own_surprise=0.5) == [DATABASES, LIMITS]


def test_techniques_name_features_that_there_are():
    known = {feature.name for family in registry.families() for feature in family.features}
    named = {name for each in TECHNIQUES for name in (*each.features, *each.absent_features)}
    assert named <= known


def test_the_docs_name_the_same_techniques():
    text = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (T[\d.]+) (.+?) \|", text, re.MULTILINE)
    assert told == [(each.id, each.name) for each in TECHNIQUES]
