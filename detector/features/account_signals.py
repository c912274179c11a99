"""What only accounts have: the hours they keep, and what is new to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from detector.core.settings import Settings
from detector.features import active_hours, novelty
from detector.features.active_hours import Rhythm, Strange
from detector.features.aggregates import with_slots
from detector.features.daily_matrix import Panel
from detector.features.peer_groups import group_of
from detector.features.peer_movement import Peers
from detector.features.robust_stats import Floats

if TYPE_CHECKING:
    from detector.features.feature_table import Learned

#: Figures that only accounts have.
LATELY_NEW = {
    "new_objects": ("object", "weight"),
    "new_applications": ("application", "weight"),
    "new_networks": ("network", "weight"),
    "foreign_networks": ("network", "foreign"),
}
SIGNS = (
    "strange_hours",
    "strange_lately",
    "new_addresses",
    *LATELY_NEW,
    *(f"{name}_lately" for name in LATELY_NEW),
)


@dataclass(frozen=True, slots=True)
class Signs:
    """What only accounts have: new values by day, and the hours they keep.

    ``new`` is ``novelty.weighed`` with the account's place ``at`` and ``slot``; ``lately`` has, by
    figure, how much was new on each day: (accounts, days). ``strange`` is ``rhythm.by_day``;
    ``today`` is ``Rhythm.strange`` of the one day that is asked for again and again.
    """

    new: dict[date, pl.DataFrame]
    lately: dict[str, Floats]
    rhythm: Rhythm
    strange: Floats
    today: Strange | None = None


def signs_of(
    panel: Panel,
    touched: pl.DataFrame,
    learned: Learned,
    groups: pl.DataFrame,
    settings: Settings,
) -> Signs:
    """The signs of the accounts of ``panel``; ``groups`` is (account, group)."""
    networked = novelty.with_networks(touched)
    firsts = novelty.firsts(networked, learned.known)
    return signs_from(panel, firsts, networked, learned, groups, settings)


def signs_from(
    panel: Panel,
    firsts: pl.DataFrame,
    networked: pl.DataFrame,
    learned: Learned,
    groups: pl.DataFrame,
    settings: Settings,
) -> Signs:
    """``signs_of``, from ``novelty.firsts`` and at least the addresses and networks of
    ``novelty.with_networks``.
    """
    firsts = firsts.filter(pl.col("day").is_between(panel.days[0], panel.days[-1]))
    new = novelty.weighed(firsts, networked, learned.known, groups, learned.used)
    placed = placed_in(panel, new, settings)
    by_day = {key[0]: part for key, part in placed.partition_by("day", as_dict=True).items()}
    known_groups = set(learned.habits["entity"].drop_nulls())
    of = group_of(groups)
    mine = [of[name] if of.get(name) in known_groups else None for name in panel.entities]
    seen = active_hours.dense(learned.seen, panel.entities)
    habit = active_hours.shares(_habits_of(learned.habits, mine))
    hours = Rhythm.of(seen, habit, learned.habits, panel)
    return Signs(
        by_day,
        _by_day(placed, panel, Peers.of([name or "" for name in mine])),
        hours,
        active_hours.by_day(hours, panel),
    )


def placed_in(panel: Panel, new: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """``novelty.weighed`` with the account's place ``at`` and ``slot``."""
    order = pl.DataFrame(
        {"account": panel.entities, "at": np.arange(len(panel.entities))},
        schema={"account": pl.String, "at": pl.Int64},
    )
    return with_slots(new, "hour", settings).join(order, on="account", how="inner")


def _by_day(placed: pl.DataFrame, panel: Panel, peers: Peers) -> dict[str, Floats]:
    """How much was new to each account on each day: (accounts, days), by LATELY_NEW."""
    on = (placed["day"] - panel.days[0]).dt.total_days()
    active = panel.present()
    found = {}
    for name, (dimension, column) in LATELY_NEW.items():
        mine = (placed["dimension"] == dimension).to_numpy()
        each = np.zeros(active.shape)
        where = (placed["at"].to_numpy()[mine], on.to_numpy()[mine])
        np.add.at(each, where, placed[column].to_numpy()[mine])
        if column == "weight" and dimension in novelty.BY_COLLEAGUES:
            each = novelty.unlike_colleagues(each, active, peers.codes, peers.places)
        found[name] = each
    return found


def _habits_of(habits: pl.DataFrame, groups: list[str | None]) -> Floats:
    names: list[str | None] = [*sorted({name for name in groups if name is not None}), None]
    places = {name: at for at, name in enumerate(names)}
    found: Floats = active_hours.dense(habits, names)[:, [places[name] for name in groups]]
    return found
