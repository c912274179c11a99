"""Planned work holds back what it explains, and a thief inside it fires."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from small_office import CUT, FAMILIES, Office, agent, directory, joined, multiplied, pages

from detector.core.errors import VerdictError
from detector.core.settings import Settings
from detector.detection.batch import MAX_ACCOUNTS, score_by_week
from detector.detection.pipeline import Suppression
from detector.triage.planned_work import load
from detector.triage.suppression import Expectations, Observation

SETTINGS = Settings(timezone="Europe/Paris")
SCOPE = "group: desk north\\ntable: person\\ntimes: 5"


def calendar(*lines, event=True):
    inside = ["BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT"] if event else list(lines)
    text = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//a//b//", *inside, "END:VCALENDAR", ""]
    return "\r\n".join(text)


WINDOW = ("DTSTART:20240304T070000Z", "DTEND:20240304T170000Z")


@pytest.fixture
def read(tmp_path):
    def loaded(*lines, settings=SETTINGS, **more):
        path = tmp_path / "planned.ics"
        path.write_text(calendar(*lines, **more), encoding="utf-8")
        return load(path, settings)

    return loaded


def test_an_event_is_a_window_with_a_scope(read):
    (work,) = read(
        *WINDOW, "SUMMARY:Year end", "ORGANIZER:mailto:ann@example.org",
        f"DESCRIPTION:Agreed with the DPO.\\n{SCOPE}\\ngroup: desk\\, south",
        "X-DETECTOR-TABLE:file",
    )  # fmt: skip
    assert (work.groups, work.tables) == ({"desk north", "desk, south"}, {"person", "file"})
    assert (work.begin, work.end) == tuple(datetime(2024, 3, 4, h, tzinfo=UTC) for h in (7, 17))
    assert (work.factor, work.name, work.organizer) == (5.0, "Year end", "ann@example.org")


def test_days_and_local_times_are_those_of_the_organisation(read):
    (days,) = read(
        "DTSTART;VALUE=DATE:20240304", "DTEND;VALUE=DATE:20240306", f"DESCRIPTION:{SCOPE}"
    )
    assert days.begin == datetime(2024, 3, 3, 23, tzinfo=UTC)
    assert days.until == date(2024, 3, 5)
    (local,) = read("DTSTART:20240304T080000", "DURATION:PT2H", f"DESCRIPTION:{SCOPE}")
    assert local.end == datetime(2024, 3, 4, 9, tzinfo=UTC)
    assert local.factor == 5.0


def test_a_cancelled_event_is_none(read):
    assert read(*WINDOW, "STATUS:CANCELLED") == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((WINDOW[0], f"DESCRIPTION:{SCOPE}"), "has no end"),
        (("DTSTART;VALUE=DATE:20240304", f"DESCRIPTION:{SCOPE}"), "has no end"),
        ((WINDOW[1], f"DESCRIPTION:{SCOPE}"), "has no beginning"),
        ((*WINDOW, "DESCRIPTION:table: person"), "names no group"),
        ((*WINDOW, "X-DETECTOR-GROUP:desk north"), "names no table"),
        ((*WINDOW, "DESCRIPTION:anything"), "names no group"),
        ((*WINDOW, f"DESCRIPTION:{SCOPE}", "RRULE:FREQ=DAILY"), "repeats"),
        ((*WINDOW, f"DESCRIPTION:{SCOPE}0000"), "times = '50000'"),
        ((*WINDOW, f"DESCRIPTION:{SCOPE}", "X-DETECTOR-TIMES:9"), "must be one number"),
        ((*WINDOW, "DESCRIPTION:group: a\\ntable: b\\ntimes: nan"), "must be one number"),
        ((WINDOW[0], "DTEND:20240304T060000Z", f"DESCRIPTION:{SCOPE}"), "before it"),
        ((WINDOW[0], "DTEND:20300304T060000Z", f"DESCRIPTION:{SCOPE}"), "longer than"),
        (("DTSTART:yesterday", "DTEND:tomorrow", f"DESCRIPTION:{SCOPE}"), "event 1"),
        (("DTSTART;TZID=Nowhere/Land:20240304T070000", WINDOW[1], f"DESCRIPTION:{SCOPE}"), "zone"),
    ],
)  # fmt: skip
def test_what_has_no_end_scope_or_sense_is_refused_in_one_line(read, lines, said):
    with pytest.raises(VerdictError) as error:
        read(*lines)
    assert said in str(error.value)
    assert "planned.ics: event 1" in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("text", ["", "no calendar", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT", "\x00\xff"])
def test_what_is_no_calendar_is_refused(tmp_path, text):
    path = tmp_path / "planned.ics"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(VerdictError, match=r"planned\.ics"):
        load(path, SETTINGS)
    with pytest.raises(VerdictError, match="cannot be read"):
        load(tmp_path / "missing.ics", SETTINGS)


SEEN = Observation(
    "account", "ann", date(2024, 3, 4), frozenset({"volume"}), 900, 0, None, "desk north",
    datetime(2024, 3, 4, 9, tzinfo=UTC), expected_records=200.0,
    tables=(("person", 890), ("file", 10)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({"families": frozenset({"rhythm", "running"})}, True),
        ({"entity_kind": "group", "entity": "desk north"}, True),
        ({"entity_kind": "object", "entity": "person"}, True),
        ({"rows": 1000}, True),
        ({"rows": 1001}, False),
        ({"families": frozenset({"volume", "origin"})}, False),
        ({"families": frozenset({"exports"})}, False),
        ({"families": frozenset()}, False),
        ({"is_returning": True}, False),
        ({"unknown_rows_statements": 6}, False),
        ({"tables": (("person", 600), ("file", 300))}, False),
        ({"group": "desk south"}, False),
        ({"entity_kind": "object", "entity": "file"}, False),
        ({"entity_kind": "client_address", "entity": "desk north"}, False),
        ({"hour": datetime(2024, 3, 4, 5, tzinfo=UTC)}, False),
        # What the day added up to in the window stays in it.
        ({"hour": datetime(2024, 3, 4, 20, tzinfo=UTC)}, True),
        ({"day": date(2024, 3, 5), "hour": datetime(2024, 3, 5, 9, tzinfo=UTC)}, False),
    ],
)
def test_a_plan_holds_what_it_explains_and_no_more(read, change, held):
    (work,) = read(*WINDOW, f"DESCRIPTION:{SCOPE}")
    seen = replace(SEEN, **change)
    assert (work.applies_to(seen) and work.objection(seen, 100.0) is None) == held


DAY = CUT + timedelta(days=1)
NORTH = [number for number in range(0, 96, 4) if number]


@pytest.fixture(scope="module")
def busy(honest_log):
    """The desk called north reads twice as much on one day, as was planned."""
    more = [multiplied(honest_log, number, [DAY], [2.0], seed=number) for number in NORTH]
    return joined(honest_log, *more)


@pytest.fixture
def scored(model, read):
    def of(events, *, plan=True):
        names = ("person", "north.file")
        scope = "\\n".join(
            ["group: desk north", *(f"table: {name}" for name in names), "times: 10"]
        )
        window = (
            f"DTSTART;VALUE=DATE:{DAY:%Y%m%d}",
            f"DTEND;VALUE=DATE:{DAY + timedelta(1):%Y%m%d}",
        )
        works = read(*window, f"DESCRIPTION:{scope}", settings=Settings())
        expected = Expectations((), 2.0, FAMILIES, works)
        office = Office.of(events)
        suppression = Suppression(expected.covers, lambda _: True) if plan else None
        pipeline = replace(office.pipeline(model, directory()), suppression=suppression)
        (found,) = score_by_week(pipeline, office.tables(), [DAY], MAX_ACCOUNTS)
        return {
            "alarming": {alert["entity"] for alert in found.alerts},
            "held": {alert["entity"] for alert in found.suppressed},
        }

    return of


def test_a_busy_day_that_was_planned_is_held_back(busy, scored):
    without, planned = scored(busy, plan=False), scored(busy)
    north = {agent(number) for number in NORTH}
    assert without["alarming"] & north
    assert not planned["alarming"] & north
    assert planned["held"] >= without["alarming"] & north


@pytest.mark.slow
@pytest.mark.parametrize("theft", ["from abroad", "beyond the bound"])
def test_a_thief_inside_planned_work_fires(busy, scored, theft):
    loot = pages(0, [DAY], 900) if theft == "from abroad" else multiplied(busy, 0, [DAY], [40.0])
    assert agent(0) in scored(joined(busy, loot))["alarming"]
