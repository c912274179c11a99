"""Planned work: windows of an iCalendar file in which some groups read more of some tables.

A window is an expectation like those of the allow-list, of all accounts of its groups: it holds
back what is odd by amount or by hour only, up to a multiple of what is usual of each. The library
``icalendar`` is imported where a setting names a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from detector.core.errors import SettingsError, VerdictError
from detector.core.formatting import count, counted, names
from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT, GROUP, OBJECT
from detector.triage.subjects import reasons
from detector.triage.suppression import Seen

#: What planned work explains: how much, and at what hours.
FAMILIES: Final = frozenset({"volume", "running", "rhythm", "population"})
#: Times what is usual, beyond which nothing is planned; and the longest window.
MOST_TIMES: Final = 10.0
MOST_DAYS: Final = 92
#: Bytes of a calendar; a larger one is no plan of work.
MOST_BYTES: Final = 10_000_000
#: What says the scope: lines of the description, or X-DETECTOR- properties.
KEYS: Final = ("group", "table", "times")
LINE: Final = re.compile(r"^\s*(group|table|times)\s*:\s*(.+?)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Work:
    """From ``begin`` to before ``end``, ``groups`` read ``tables`` up to ``times`` as much.

    ``least`` is a usual day's records for those who read hardly any. Days are those of ``zone``.
    """

    name: str
    by: str
    groups: frozenset[str]
    tables: frozenset[str]
    begin: datetime
    end: datetime
    times: float
    least: int
    zone: str

    @property
    def until(self) -> date:
        """Its last day."""
        return (self.end - timedelta(microseconds=1)).astimezone(ZoneInfo(self.zone)).date()

    def scope(self) -> pl.Expr:
        """Which rows of a scored table are of its accounts, groups and tables."""
        groups, tables = (
            pl.Series(sorted(some), dtype=pl.String).implode()
            for some in (self.groups, self.tables)
        )
        kind, entity = pl.col("entity_kind"), pl.col("entity")
        return (
            ((kind == ACCOUNT) & pl.col("group").is_in(groups))
            | ((kind == GROUP) & entity.is_in(groups))
            | ((kind == OBJECT) & entity.is_in(tables))
        )

    def concerns(self, seen: Seen) -> bool:
        """Whether it is about this entity, and this hour.

        What a day adds up to stays after the window, so it holds until its last day is over.
        """
        scope = {ACCOUNT: self.groups, GROUP: self.groups, OBJECT: self.tables}
        name = seen.group if seen.entity_kind == ACCOUNT else seen.entity
        begun = seen.hour is not None and seen.hour + timedelta(hours=1) > self.begin
        return name in scope.get(seen.entity_kind, ()) and begun and seen.day <= self.until

    def objection(self, seen: Seen, growth: float) -> str | None:
        """Why ``seen`` is more than was planned; null where it is not. It has its own growth."""
        del growth
        new = sorted(reasons(seen.families) - reasons(FAMILIES))
        if seen.is_back:
            new.append("absence")
        if new or not seen.families:
            return f"for other reasons: {', '.join(new) or 'none of those planned'}"
        usual = max(seen.usual, self.least)
        others = {name: rows for name, rows in seen.tables if name not in self.tables}
        if seen.entity_kind != OBJECT and sum(others.values()) > usual:
            return f"for other tables: {names(sorted(others))}"
        if seen.rows > self.times * usual:
            told = counted(seen.rows, "record")
            return f"for less: {told}, more than {self.times:g} times a usual day's {count(usual)}"
        if seen.unknown_rows_statements > self.times * max(seen.usual_unknown, 1.0):
            return "for fewer statements of unknown size"
        return None

    def words(self) -> str:
        """What is planned, until when, and who answers for it."""
        return f"planned work ({self.name}), by {self.by}, until {self.until}"

    def plain(self) -> dict[str, Any]:
        """As it stands in an alert that is held back."""
        return {
            "alert": None,
            "reason": self.name,
            "by": self.by,
            "until": self.until.isoformat(),
            "families": sorted(FAMILIES),
            "rows": None,
            "records_out": None,
            "unknown_rows_statements": None,
        }


def load(path: Path, settings: Settings) -> list[Work]:
    """The events of a calendar that are not cancelled.

    Raises VerdictError, naming the event, for one without an end, a scope, or sense.
    """
    from icalendar import Calendar

    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise VerdictError(f"cannot be read: {error.strerror}", where=path) from error
    if len(raw) > MOST_BYTES:
        raise VerdictError(f"is larger than {MOST_BYTES:,} bytes", where=path)
    try:
        calendar = Calendar.from_ical(raw)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        hint = "planned_work names a file of BEGIN:VCALENDAR"
        raise VerdictError("is no iCalendar file", where=path, hint=hint) from error
    found = []
    for number, event in enumerate(calendar.walk("VEVENT"), start=1):
        where = f"{path}: event {number} ({_text(event.get('SUMMARY'))[:80] or 'no summary'})"
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        try:
            found.append(_work(event, settings))
        except SettingsError as error:
            raise VerdictError(error.what, where=where, hint=error.hint) from None
    return found


def _work(event: Any, settings: Settings) -> Work:
    """One event. Raises SettingsError."""
    if event.errors:
        name, why = event.errors[0]
        raise SettingsError(f"{name or 'a property'} makes no sense ({why})")
    for name in ("RRULE", "RDATE", "RECURRENCE-ID"):
        if name in event:
            raise SettingsError("repeats", hint="write each window as an event of its own")
    begin, end = _window(event, settings)
    scope = _scope(event)
    for key in ("group", "table"):
        if not scope[key]:
            hint = f"say it in the description, in a line such as {key}: {_example(key)}"
            raise SettingsError(f"names no {key}", hint=hint)
    return Work(
        name=_text(event.get("SUMMARY"))[:200] or "no summary",
        by=_text(event.get("ORGANIZER"))[:200].removeprefix("mailto:") or "nobody named",
        groups=frozenset(scope["group"]),
        tables=frozenset(scope["table"]),
        begin=begin,
        end=end,
        times=_times(scope["times"], settings),
        least=settings.minimum_records,
        zone=settings.timezone,
    )


def _window(event: Any, settings: Settings) -> tuple[datetime, datetime]:
    hint = "planned work has a beginning and an end: DTSTART, and DTEND or DURATION"
    start = event.get("DTSTART")
    if start is None:
        raise SettingsError("has no beginning", hint=hint)
    begin = _moment(start, settings)
    if "DTEND" in event:
        end = _moment(event["DTEND"], settings)
    elif "DURATION" in event:
        end = begin + event["DURATION"].dt
    else:
        raise SettingsError("has no end", hint=hint)
    if not begin < end:
        raise SettingsError("ends before it begins")
    if end - begin > timedelta(days=MOST_DAYS):
        raise SettingsError(f"is longer than {MOST_DAYS} days", hint="plan it in parts")
    return begin, end


def _moment(given: Any, settings: Settings) -> datetime:
    """Of a property: a date is its midnight, a time without a zone is the organisation's."""
    if isinstance(given, list):
        raise SettingsError("has two beginnings or ends")
    value, zone = given.dt, ZoneInfo(settings.timezone)
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), zone)
    if value.tzinfo is None and "TZID" in given.params:
        raise SettingsError(f"names an unknown time zone, {str(given.params['TZID'])[:80]!r}")
    return value.replace(tzinfo=zone) if value.tzinfo is None else value


def _scope(event: Any) -> dict[str, list[str]]:
    """By KEYS, what the description's lines and the X-DETECTOR- properties say."""
    found: dict[str, list[str]] = {key: [] for key in KEYS}
    for line in _text(event.get("DESCRIPTION")).splitlines():
        if said := LINE.match(line):
            found[said[1].lower()].append(said[2])
    for key in KEYS:
        given = event.get(f"X-DETECTOR-{key.upper()}", [])
        found[key] += [_text(each) for each in (given if isinstance(given, list) else [given])]
    return found


def _times(given: list[str], settings: Settings) -> float:
    if not given:
        return min(settings.expected_growth, MOST_TIMES)
    try:
        times = float(given[0])
    except ValueError:
        times = 0.0
    if len(given) > 1 or not 1 <= times <= MOST_TIMES:
        what = f"times = {', '.join(given)[:80]!r} must be one number from 1 to {MOST_TIMES:g}"
        raise SettingsError(what)
    return times


def _text(given: Any) -> str:
    if isinstance(given, list):
        given = given[0] if given else None
    return "" if given is None else str(given).strip()


def _example(key: str) -> str:
    return {"group": "agency.lyon", "table": "public.person"}[key]
