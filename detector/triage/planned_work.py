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
from detector.core.formatting import count, name_list, quantity
from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT, GROUP, OBJECT
from detector.triage.subjects import reason_families
from detector.triage.suppression import Observation

#: What planned work explains: how much, and at what hours.
EXPLAINED_FAMILIES: Final = frozenset({"volume", "running", "rhythm", "population"})
#: Times what is usual, beyond which nothing is planned; and the longest window.
MAX_FACTOR: Final = 10.0
MAX_DAYS: Final = 92
#: Bytes of a calendar; a larger one is no plan of work.
MAX_BYTES: Final = 10_000_000
#: What says the scope: lines of the description, or X-DETECTOR- properties.
SCOPE_KEYS: Final = ("group", "table", "times")
SCOPE_LINE: Final = re.compile(r"^\s*(group|table|times)\s*:\s*(.+?)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WorkWindow:
    """From ``begin`` to before ``end``, ``groups`` read ``tables`` up to ``times`` as much.

    ``min_records`` is a usual day's records for those who read hardly any. Days are those of
    ``zone``.
    """

    name: str
    organizer: str
    groups: frozenset[str]
    tables: frozenset[str]
    begin: datetime
    end: datetime
    factor: float
    min_records: int
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

    def applies_to(self, seen: Observation) -> bool:
        """Whether it is about this entity, and this hour.

        What a day adds up to stays after the window, so it holds until its last day is over.
        """
        scope = {ACCOUNT: self.groups, GROUP: self.groups, OBJECT: self.tables}
        name = seen.group if seen.entity_kind == ACCOUNT else seen.entity
        begun = seen.hour is not None and seen.hour + timedelta(hours=1) > self.begin
        return name in scope.get(seen.entity_kind, ()) and begun and seen.day <= self.until

    def objection(self, seen: Observation, growth: float) -> str | None:
        """Why ``seen`` is more than was planned; null where it is not. It has its own growth."""
        del growth
        new = sorted(reason_families(seen.families) - reason_families(EXPLAINED_FAMILIES))
        if seen.is_returning:
            new.append("absence")
        if new or not seen.families:
            return f"for other reasons: {', '.join(new) or 'none of those planned'}"
        usual = max(seen.expected_records, self.min_records)
        others = {name: rows for name, rows in seen.tables if name not in self.tables}
        if seen.entity_kind != OBJECT and sum(others.values()) > usual:
            return f"for other tables: {name_list(sorted(others))}"
        if seen.rows > self.factor * usual:
            told = quantity(seen.rows, "record")
            return f"for less: {told}, more than {self.factor:g} times a usual day's {count(usual)}"
        if seen.unknown_rows_statements > self.factor * max(seen.expected_unknown, 1.0):
            return "for fewer statements of unknown size"
        return None

    def to_text(self) -> str:
        """What is planned, until when, and who answers for it."""
        return f"planned work ({self.name}), by {self.organizer}, until {self.until}"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in an alert that is held back."""
        return {
            "alert": None,
            "reason": self.name,
            "by": self.organizer,
            "until": self.until.isoformat(),
            "families": sorted(EXPLAINED_FAMILIES),
            "rows": None,
            "records_out": None,
            "unknown_rows_statements": None,
        }


def load(path: Path, settings: Settings) -> list[WorkWindow]:
    """The events of a calendar that are not cancelled.

    Raises VerdictError, naming the event, for one without an end, a scope, or sense.
    """
    from icalendar import Calendar

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise VerdictError(f"cannot be read: {error.strerror}", where=path) from error
    if len(raw) > MAX_BYTES:
        raise VerdictError(f"is larger than {MAX_BYTES:,} bytes", where=path)
    try:
        calendar = Calendar.from_ical(raw)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        hint = "planned_work names a file of BEGIN:VCALENDAR"
        raise VerdictError("is no iCalendar file", where=path, hint=hint) from error
    found = []
    for number, event in enumerate(calendar.walk("VEVENT"), start=1):
        where = (
            f"{path}: event {number} ({_property_text(event.get('SUMMARY'))[:80] or 'no summary'})"
        )
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        try:
            found.append(_parse_event(event, settings))
        except SettingsError as error:
            raise VerdictError(error.what, where=where, hint=error.hint) from None
    return found


def _parse_event(event: Any, settings: Settings) -> WorkWindow:
    """One event. Raises SettingsError."""
    if event.errors:
        name, why = event.errors[0]
        raise SettingsError(f"{name or 'a property'} makes no sense ({why})")
    for name in ("RRULE", "RDATE", "RECURRENCE-ID"):
        if name in event:
            raise SettingsError("repeats", hint="write each window as an event of its own")
    begin, end = _parse_window(event, settings)
    scope = _parse_scope(event)
    for key in ("group", "table"):
        if not scope[key]:
            hint = f"say it in the description, in a line such as {key}: {_example_value(key)}"
            raise SettingsError(f"names no {key}", hint=hint)
    return WorkWindow(
        name=_property_text(event.get("SUMMARY"))[:200] or "no summary",
        organizer=_property_text(event.get("ORGANIZER"))[:200].removeprefix("mailto:")
        or "nobody named",
        groups=frozenset(scope["group"]),
        tables=frozenset(scope["table"]),
        begin=begin,
        end=end,
        factor=_parse_factor(scope["times"], settings),
        min_records=settings.minimum_records,
        zone=settings.timezone,
    )


def _parse_window(event: Any, settings: Settings) -> tuple[datetime, datetime]:
    hint = "planned work has a beginning and an end: DTSTART, and DTEND or DURATION"
    start = event.get("DTSTART")
    if start is None:
        raise SettingsError("has no beginning", hint=hint)
    begin = _parse_time(start, settings)
    if "DTEND" in event:
        end = _parse_time(event["DTEND"], settings)
    elif "DURATION" in event:
        end = begin + event["DURATION"].dt
    else:
        raise SettingsError("has no end", hint=hint)
    if not begin < end:
        raise SettingsError("ends before it begins")
    if end - begin > timedelta(days=MAX_DAYS):
        raise SettingsError(f"is longer than {MAX_DAYS} days", hint="plan it in parts")
    return begin, end


def _parse_time(given: Any, settings: Settings) -> datetime:
    """Of a property: a date is its midnight, a time without a zone is the organisation's."""
    if isinstance(given, list):
        raise SettingsError("has two beginnings or ends")
    value, zone = given.dt, ZoneInfo(settings.timezone)
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), zone)
    if value.tzinfo is None and "TZID" in given.params:
        raise SettingsError(f"names an unknown time zone, {str(given.params['TZID'])[:80]!r}")
    return value.replace(tzinfo=zone) if value.tzinfo is None else value


