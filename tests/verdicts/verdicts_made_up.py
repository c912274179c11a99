"""Alerts, verdicts and expectations made up for tests of verdicts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from detector import registry
from detector.delivery.test_alert import trial
from detector.triage.records import Verdict, judged
from detector.triage.subjects import Subject
from detector.triage.suppression import Expectation, Seen

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
        **trial(datetime(at.year, at.month, at.day, 12, tzinfo=UTC)),
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
    return judged(Subject.of(of, FAMILIES), said, until=end, **told)


def expectation(**other: Any) -> Expectation:
    made = {
        "entity_kind": "account", "entity": "eve", "families": frozenset({"volume"}),
        "after": DAY, "until": DAY + timedelta(days=30), "rows": 1000, "records_out": 900,
        "unknown_rows_statements": 0, "by": "ann", "why": "audit", "alert": "a1",
    }  # fmt: skip
    return Expectation(**{**made, **other})


def seen(**other: Any) -> Seen:
    made = {
        "entity_kind": "account", "entity": "eve", "day": DAY + timedelta(days=8),
        "families": frozenset({"volume"}), "rows": 1000, "unknown_rows_statements": 0,
        "records_out": 900,
    }  # fmt: skip
    return Seen(**{**made, **other})


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
    by=st.just("ann"),
    why=st.just("audit"),
    alert=st.none() | st.just("a1"),
)
sights = st.builds(
    Seen,
    entity_kind=st.sampled_from(["account", "object"]),
    entity=st.sampled_from(["eve", "bob"]),
    day=days,
    families=families,
    rows=amounts,
    unknown_rows_statements=amounts,
    records_out=st.none() | amounts,
)
