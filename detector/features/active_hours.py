"""At what hours an entity is usually active, and how strange it is to be active now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from detector.features import clock_shift
from detector.features.aggregates import SLOTS
from detector.features.daily_matrix import DailyMatrix
from detector.features.expectation import NOVELTY_DAYS, RECENT_DAYS
from detector.features.robust_stats import Floats, Integers

#: Own days weigh against the group's habits, as if those were this many days.
PRIOR_DAYS = 3.0
#: And the group's against what nobody does, as if that were so many days.
NEVER, NEVER_DAYS = 0.002, 10
#: An hour that one day in so many has is not strange.
COMMON_SHARE = 0.1

HOUR_SCHEMA = {
    "entity": pl.String(),
    "off": pl.Boolean(),
    "slot": pl.Int64(),
    "days": pl.Int64(),
}


def count_days(panel: DailyMatrix) -> pl.DataFrame:
    """SEEN: on how many days, of work or off, an entity was active in each hour.

    Slot SLOTS counts the days there were: those worked, or all days off since the first activity.
    """
    parts = []
    here = panel.active_days()
    begun = np.maximum.accumulate(here, axis=1)
    for off in (False, True):
        active = panel.active[:, panel.off == off]
        there = (begun if off else here)[:, panel.off == off]
        days = np.concatenate([active, there[:, :, None]], axis=2).sum(axis=1)
        entity, slot = np.nonzero(days)
        parts.append(
            pl.DataFrame(
                {
                    "entity": pl.Series(panel.entities, dtype=pl.String).gather(entity),
                    "off": pl.repeat(off, len(slot), dtype=pl.Boolean, eager=True),
                    "slot": slot.astype(np.int64),
                    "days": days[entity, slot].astype(np.int64),
                },
                schema=HOUR_SCHEMA,
            )
        )
    return pl.concat(parts)


def to_array(seen: pl.DataFrame, entities: list[str] | list[str | None]) -> Floats:
    """SEEN as (off or not, entities, SLOTS + 1)."""
    found = np.zeros((2, len(entities), SLOTS + 1))
    order = pl.DataFrame({"entity": entities}, schema={"entity": pl.String}).with_row_index("at")
    coded = seen.join(order, on="entity", how="inner", nulls_equal=True)
    found[coded["off"].cast(pl.Int64), coded["at"], coded["slot"]] = coded["days"]
    return found


def group_habits(seen: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """SEEN of groups (null: all accounts), from that of accounts and (account, group)."""
    keys = ["entity", "off", "slot"]
    theirs = seen.join(groups.rename({"account": "entity"}), on="entity", how="left")
    both = pl.concat([theirs, theirs.with_columns(group=pl.lit(None, pl.String))])
    return (
        both.drop("entity")
        .rename({"group": "entity"})
        .group_by(keys)
        .agg(pl.col("days").sum())
        .select(*HOUR_SCHEMA)
        .sort(keys, nulls_last=True)
    )


def activity_shares(theirs: Floats) -> Floats:
    """From days (``to_array``) to the share of days with activity in each hour, never quite 0."""
    found: Floats = (theirs[:, :, :SLOTS] + NEVER * NEVER_DAYS) / (
        theirs[:, :, SLOTS:] + NEVER_DAYS
    )
    return found


@dataclass(frozen=True, slots=True)
class HourSurprise:
    """How strange activity is in each hour of a day, in factors of ten: (entities, SLOTS) each.

    ``still`` is by the hours of past days as they were; ``moved`` by those hours as they would have
    been without the organisation's moves (``clock``), by the clock of training. ``known_shift`` is
    the move of the days before, ``expected_counts`` see ``clock.expected_counts``.
    """

    unshifted: Floats
    shifted: Floats
    known_shift: int
    expected_counts: Floats

    def with_shift(self, counts: Floats) -> Floats:
        """With the organisation's move so far, told by how many accounts are active in each hour.

        ``counts`` is (SLOTS,). An hour is strange if it is so by both clocks: a job may keep the
        log's, while people keep theirs.
        """
        found, hours = self.unshifted.copy(), np.arange(clock_shift.HOURS)
        for move in (
            np.full(clock_shift.HOURS, self.known_shift),
            clock_shift.hourly_shifts(counts[hours], self.expected_counts),
        ):
            if move.any() or self.shifted is not self.unshifted:
                at = (hours - move) % clock_shift.HOURS
                found[:, hours] = np.fmin(found[:, hours], self.shifted[:, at])
        return found


@dataclass(frozen=True, slots=True)
class ActivityProfile:
    """The hours that the entities of a panel keep: what ``strangeness`` needs.

    ``seen`` (``to_array``) is of training; ``habit`` (``activity_shares``) is of the entities'
    groups; ``moves`` and ``expected_counts`` (``clock.by_day``) are the organisation's, by day of
    the panel.
    """

    day_counts: Floats
    group_shares: Floats
    shifts: Integers
    expected_counts: Floats

    @classmethod
    def from_habits(
        cls, seen: Floats, habit: Floats, habits: pl.DataFrame, panel: DailyMatrix
    ) -> ActivityProfile:
        """``habits`` is SEEN of groups. The panel holds the whole organisation."""
        return cls(
            seen, habit, *clock_shift.daily_shifts(clock_shift.training_profile(habits), panel)
        )

    def hour_surprise(self, panel: DailyMatrix, day: date) -> HourSurprise:
        """How strange activity is in each hour of ``day``, by the days before it."""
        at = panel.column(day)
        still = _hour_surprise(self, panel, at, np.zeros_like(self.shifts))
        past = self.shifts[max(0, at - RECENT_DAYS) : at]
        moved = _hour_surprise(self, panel, at, self.shifts) if past.any() else still
        return HourSurprise(
            still, moved, int(past[-1]) if len(past) else 0, self.expected_counts[at]
        )


def _hour_surprise(rhythm: ActivityProfile, panel: DailyMatrix, at: int, moves: Integers) -> Floats:
    """-log10 of the share of past days, of the same kind, with activity in each hour, as far as
    that is below USUAL: (entities, SLOTS).

    Recent days are added to those of training. Who has a past of more than LATELY days is not given
    the last LATELY of them: a thief's second night would be usual after the first.
    """
    off = int(panel.off[at])
    first = max(0, at - RECENT_DAYS)
    day = panel.days[at]
    old = panel.same_kind_days(day, first, max(first, at - NOVELTY_DAYS))
    fresh = panel.same_kind_days(day, max(first, at - NOVELTY_DAYS), at)
    there = rhythm.day_counts[off, :, SLOTS] + _observed_days(panel, old, off=off)
    new = there <= NOVELTY_DAYS
    hours = rhythm.day_counts[off, :, :SLOTS] + _active_day_counts(panel, old, moves)
    hours = hours + new[:, None] * _active_day_counts(panel, fresh, moves)
    days = there + new * _observed_days(panel, fresh, off=off)
    share = (hours + PRIOR_DAYS * rhythm.group_shares[off]) / (days[:, None] + PRIOR_DAYS)
    found: Floats = np.fmax(np.log10(COMMON_SHARE) - np.log10(np.clip(share, 1e-9, 1.0)), 0.0)
    return found


def _active_day_counts(panel: DailyMatrix, columns: Integers, moves: Integers) -> Floats:
    """On how many days each entity was active in each hour, without what the day had moved."""
    found = np.zeros((len(panel.entities), SLOTS))
    for move in np.unique(moves[columns]):
        each = panel.active[:, columns[moves[columns] == move]].sum(axis=1)
        each[:, : clock_shift.HOURS] = np.roll(each[:, : clock_shift.HOURS], -int(move), axis=1)
        found += each
    return found


def _observed_days(panel: DailyMatrix, columns: Integers, *, off: int) -> Floats:
    """Who never works on Sundays has no habit of Sunday hours, so all past Sundays count."""
    if off:
        return np.full(len(panel.entities), float(len(columns)))
    worked: Floats = panel.active[:, columns].any(axis=2).sum(axis=1).astype(np.float64)
    return worked


def daily_surprise(rhythm: ActivityProfile, panel: DailyMatrix) -> Floats:
    """The strangeness of all hours of each day together: (entities, days).

    0 on the first RECENT days of the panel, of which too little of the past is known.
    """
    found = np.zeros((len(panel.entities), len(panel.days)))
    for at in range(RECENT_DAYS, len(panel.days)):
        active = panel.active[:, at]
        strange = rhythm.hour_surprise(panel, panel.days[at]).with_shift(active.sum(axis=0))
        found[:, at] = (strange * active).sum(axis=1)
    return found
