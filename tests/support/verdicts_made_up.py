"""Alerts, verdicts and expectations made up for tests of verdicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from detector import registry
from detector.delivery.test_alert import build_test_alert
from detector.triage.records import Verdict, make_verdict
from detector.triage.subjects import Subject
from detector.triage.suppression import Expectation, Observation

DAY = date(2024, 2, 5)
NOW = datetime(2024, 2, 6, 9, tzinfo=UTC)
FAMILIES = registry.families()
FIRST = {family.name: family.features[0].name for family in FAMILIES}
HOSTILE = 'two\nlines \x00\x1b[2J \u202e | = ] "quoted" {"kind": "verdict"}\u2028 é 😀'


def alert(entity: str = "eve", day: int = 0, kind: str = "account", **other: Any) -> dict[str, Any]:
    """Of ``entity``, so many days after DAY; ``spoke`` are families with a surprise of 3."""
    at = DAY + timedelta(days=day)
    spoke = other.pop("spoke", ("volume",))
    own = f"{kind}-{entity}-{at}"
    made = {
        **build_test_alert(datetime(at.year, at.month, at.day, 12, tzinfo=UTC)),
        "id": own,
        "alert": own,
        "incident": own,
        "entity_kind": kind,
        "entity": entity,
        "group": "office",
        "rows": 1000,
        "records_out": 900,
        "reasons": ["read 1,000 records"],
        "features": {FIRST[name]: {"value": 1.0, "surprise": 3.0} for name in spoke},
    }
    return {**made, **other}


def verdict(said: str, of: dict[str, Any], until: int | None = None, **other: Any) -> Verdict:
    """Of an alert; ``until`` in days after DAY, a month where it is needed and not given."""
    if said == "expected" and until is None:
        until = 30
    end = None if until is None else DAY + timedelta(days=until)
    told = {"reason": "audit", "by": "ann", "at": NOW, **other}
    return make_verdict(Subject.from_alert(of, FAMILIES), said, until=end, **told)


def expectation(**other: Any) -> Expectation:
    made = {
        "entity_kind": "account", "entity": "eve", "families": frozenset({"volume"}),
        "after": DAY, "until": DAY + timedelta(days=30), "rows": 1000, "records_out": 900,
        "unknown_rows_statements": 0, "author": "ann", "reason": "audit", "alert": "a1",
    }  # fmt: skip
    return Expectation(**{**made, **other})


def seen(**other: Any) -> Observation:
    made = {
        "entity_kind": "account", "entity": "eve", "day": DAY + timedelta(days=8),
        "families": frozenset({"volume"}), "rows": 1000, "unknown_rows_statements": 0,
        "records_out": 900,
    }  # fmt: skip
    return Observation(**{**made, **other})


families = st.frozensets(st.sampled_from(sorted(FIRST)))
amounts = st.integers(0, 10**12)
days = st.integers(-400, 400).map(lambda n: DAY + timedelta(days=n))
expectations = st.builds(
    Expectation,
    entity_kind=st.sampled_from(["account", "object"]),
    entity=st.sampled_from(["eve", "bob"]),
    families=families,
    after=st.none() | days,
    until=days,
    rows=amounts,
    records_out=st.none() | amounts,
    unknown_rows_statements=amounts,
    author=st.just("ann"),
    reason=st.just("audit"),
    alert=st.none() | st.just("a1"),
)
_some_families = st.frozensets(st.sampled_from(sorted(FIRST)), min_size=1)


def _up_to(draw: st.DrawFn, accepted: int, growth: float, above: bool) -> int:
    """An amount at or below what is still accepted; with ``above``, just above it."""
    limit = int(growth * accepted)
    return limit + 1 if above else draw(st.sampled_from([limit]) | st.integers(0, limit))


#: The parts of the rule, each of which an example can break alone; "" breaks none.
PARTS = ("", "entity", "too early", "too late", "reasons", "rows", "unknown", "out")


@st.composite
def expected_and_seen(draw: st.DrawFn, wrong: str) -> tuple[Expectation, Observation, float]:
    """An expectation, what it holds back but for the one thing that is ``wrong``, and a growth."""
    growth = draw(st.sampled_from([1.0, 1.5, 2.0, 3.7, 100.0]))
    until, length = draw(days), timedelta(days=draw(st.integers(1, 40)))
    first = until - length + timedelta(days=1)
    known = draw(_some_families) - ({"origin"} if wrong == "reasons" else set()) or {"volume"}
    expected = replace(
        draw(expectations),
        families=frozenset(known),
        until=until,
        after=until - length
        if wrong == "too early"
        else draw(st.sampled_from([None, until - length])),
        records_out=draw(amounts if wrong == "out" else st.none() | amounts),
    )
    of_known = draw(st.frozensets(st.sampled_from(sorted(known)), min_size=1))
    day = {"too early": first - timedelta(days=1), "too late": until + timedelta(days=1)}
    out = _up_to(draw, expected.records_out or 0, growth, wrong == "out")
    sight = Observation(
        entity_kind=expected.entity_kind,
        entity=expected.entity + ("x" if wrong == "entity" else ""),
        day=day.get(wrong, draw(st.sampled_from([first, until]))),
        families=of_known | ({"origin"} if wrong == "reasons" else set()),
        rows=_up_to(draw, expected.rows, growth, wrong == "rows"),
        unknown_rows_statements=_up_to(
            draw, expected.unknown_rows_statements, growth, wrong == "unknown"
        ),
        records_out=out if wrong == "out" else draw(st.sampled_from([None, out])),
    )
    return expected, sight, growth
