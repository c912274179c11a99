"""At what hours an entity is usually active, and how strange it is to be active now."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from detector.features.expected import LATELY, RECENT
from detector.features.measures import SLOTS
from detector.features.panel import Panel
from detector.features.robust import Floats, Integers

#: Own days weigh against the group's habits, as if those were this many days.
PRIOR_DAYS = 3.0
#: And the group's against what nobody does, as if that were so many days.
NEVER, NEVER_DAYS = 0.002, 10
#: An hour that one day in so many has is not strange.
USUAL = 0.1

SEEN = {
    "entity": pl.String(),
    "off": pl.Boolean(),
    "slot": pl.Int64(),
    "days": pl.Int64(),
}


def learn(panel: Panel) -> pl.DataFrame:
    """SEEN: on how many days, of work or off, an entity was active in each hour.

    Slot SLOTS counts the days there were: those worked, or all days off since the first activity.
    """
    parts = []
    here = panel.present()
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
                schema=SEEN,
            )
        )
    return pl.concat(parts)


def dense(seen: pl.DataFrame, entities: list[str] | list[str | None]) -> Floats:
    """SEEN as (off or not, entities, SLOTS + 1)."""
    found = np.zeros((2, len(entities), SLOTS + 1))
    order = pl.DataFrame({"entity": entities}, schema={"entity": pl.String}).with_row_index("at")
    coded = seen.join(order, on="entity", how="inner", nulls_equal=True)
    found[coded["off"].cast(pl.Int64), coded["at"], coded["slot"]] = coded["days"]
    return found


def habits(seen: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """SEEN of groups (null: all accounts), from that of accounts and (account, group)."""
    keys = ["entity", "off", "slot"]
    theirs = seen.join(groups.rename({"account": "entity"}), on="entity", how="left")
    both = pl.concat([theirs, theirs.with_columns(group=pl.lit(None, pl.String))])
    return (
        both.drop("entity")
        .rename({"group": "entity"})
        .group_by(keys)
        .agg(pl.col("days").sum())
        .select(*SEEN)
        .sort(keys, nulls_last=True)
    )


def shares(theirs: Floats) -> Floats:
    """From days (``dense``) to the share of days with activity in each hour, never quite 0."""
    found: Floats = (theirs[:, :, :SLOTS] + NEVER * NEVER_DAYS) / (
        theirs[:, :, SLOTS:] + NEVER_DAYS
    )
    return found


def strangeness(seen: Floats, habit: Floats, panel: Panel, day: date) -> Floats:
    """How strange activity is in each hour of ``day``: (entities, SLOTS), in factors of ten.

    -log10 of the share of past days, of the same kind, with activity in that hour, as far as that
    is below USUAL. ``seen`` (``dense``) is of training, recent days are added; ``habit``
    (``shares``) is of the entities' groups. Who has a past of more than LATELY days is not given
    the last LATELY of them: a thief's second night would be usual after the first.
    """
    at = panel.place(day)
    off = int(panel.off[at])
    first = max(0, at - RECENT)
    old = panel.weekdays_like(day, first, max(first, at - LATELY))
    fresh = panel.weekdays_like(day, max(first, at - LATELY), at)
    there = seen[off, :, SLOTS] + _days(panel, old, off=off)
    new = there <= LATELY
    hours = seen[off, :, :SLOTS] + panel.active[:, old].sum(axis=1)
    hours = hours + new[:, None] * panel.active[:, fresh].sum(axis=1)
    days = there + new * _days(panel, fresh, off=off)
    share = (hours + PRIOR_DAYS * habit[off]) / (days[:, None] + PRIOR_DAYS)
    found: Floats = np.fmax(np.log10(USUAL) - np.log10(np.clip(share, 1e-9, 1.0)), 0.0)
    return found


def _days(panel: Panel, columns: Integers, *, off: int) -> Floats:
    """Who never works on Sundays has no habit of Sunday hours, so all past Sundays count."""
    if off:
        return np.full(len(panel.entities), float(len(columns)))
    worked: Floats = panel.active[:, columns].any(axis=2).sum(axis=1).astype(np.float64)
    return worked


def by_day(seen: Floats, habit: Floats, panel: Panel) -> Floats:
    """The strangeness of all hours of each day together: (entities, days).

    0 on the first RECENT days of the panel, of which too little of the past is known.
    """
    found = np.zeros((len(panel.entities), len(panel.days)))
    for at in range(RECENT, len(panel.days)):
        strange = strangeness(seen, habit, panel, panel.days[at])
        found[:, at] = (strange * panel.active[:, at]).sum(axis=1)
    return found
