"""A daily dump that does not come is told, and a rise of reads that say too little."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from detector.watch.log_places import (
    MIN_BASELINE_RECORDS,
    WINDOW_EVENTS,
    Counts,
    Place,
    Places,
    place_name,
)
from detector.watch.log_position import Log

#: A Monday, 02:00.
FIRST = datetime(2024, 3, 4, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def places(is_holiday=lambda _: False) -> Places:
    return Places(lambda moment: moment.date(), is_holiday)


def dump(number: int, at: datetime, host: str = "a", **how: int) -> Log:
    path = f"/logs/{host}/audit-{at:%Y-%m-%d}.csv.gz"
    stamp = int(at.timestamp() * 1e9)
    return Log(number, path, 1, number, "csv", "whole", events=10, stamp=stamp, **how)


def told(found: Places, at: datetime, **how: bool) -> list[str]:
    wrong = found.conditions(at.timestamp(), 0.2, **{"behind": False, **how})
    return [f"{each.name} {each.what}" for each in wrong]


ABSENT = ["csv /logs/a/audit-*.csv.gz absent"]


def test_a_daily_dump_that_does_not_come_is_told_and_no_longer_once_it_came() -> None:
    found = places()
    late = [0, 1, 0, 0, 2, 0, 0, 1]
    for nth, hours in enumerate(late):
        at = FIRST + timedelta(days=nth, hours=hours)
        assert told(found, at) == []
        found.add(dump(nth, at), at.timestamp())
    due = FIRST + timedelta(days=8)
    assert told(found, due + 3 * HOUR) == []  # it was as late before
    assert told(found, due + 8 * HOUR) == ABSENT
    assert told(found, due + 8 * HOUR, behind=True) == []  # it may be read any moment
    assert told(found, due + timedelta(days=3)) == ABSENT
    again = places()
    again.load(found.facts(), [])
    assert told(again, due + 8 * HOUR) == ABSENT
    again.add(dump(9, due + 9 * HOUR), (due + 9 * HOUR).timestamp())
    assert told(again, due + 10 * HOUR) == []


def test_of_two_hosts_the_one_that_is_silent_is_named() -> None:
    found = places()
    for nth in range(9):
        at = FIRST + timedelta(days=nth)
        for host in ("a", "b") if nth < 8 else ("b",):
            found.add(dump(10 * nth + ord(host), at, host), at.timestamp())
    assert told(found, FIRST + timedelta(days=8, hours=5)) == ABSENT


def office(found: Places, weeks: int) -> None:
    """Dumps of Mondays to Fridays, all read at once: when they were written is what counts."""
    now = (FIRST + timedelta(weeks=weeks)).timestamp()
    for nth in range(7 * weeks):
        if nth % 7 < 5:
            found.add(dump(nth, FIRST + timedelta(days=nth)), now)


def test_what_comes_on_workdays_is_not_missed_on_a_weekend() -> None:
    found = places()
    office(found, 4)
    monday = FIRST + timedelta(weeks=4)
    for hours in range(-48, 3):
        assert told(found, monday + hours * HOUR) == [], hours
    assert told(found, monday + 5 * HOUR) == ABSENT
    off = places(lambda day: day == date(2024, 4, 1))
    office(off, 4)
    assert told(off, monday + 5 * HOUR) == []


def test_what_came_now_and_then_is_not_missed() -> None:
    found = places()
    for nth in (0, 1, 2, 5, 6, 9, 14, 15, 17):
        at = FIRST + timedelta(days=nth)
        found.add(dump(nth, at), at.timestamp())
    assert all(told(found, FIRST + timedelta(days=17, hours=n)) == [] for n in range(0, 400, 3))


def test_a_log_that_is_written_all_day_is_kept_in_few_hours() -> None:
    place = Place()
    for hour in range(1000, 1000 + 60 * 24):
        place.record_arrival(hour)
    assert len(place.hours) <= 28 * 24 // 6 + 1


@pytest.mark.parametrize(
    ("paths", "same"),
    [
        (("/l/a/x-2024-01-02.csv", "/l/a/x-2024-01-03.csv"), True),
        (("/l/2024/01/02/x.json.gz", "/l/2024/01/03/x.json.gz"), True),
        (("/l/audit.log", "/l/audit.log.1"), True),
        (("/l/audit.log", "/l/audit.log-20240102.gz"), True),
        (("/l/audit.log.1", "/l/audit.log.2.gz"), True),
        (("/l/host1/x-20240102T0100Z.gz", "/l/host2/x-20240102T0100Z.gz"), False),
        (("/l/db1-20240102.csv", "/l/db1-20240103.csv"), True),
        (("/l/db1-20240102.csv", "/l/db2-20240102.csv"), False),
        (("/l/a/x-04-03-2024.csv", "/l/a/x-05-03-2024.csv"), True),
        (("/l/x_4.3.2024.csv.gz", "/l/x_13.3.2024.csv.gz"), True),
        (("/l/2024/3/4/x.csv", "/l/2024/3/15/x.csv"), True),
        (("/l/x-24-03-04.csv", "/l/x-24-03-05.csv"), True),
        (("/l/x-Mar-04.log", "/l/x-Apr-15.log"), True),
        (("/l/x-04Mar2024.csv", "/l/x-15Apr2024.csv"), True),
        (("/l/postgresql-Mon.csv", "/l/postgresql-Tue.csv"), True),
        (("/l/10.0.0.1/x.csv", "/l/10.0.0.2/x.csv"), False),
        (("/l/market/x.csv", "/l/sunset/x.csv"), False),
    ],
)
def test_names_of_days_are_one_place(paths: tuple[str, str], same: bool) -> None:  # noqa: FBT001
    one, other = (place_name(Log(1, path, 1, 1, "csv", "whole")) for path in paths)
    assert (one == other) == same


def test_a_rise_of_what_says_too_little_is_told_by_place() -> None:
    found = places()
    at = FIRST.timestamp()
    for number in range(2):
        log = dump(number, FIRST)
        found.add(
            replace(
                log, events=MIN_BASELINE_RECORDS, reads=MIN_BASELINE_RECORDS, unknown=10, untold=0
            ),
            at,
        )
        assert found.conditions(at, 0.2, behind=False) == []
    bad = replace(
        dump(5, FIRST),
        events=WINDOW_EVENTS,
        reads=WINDOW_EVENTS // 2,
        unknown=200,
        untold=WINDOW_EVENTS // 2,
    )
    found.add(bad, at)
    (wrong,) = found.conditions(at, 0.2, behind=False)
    assert wrong.what == "unknown"
    assert "80.0% of its latest reads do not say how many" in wrong.words
    assert "50.0% of its latest statements could not be told" in wrong.words
    assert len(found.conditions(at, 0.2, behind=False)) == 1  # while it lasts
    found.add(replace(dump(6, FIRST), events=WINDOW_EVENTS, reads=WINDOW_EVENTS), at)
    assert found.conditions(at, 0.2, behind=False) == []
    assert Counts(1, 1).shares().keys() == Counts().shares().keys()
