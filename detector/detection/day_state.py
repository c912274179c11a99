"""The day so far, kept up to date: what comes in changes its own hours, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import polars as pl

from detector.core.schema import SUBJECT
from detector.features.baseline_training import Shard
from detector.features.feature_table import DIMENSIONS
from detector.features.incremental import KEYS, Today
from detector.ledger.aggregate import merge_hours, merge_touched

FIRST = "first_hour"
#: Accounts of which what is new is told at a time.
SHARD: Final = 500
#: Stands for all hours where they are measured together.
NO_HOUR = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Running:
    """``hours`` is HOURS of the day so far, ``seen`` TOUCHED whose sums are not kept up to date,
    only its first hours; ``new`` is ``today.new`` of it. Accounts that are no members are left out.
    """

    today: Today
    hours: pl.DataFrame
    seen: pl.DataFrame
    new: pl.DataFrame
    _each: dict[datetime, pl.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(cls, today: Today, day: Shard) -> Running:
        """From all of the day so far."""
        hours, seen = _members(today, day)
        made = cls(today, hours, seen, _new(today, seen))
        if made._of_people(seen):
            # Of whom was read, an hour says more beside those before it.
            made._each[NO_HOUR] = today.hourly(hours, seen)
        else:
            made._measure(hours["hour"].unique().to_list())
        return made

    @property
    def each(self) -> pl.DataFrame:
        """HOURLY of accounts."""
        return pl.concat(self._each.values()) if self._each else self.today.hourly(*self._none())

    def add(self, parts: Sequence[Shard]) -> bool:
        """Some more of the day. False where it begins anew something that had begun later, or says
        whose records were read: then all is to be made again.
        """
        hours, touched = _members(self.today, _stacked(parts))
        if self._of_people(touched):
            return False
        first = touched.group_by(KEYS).agg(pl.col(FIRST).min())
        # Of what was seen, which is much, only what came again: an inner join keeps the less.
        again = self.seen.select(*KEYS, known=FIRST).join(first.select(KEYS), on=KEYS)
        known = first.join(again, on=KEYS, how="left")
        if (known["known"] > known[FIRST]).any():
            return False
        fresh = touched.join(known.filter(pl.col("known").is_null()), on=KEYS, how="semi")
        fresh = merge_touched(fresh)
        changed = hours["hour"].unique()
        same = pl.col("hour").is_in(changed.implode())
        renewed = merge_hours(pl.concat([self.hours.filter(same), hours]))
        self.hours = pl.concat([self.hours.filter(~same), renewed], rechunk=True)
        if fresh.height:
            self.seen = pl.concat([self.seen, fresh], rechunk=True)
        self._renew(fresh["account"].unique())
        self._measure([*{*changed, *fresh[FIRST]}])
        return True

    def beside(self, parts: Sequence[Shard]) -> Running | None:
        """Another with some more of the day, where that can be added; this one stays."""
        other = replace(self, _each=dict(self._each))
        return other if other.add(parts) else None

    def _of_people(self, touched: pl.DataFrame) -> bool:
        """Whether the log says whose records were read."""
        return self.today.subjects is not None or (touched["dimension"] == SUBJECT).any()

    def _renew(self, accounts: pl.Series) -> None:
        """What is new to an account follows from what it touched alone."""
        if accounts.is_empty():
            return
        theirs = pl.col("account").is_in(accounts.implode())
        mine = _new(self.today, self.seen.filter(theirs))
        self.new = pl.concat([self.new.filter(~theirs), mine], rechunk=True)

    def _measure(self, changed: Sequence[datetime]) -> None:
        for hour in changed:
            self._each[hour] = self.today.hourly(
                self.hours.filter(pl.col("hour") == hour), self.seen.filter(pl.col(FIRST) == hour)
            )

    def _none(self) -> Shard:
        return self.hours.clear(), self.seen.clear()


def _new(today: Today, seen: pl.DataFrame) -> pl.DataFrame:
    """``today.new``, of some accounts after the others."""
    names = seen["account"].unique()
    parts = [
        today.new(seen.filter(pl.col("account").is_in(names.slice(start, SHARD).implode())))
        for start in range(0, max(1, len(names)), SHARD)
    ]
    return pl.concat(parts, rechunk=True)


def _stacked(parts: Sequence[Shard]) -> Shard:
    hours, touched = zip(*parts, strict=True)
    return pl.concat(hours), pl.concat(touched)


def _members(today: Today, tables: Shard) -> Shard:
    theirs = pl.col("account").is_in(list(today.members))
    used = theirs & pl.col("dimension").is_in(DIMENSIONS)
    return tables[0].filter(theirs), tables[1].filter(used)