def _parse_scope(event: Any) -> dict[str, list[str]]:
    """By KEYS, what the description's lines and the X-DETECTOR- properties say."""
    found: dict[str, list[str]] = {key: [] for key in SCOPE_KEYS}
    for line in _property_text(event.get("DESCRIPTION")).splitlines():
        if said := SCOPE_LINE.match(line):
            found[said[1].lower()].append(said[2])
    for key in SCOPE_KEYS:
        given = event.get(f"X-DETECTOR-{key.upper()}", [])
        found[key] += [
            _property_text(each) for each in (given if isinstance(given, list) else [given])
        ]
    return found


def _parse_factor(given: list[str], settings: Settings) -> float:
    if not given:
        return min(settings.expected_growth, MAX_FACTOR)
    try:
        times = float(given[0])
    except ValueError:
        times = 0.0
    if len(given) > 1 or not 1 <= times <= MAX_FACTOR:
        what = f"times = {', '.join(given)[:80]!r} must be one number from 1 to {MAX_FACTOR:g}"
        raise SettingsError(what)
    return times


def _property_text(given: Any) -> str:
    if isinstance(given, list):
        given = given[0] if given else None
    return "" if given is None else str(given).strip()


def _example_value(key: str) -> str:
    return {"group": "agency.lyon", "table": "public.person"}[key]
