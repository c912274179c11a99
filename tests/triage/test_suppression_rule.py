"""What an expectation holds back, and what passes it all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdicts_made_up import (
    DAY,
    FAMILIES,
    FIRST,
    PARTS,
    alert,
    amounts,
    expectation,
    expectations,
    expected_and_seen,
    seen,
    verdict,
)

from detector.triage.history import VerdictHistory
from detector.triage.subjects import AMOUNT_FAMILIES, reason_families
from detector.triage.suppression import Expectations

growths = st.floats(1, 100)


def covers(expected, sight, growth=2.0):
    return expected.applies_to(sight) and expected.objection(sight, growth) is None


def test_the_same_again_is_held_back_and_its_growth_is_not():
    assert covers(expectation(), seen())
    assert covers(expectation(), seen(rows=2000, records_out=1800))
    assert not covers(expectation(), seen(rows=2001))
    assert not covers(expectation(), seen(records_out=1801))
    assert not covers(expectation(), seen(unknown_rows_statements=1))
    assert covers(expectation(), seen(rows=5000, records_out=4500), growth=5)


def test_it_holds_after_the_day_of_its_alert_and_until_its_own_last():
    last = DAY + timedelta(days=30)
    assert not covers(expectation(), seen(day=DAY))
    assert covers(expectation(), seen(day=DAY + timedelta(days=1)))
    assert covers(expectation(), seen(day=last))
    assert not covers(expectation(), seen(day=last + timedelta(days=1)))
    assert covers(expectation(after=None), seen(day=DAY - timedelta(days=100)))


def test_another_reason_passes_and_how_much_is_one_reason():
    assert not covers(expectation(), seen(families=frozenset({"volume", "origin"})))
    assert covers(expectation(), seen(families=frozenset({"running"})))
    assert covers(
        expectation(families=frozenset({"volume", "origin"})), seen(families=frozenset({"origin"}))
    )
    assert not covers(expectation(families=frozenset({"origin"})), seen())


def test_what_shows_nothing_is_never_held_back():
    assert not covers(expectation(families=frozenset(FIRST)), seen(families=frozenset()))


def breaches(expected, sight, growth):
    """Which parts of the rule a sight breaks."""
    amounts = {
        "rows": (sight.rows, expected.rows),
        "unknown": (sight.unknown_rows_statements, expected.unknown_rows_statements),
        "out": (sight.records_out, expected.records_out),
    }
    found = {
        "entity": (expected.entity_kind, expected.entity) != (sight.entity_kind, sight.entity),
        "too early": expected.after is not None and sight.day <= expected.after,
        "too late": sight.day > expected.until,
        "reasons": not sight.families
        or not reason_families(sight.families) <= reason_families(expected.families),
        **{name: None not in (a, b) and a > growth * b for name, (a, b) in amounts.items()},
    }
    return {name for name, broken in found.items() if broken}


@pytest.mark.parametrize("wrong", PARTS)
@settings(max_examples=50)
@given(st.data())
def test_nothing_but_the_entity_its_days_reasons_and_volume_is_held_back(wrong, data):
    """All of that is, up to its last day and its last record; but for any one part, nothing is."""
    expected, sight, growth = data.draw(expected_and_seen(wrong))
    assert breaches(expected, sight, growth) == ({wrong} if wrong else set())
    assert covers(expected, sight, growth) == (not wrong)


@given(expectations, growths)
def test_what_was_accepted_is_held_back_on_the_next_day(expected, growth):
    """So that the property above is not passed by holding back nothing."""
    again = seen(
        entity_kind=expected.entity_kind, entity=expected.entity, day=expected.until,
        families=expected.families, rows=expected.rows, records_out=expected.records_out,
        unknown_rows_statements=expected.unknown_rows_statements,
    )  # fmt: skip
    alive = expected.after is None or expected.after < expected.until
    assert covers(expected, again, growth) == (alive and bool(expected.families))


@pytest.mark.parametrize("wrong", [part for part in PARTS if part])
@settings(max_examples=30)
@given(st.data(), amounts)
def test_more_of_anything_is_never_held_back_where_less_was_not(wrong, data, more):
    expected, sight, growth = data.draw(expected_and_seen(wrong))
    assert not covers(expected, replace(sight, rows=sight.rows + more), growth)
    wider = replace(sight, families=sight.families | {"origin"})
    assert not covers(expected, wider, growth)


@pytest.mark.parametrize("wrong", ["reasons", "rows", "unknown", "out"])
@settings(max_examples=30)
@given(st.data())
def test_the_objection_names_what_is_too_much(wrong, data):
    expected, sight, growth = data.draw(expected_and_seen(wrong))
    words = expected.objection(sight, growth)
    if wrong == "reasons":
        assert words == "for other reasons: origin"
        return
    noun = {"rows": "record", "unknown": "unknown size", "out": "above the usual"}[wrong]
    assert words.startswith("for less: ")
    assert noun in words
    assert f"{growth:g} times" in words


def scored(*alerts, **figures):
    """Rows of a scored table that show the same as alerts."""
    names = [feature.name for family in FAMILIES for feature in family.features]
    return pl.DataFrame(
        [
            {
                "entity_kind": each["entity_kind"],
                "entity": each["entity"],
                "day": DAY + timedelta(days=8),
                "rows": float(each["rows"]),
                "unknown": None,
                **{
                    f"{name}_surprise": each["features"].get(name, {}).get("surprise")
                    for name in names
                },
                **figures,
            }
            for each in alerts
        ],
        schema_overrides={"unknown": pl.Float64}
        | {f"{name}_surprise": pl.Float64 for name in names},
    )


def test_rows_and_alerts_are_judged_alike():
    expected = Expectations([expectation()], 2.0, FAMILIES)
    asked = [
        alert(day=8),
        alert(day=8, rows=2001),
        alert("bob", day=8),
        alert(day=8, spoke=["origin"]),
        alert(day=8, spoke=["running", "volume"]),
    ]
    assert expected.covers(scored(*asked)).to_list() == [True, False, False, False, True]
    assert [expected.is_suppressed(each) for each in asked] == [True, False, False, False, True]
    assert expected.covers(scored(alert(), unknown=3.0)).to_list() == [False]


def test_the_oddest_family_always_speaks_and_others_from_one_day_in_a_hundred():
    quiet = alert(day=8, spoke=())
    quiet["features"] = {
        FIRST["origin"]: {"value": 1.0, "surprise": 1.4},
        FIRST["volume"]: {"value": 1.0, "surprise": 1.2},
        FIRST["rhythm"]: {"value": None, "surprise": None},
    }
    assert verdict("benign", quiet).subject.families == ("origin",)
    quiet["features"][FIRST["volume"]]["surprise"] = 2.0
    assert verdict("benign", quiet).subject.families == ("volume",)
    quiet["features"][FIRST["origin"]]["surprise"] = 2.0
    assert verdict("benign", quiet).subject.families == ("origin", "volume")


def test_an_alert_that_passes_says_whose_expectation_it_exceeds():
    expected = Expectations([expectation(), expectation(alert=None)], 2.0, FAMILIES)
    assert expected.objections(alert(day=8, rows=5000)) == [
        f"expected by {who}, until 2024-03-06 (audit), but for less: 5,000 records, {much}"
        for who, much in (
            ("ann", "more than 2 times 1,000"),
            ("the allow-list, ann", "more than 2 times 1,000"),
        )
    ]
    assert expected.objections(alert(day=8, spoke=["origin"])) == [
        f"{each.to_text()}, but for other reasons: origin" for each in expected.expectations
    ]
    assert expected.objections(alert("bob", day=8, rows=5000)) == []
    assert expected.objections(alert(day=31, rows=5000)) == []


def test_a_theft_that_is_confirmed_ends_what_was_expected_of_its_entity():
    first, second = alert(), alert(day=8)
    expected = verdict("expected", first)
    assert len(VerdictHistory((expected,)).expectations()) == 1
    assert VerdictHistory((expected, verdict("confirmed", second))).expectations() == []
    assert VerdictHistory((expected, verdict("confirmed", alert("bob")))).expectations() != []
    # Said after the theft was known, it counts.
    assert len(VerdictHistory((verdict("confirmed", second), expected)).expectations()) == 1


def test_the_latest_verdict_on_an_alert_is_the_one_that_holds():
    first = alert()
    book = VerdictHistory((verdict("expected", first), verdict("benign", first)))
    assert book.expectations() == []
    again = VerdictHistory((*book.records, verdict("expected", first, until=60)))
    assert [each.until for each in again.expectations()] == [DAY + timedelta(days=60)]


@pytest.mark.parametrize("name", sorted(AMOUNT_FAMILIES))
def test_the_families_that_tell_how_much_are_there(name):
    assert name in FIRST
