"""The day so far, kept up to date: what comes in changes its own hours, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import polars as pl

from detector.core.schema import SUBJECT
from detector.features.baseline_training import Shard
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.features.incremental import VALUE_KEYS, RunningDay
from detector.ledger.aggregate import merge_hourly_sums, merge_touched_values

FIRST_HOUR = "first_hour"
#: Accounts of which what is new is told at a time.
SHARD_SIZE: Final = 500
#: Stands for all hours where they are measured together.
ALL_HOURS = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class PartialDay:
    """``hours`` is HOURS of the day so far, ``seen`` TOUCHED whose sums are not kept up to date,
    only its first hours; ``new_values`` is ``today.new`` of it. Accounts that are no members are
    left out.
    """

    today: RunningDay
    hours: pl.DataFrame
    touched: pl.DataFrame
    new_values: pl.DataFrame
    _hourly_parts: dict[datetime, pl.DataFrame] = field(default_factory=dict)

    @classmethod
    def from_day(cls, today: RunningDay, day: Shard) -> PartialDay:
        """From all of the day so far."""
        hours, seen = _member_rows(today, day)
        made = cls(today, hours, seen, _new_values(today, seen))
        if made._has_subjects(seen):
            # Of whom was read, an hour says more beside those before it.
            made._hourly_parts[ALL_HOURS] = today.hourly(hours, seen)
        else:
            made._compute_hours(hours["hour"].unique().to_list())
        return made

    @property
    def hourly(self) -> pl.DataFrame:
        """HOURLY of accounts."""
        return (
            pl.concat(self._hourly_parts.values())
            if self._hourly_parts
            else self.today.hourly(*self._empty_shard())
        )

    def add(self, parts: Sequence[Shard]) -> bool:
        """Some more of the day. False where it begins anew something that had begun later, or says
        whose records were read: then all is to be made again.
        """
        hours, touched = _member_rows(self.today, _concat_shards(parts))
        if self._has_subjects(touched):
            return False
        first = touched.group_by(VALUE_KEYS).agg(pl.col(FIRST_HOUR).min())
        # Of what was seen, which is much, only what came again: an inner join keeps the less.
        again = self.touched.select(*VALUE_KEYS, known=FIRST_HOUR).join(
            first.select(VALUE_KEYS), on=VALUE_KEYS
        )
        known = first.join(again, on=VALUE_KEYS, how="left")
        if (known["known"] > known[FIRST_HOUR]).any():
            return False
        fresh = touched.join(known.filter(pl.col("known").is_null()), on=VALUE_KEYS, how="semi")
        fresh = merge_touched_values(fresh)
        changed = hours["hour"].unique()
        same = pl.col("hour").is_in(changed.implode())
        renewed = merge_hourly_sums(pl.concat([self.hours.filter(same), hours]))
        self.hours = pl.concat([self.hours.filter(~same), renewed], rechunk=True)
        if fresh.height:
            self.touched = pl.concat([self.touched, fresh], rechunk=True)
        self._update_new_values(fresh["account"].unique())
        self._compute_hours([*{*changed, *fresh[FIRST_HOUR]}])
        return True

    def copy_with(self, parts: Sequence[Shard]) -> PartialDay | None:
        """Another with some more of the day, where that can be added; this one stays."""
        other = replace(self, _hourly_parts=dict(self._hourly_parts))
        return other if other.add(parts) else None

    def _has_subjects(self, touched: pl.DataFrame) -> bool:
        """Whether the log says whose records were read."""
        return self.today.subjects is not None or (touched["dimension"] == SUBJECT).any()

    def _update_new_values(self, accounts: pl.Series) -> None:
        """What is new to an account follows from what it touched alone."""
        if accounts.is_empty():
            return
        theirs = pl.col("account").is_in(accounts.implode())
        mine = _new_values(self.today, self.touched.filter(theirs))
        self.new_values = pl.concat([self.new_values.filter(~theirs), mine], rechunk=True)

    def _compute_hours(self, changed: Sequence[datetime]) -> None:
        for hour in changed:
            self._hourly_parts[hour] = self.today.hourly(
                self.hours.filter(pl.col("hour") == hour),
                self.touched.filter(pl.col(FIRST_HOUR) == hour),
            )

    def _empty_shard(self) -> Shard:
        return self.hours.clear(), self.touched.clear()


def _new_values(today: RunningDay, seen: pl.DataFrame) -> pl.DataFrame:
    """``today.new``, of some accounts after the others."""
    names = seen["account"].unique()
    parts = [
        today.new_values(
            seen.filter(pl.col("account").is_in(names.slice(start, SHARD_SIZE).implode()))
        )
        for start in range(0, max(1, len(names)), SHARD_SIZE)
    ]
    return pl.concat(parts, rechunk=True)


def _concat_shards(parts: Sequence[Shard]) -> Shard:
    hours, touched = zip(*parts, strict=True)
    return pl.concat(hours), pl.concat(touched)


def _member_rows(today: RunningDay, tables: Shard) -> Shard:
    theirs = pl.col("account").is_in(list(today.members))
    used = theirs & pl.col("dimension").is_in(FEATURE_DIMENSIONS)
    return tables[0].filter(theirs), tables[1].filter(used)
