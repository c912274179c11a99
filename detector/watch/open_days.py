"""The days that are still open: sums of what was read and is not in the ledger yet.

Each micro-batch adds small sums; sixteen of a day are merged into one of the next level, so that
both what a transaction writes and what a reader merges stay small. Merged ones that together are as
large as the largest are merged with it: what all say again and again is kept twice at most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeAlias

import polars as pl

from detector.core.schema import HOURLY_SUMS, TOUCHED_VALUES, empty
from detector.ledger.aggregate import (
    HOUR_KEYS,
    TOUCHED_KEYS,
    MergeFunction,
    decode_sums,
    encode_events,
    encoded_hourly_sums,
    encoded_touched_values,
    merge_hourly_sums,
    merge_touched_values,
)
from detector.ledger.store import ACTIVE_ACCOUNTS, Ledger
from detector.normalize.source import Batch
from detector.watch.state import DaySums

#: Sums of one level that are merged into one of the next.
FAN_IN: Final = 16


#: HOURS and TOUCHED.
DayTables: TypeAlias = tuple[pl.DataFrame, pl.DataFrame]
#: The same by day.
TablesByDay: TypeAlias = dict[date, DayTables]


def aggregate_batches(batches: Iterable[Batch], timezone: str) -> TablesByDay:
    """HOURS and TOUCHED of all events, by day."""
    events = [encode_events(batch.events, timezone) for batch in batches if batch.events.height]
    if not events:
        return {}
    whole = pl.concat(events)
    hours, touched = pl.collect_all([encoded_hourly_sums(whole), encoded_touched_values(whole)])
    by_day = {key[0]: part for key, part in touched.partition_by("day", as_dict=True).items()}
    return {
        key[0]: (
            decode_sums(part, HOURLY_SUMS, "hours"),
            decode_sums(by_day.get(key[0], touched.clear()), TOUCHED_VALUES, "touched"),
        )
        for key, part in hours.partition_by("day", as_dict=True).items()
    }


def merge_days(one: TablesByDay, other: TablesByDay) -> TablesByDay:
    """The sums of both."""
    both = {day: merge_tables([one[day], other[day]]) for day in one.keys() & other.keys()}
    return {**one, **other, **both}


def merge_tables(parts: Iterable[DayTables]) -> DayTables:
    """HOURS and TOUCHED of several parts as those of the whole."""
    hours, touched = zip(*parts, strict=True)
    return merge_hourly_sums(pl.concat(hours)), merge_touched_values(pl.concat(touched))


@dataclass(slots=True)
class OpenDays:
    """What is not in the ledger yet, by day."""

    parts: dict[date, list[DaySums]] = field(default_factory=dict)
    _last: int = 0

    @classmethod
    def from_sums(cls, sums: Iterable[DaySums]) -> OpenDays:
        """Of what the state kept."""
        made = cls()
        for each in sums:
            made.add([each])
        return made

    @property
    def row_count(self) -> int:
        """Of both tables."""
        return sum(each.rows for day in self.parts.values() for each in day)

    def new_sums(
        self, day: date, hours: pl.DataFrame, touched: pl.DataFrame, level: int = 0
    ) -> DaySums:
        """New sums, numbered; they count once they are ``add``."""
        self._last += 1
        return DaySums.pack(self._last, day, level, hours, touched)

    def add(self, sums: Iterable[DaySums]) -> None:
        """Takes sums in."""
        for each in sums:
            self.parts.setdefault(each.day, []).append(each)
            self._last = max(self._last, each.seq)

    def remove(self, sums: Iterable[DaySums]) -> None:
        """Lets sums go."""
        gone = {each.seq for each in sums}
        for day in {each.day for each in sums}:
            self.parts[day] = [each for each in self.parts[day] if each.seq not in gone]
            if not self.parts[day]:
                del self.parts[day]

    def mergeable(self) -> list[list[DaySums]]:
        """Sums that are to be merged into one, each list of one day: FAN of a level, or those that
        were merged before, where the others have as many rows as the largest of them.
        """
        found = []
        for sums in self.parts.values():
            alike = [
                [each for each in sums if each.level == level] for level in {s.level for s in sums}
            ]
            many = [each for each in alike if len(each) >= FAN_IN]
            before = [each for each in sums if each.level]
            most = max((each.rows for each in before), default=0)
            twice = len(before) > 1 and sum(each.rows for each in before) >= 2 * most
            found += many or ([before] if twice else [])
        return found

    def with_tables(self, day: date, tables: DayTables) -> OpenDays:
        """These, with some more of a day that do not count."""
        more = [*self.parts.get(day, []), DaySums.pack(0, day, 0, *tables)]
        return OpenDays({**self.parts, day: more})

    def merge(self, sums: list[DaySums]) -> DaySums:
        """One of several of a day, above all of those that came in as they are."""
        level = max(each.level for each in sums)
        level += all(each.level == level for each in sums)
        return self.new_sums(sums[0].day, *sum_tables(sums), level)


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The ledger with the open days: what ``alerts.batch`` reads, as if all were in the ledger."""

    ledger: Ledger
    open_days: OpenDays

    def hours(self, since: date, until: date, accounts: pl.Expr | None = None) -> pl.DataFrame:
        """See ``Ledger.hours``."""
        theirs = pl.lit(value=True) if accounts is None else accounts
        fresh = [each.hours.filter(theirs) for each in self._sums_between(since, until)]
        known = self.ledger.hours(since, until, accounts)
        return _merge_frames(known, fresh, merge_hourly_sums, HOUR_KEYS)

    def touched(
        self,
        since: date,
        until: date,
        dimensions: Collection[str],
        accounts: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """See ``Ledger.touched``."""
        chosen = pl.col("dimension").is_in(sorted(dimensions))
        chosen = chosen if accounts is None else chosen & accounts
        fresh = [each.touched.filter(chosen) for each in self._sums_between(since, until)]
        known = self.ledger.touched(since, until, dimensions, accounts)
        return _merge_frames(known, fresh, merge_touched_values, TOUCHED_KEYS)

    def accounts(self, since: date, until: date) -> pl.Series:
        """See ``Ledger.accounts``."""
        fresh = [each.hours["account"].unique() for each in self._sums_between(since, until)]
        return pl.concat([self.ledger.accounts(since, until), *fresh]).unique().sort()

    def activity(self, since: date, until: date) -> pl.DataFrame:
        """See ``Ledger.activity``. A day that is open is seldom in the ledger too: who is active in
        one hour in both counts twice.
        """
        fresh = pl.concat(
            [empty(HOURLY_SUMS), *(each.hours for each in self._sums_between(since, until))]
        )
        more = fresh.group_by("hour").agg(accounts=ACTIVE_ACCOUNTS)
        both = pl.concat([self.ledger.activity(since, until), more])
        return both.group_by("hour").agg(pl.col("accounts").sum()).sort("hour")

    def days(self) -> list[date]:
        """All that have data, in order."""
        return sorted({*self.ledger.days(), *self.open_days.parts})

    def _sums_between(self, since: date, until: date) -> list[DaySums]:
        return [
            each
            for day, sums in self.open_days.parts.items()
            if since <= day <= until
            for each in sums
        ]


def _merge_frames(
    known: pl.DataFrame, fresh: list[pl.DataFrame], merge: MergeFunction, keys: tuple[str, ...]
) -> pl.DataFrame:
    if not fresh:
        return known
    return merge(pl.concat([known, *fresh])).sort(keys)


def merge_base(
    base: DayTables,
    sums: list[DaySums],
    dimensions: Collection[str],
    accounts: pl.Expr,
    folded: Callable[[pl.DataFrame, pl.DataFrame], DayTables] = lambda *tables: tables,
) -> DayTables:
    """HOURS and TOUCHED of a day: ``base`` and some sums together, of some dimensions and
    ``accounts``, once some of the sums' accounts are ``folded`` into one.
    """
    chosen = accounts & pl.col("dimension").is_in(sorted(dimensions))
    parts = [
        (hours.filter(accounts), touched.filter(chosen))
        for hours, touched in (folded(each.hours, each.touched) for each in sums)
    ]
    base = (base[0].filter(accounts), base[1].filter(accounts))
    return merge_tables([base, *parts]) if parts else base


def sum_tables(sums: list[DaySums]) -> DayTables:
    """HOURS and TOUCHED of sums of one day."""
    if not sums:
        return empty(HOURLY_SUMS), empty(TOUCHED_VALUES)
    return merge_tables((each.hours, each.touched) for each in sums)
