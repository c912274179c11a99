"""What comes from each place: when its data came, and what share of it says too little.

A place is the format and the name of a log without the dates and numbers in it: the host's folder,
or its file, of each day. What came before says what is usual there.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from detector.core.formatting import path_text, percentage
from detector.ledger.data_quality import MIN_BASELINE_RECORDS
from detector.watch.log_conditions import Condition
from detector.watch.log_position import STREAMS, Log

#: The fact of the state in which all of it is kept.
FACT_NAME: Final = "places"
#: Places that are kept, and days for which one is without data.
MAX_PLACES: Final = 2_000
MEMORY_HOURS: Final = 28 * 24
#: Hours between two that are kept of one place, and those that data may be late.
MIN_HOURS_APART: Final = 6
GRACE_HOURS: Final = 3
HOURS_A_DAY: Final = 24
HOURS_A_WEEK: Final = 7 * HOURS_A_DAY
#: Days on each of which data came, or weeks on whose same day it did, until its absence is told.
MIN_DAYS: Final = 7
MIN_WEEKS: Final = 3
#: Events over which a share is taken.
WINDOW_EVENTS: Final = 500
#: Dates, times and long numbers in a path, and names of days and months that stand alone; and what
#: rotation adds to a name. Shorter numbers are those of hosts.
_DATE_PATTERN: Final = re.compile(
    r"(?<!\d)\d{4}[-_./]\d{1,2}(?!\d)(?:[-_./]\d{1,2}(?!\d))?(?:[-_.T/ ]?\d{2,6})*"
    r"|(?<!\d)\d{1,2}([-_./])\d{1,2}\1\d{4}(?!\d)|(?<!\d)\d\d([-_])\d\d\2\d\d(?!\d)"
    r"|\d{5,}(?:T\d+Z?)?"
    r"|(?<![A-Za-z])(?:\d{1,2}[-_]?)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    r"|mon|tue|wed|thu|fri|sat|sun)(?:[-_]?\d{1,4})*(?![A-Za-z])",
    re.IGNORECASE,
)
_ROTATION_PATTERN: Final = re.compile(r"(?:\.\d{1,3}|(?<=\w)[-.]\*)(?:\.(?:gz|zst|bz2|xz))?$")


@dataclass(slots=True)
class Counts:
    """Events, reads, those of unknown size, and statements that are not understood."""

    events: int = 0
    reads: int = 0
    unsized: int = 0
    unclassified: int = 0

    @classmethod
    def from_log(cls, log: Log) -> Counts:
        """All of a log."""
        return cls(log.events, log.reads, log.unknown, log.untold)

    def add(self, other: Counts, sign: int = 1) -> Counts:
        """The sums, or the differences."""
        return Counts(
            self.events + sign * other.events,
            self.reads + sign * other.reads,
            self.unsized + sign * other.unsized,
            self.unclassified + sign * other.unclassified,
        )

    def shares(self) -> dict[str, float]:
        """By what they are of, in words."""
        return {
            "reads do not say how many records they gave": self.unsized / max(1, self.reads),
            "statements could not be told for what they do": self.unclassified
            / max(1, self.events),
        }


@dataclass(slots=True)
class Place:
    """``hours`` (since 1970, some of them) in which data came, ``latest`` the last of all.

    ``baseline`` are counts of what came before, ``pending`` those that are not compared yet;
    ``warning`` says which share of them rose.
    """

    hours: list[int] = field(default_factory=list)
    latest: int = 0
    baseline: Counts = field(default_factory=Counts)
    pending: Counts = field(default_factory=Counts)
    warning: str = ""

    def record_arrival(self, hour: int) -> bool:
        """Data came. Whether that was not known of the hour."""
        if hour in self.hours or self.latest - MIN_HOURS_APART < hour <= self.latest:
            return False
        before = self.hours[bisect_right(self.hours, hour) - 1] if self.hours else -MEMORY_HOURS
        if not self.hours or hour < self.hours[0] or hour - before >= MIN_HOURS_APART:
            self.hours = sorted({*self.hours, hour})
        self.latest = max(self.latest, hour)
        self.hours = [each for each in self.hours if each > self.latest - MEMORY_HOURS]
        return True

    def overdue_hour(self, now: int, is_off: Callable[[int], bool]) -> int | None:
        """The hour at which data was due that did not come; None where all did.

        It comes on each day, or on the same days of each week but those that are ``is_off``.
        """
        gaps = [later - one for one, later in zip(self.hours, self.hours[1:], strict=False)]
        late = max(
            (
                gap - HOURS_A_DAY
                for gap in gaps[-MIN_DAYS:]
                if HOURS_A_DAY < gap < HOURS_A_DAY * 3 // 2
            ),
            default=0,
        )
        first = self.latest + HOURS_A_DAY + late
        if all(self._has_data_on(first - HOURS_A_DAY * nth) for nth in range(1, MIN_DAYS + 1)):
            return first if now >= first + GRACE_HOURS else None
        for hour in range(first, min(now - GRACE_HOURS, first + HOURS_A_WEEK) + 1):
            if all(self._has_data_on(hour - HOURS_A_WEEK * nth) for nth in range(1, MIN_WEEKS + 1)):
                return None if is_off(hour) else hour
        return None

    def _has_data_on(self, hour: int) -> bool:
        """Whether data came within the day that ends with an hour."""
        at = bisect_right(self.hours, hour)
        return at > 0 and self.hours[at - 1] > hour - HOURS_A_DAY

    def update_baseline(self, most: float) -> bool:
        """Compares pending counts with the baseline; whether they were enough. Counts with a share
        that rose do not become the baseline.
        """
        if self.pending.events < WINDOW_EVENTS:
            return False
        now, before = self.pending.shares(), self.baseline.shares()
        words = [
            f"{percentage(now[what])} of its latest {what}, before {percentage(before[what])}"
            for what in now
            if now[what] - before[what] > most
        ]
        self.warning = "; ".join(words) if self.baseline.events >= MIN_BASELINE_RECORDS else ""
        if not self.warning:
            self.baseline = self.baseline.add(self.pending)
        self.pending = Counts()
        return True


@dataclass(slots=True)
class Places:
    """All places. ``is_holiday`` says whether a local day is one, ``day_of`` which day an hour is
    of.
    """

    day_of: Callable[[datetime], date]
    is_holiday: Callable[[date], bool] = lambda _: False
    places: dict[str, Place] = field(default_factory=dict)
    _counts: dict[int, Counts] = field(default_factory=dict)
    _encoded: str = "{}"
    _is_changed: bool = False

    def load(self, facts: Mapping[str, str], logs: Collection[Log]) -> None:
        """What the state kept. What is in ``logs`` was counted then."""
        self._counts = {log.id: Counts.from_log(log) for log in logs}
        self._encoded = facts.get(FACT_NAME, "{}")
        for name, raw in json.loads(self._encoded).items():
            self.places[name] = _decode(raw)

    def facts(self) -> dict[str, str]:
        """For the state."""
        if self._is_changed:
            self._is_changed = False
            kept = sorted(self.places, key=lambda name: self.places[name].latest)[-MAX_PLACES:]
            newest = max((place.latest for place in self.places.values()), default=0)
            self.places = {
                name: self.places[name]
                for name in kept
                if self.places[name].latest > newest - MEMORY_HOURS
            }
            self._encoded = json.dumps({name: _encode(each) for name, each in self.places.items()})
        return {FACT_NAME: self._encoded}

    def add(self, log: Log, now: float) -> None:
        """Data of a log came: of one that is new, when its file was written."""
        before = self._counts.get(log.id)
        counts = self._counts[log.id] = Counts.from_log(log)
        written = log.stamp / 1e9 if before is None and log.stamp else now
        place = self.places.setdefault(place_name(log), Place())
        self._is_changed |= place.record_arrival(int(min(written, now)) // 3600)
        place.pending = place.pending.add(counts.add(before or Counts(), -1))

    def conditions(self, now: float, most: float, *, behind: bool) -> list[Condition]:
        """Places whose data did not come (nothing is said while what came was not read yet), and
        those of whose data a larger share than usual says too little.
        """
        found = []
        for name, place in self.places.items():
            self._is_changed |= place.update_baseline(most)
            if place.warning:
                found.append(Condition(name, "unknown", place.warning))
            due = None if behind else place.overdue_hour(int(now) // 3600, self._is_day_off)
            if due is not None:
                last = datetime.fromtimestamp(place.latest * 3600, UTC)
                words = (
                    f"no data since {last:%Y-%m-%d %H}h UTC, which came daily or on this day of "
                    "each week: what happens there is not judged"
                )
                found.append(Condition(name, "absent", words, str(place.latest)))
        return found

    def _is_day_off(self, hour: int) -> bool:
        return self.is_holiday(self.day_of(datetime.fromtimestamp(hour * 3600, UTC)))


def place_name(log: Log) -> str:
    """The place that a log is of."""
    path = log.path
    if log.form not in STREAMS:
        path = _ROTATION_PATTERN.sub("", _DATE_PATTERN.sub("*", path))
    return f"{log.source} {path_text(path)}"


def _encode(place: Place) -> list[Any]:
    known = place.baseline
    counts = [known.events, known.reads, known.unsized, known.unclassified]
    return [place.hours, place.latest, counts, place.warning]


def _decode(raw: list[Any]) -> Place:
    hours, latest, baseline, warning = raw
    return Place(hours, latest, Counts(*baseline), warning=warning)
