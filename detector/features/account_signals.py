"""What only accounts have: the hours they keep, and what is new to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from detector.core.settings import Settings
from detector.features import active_hours, novelty
from detector.features.active_hours import ActivityProfile, HourSurprise
from detector.features.aggregates import add_slots
from detector.features.daily_matrix import DailyMatrix
from detector.features.peer_groups import groups_by_account
from detector.features.peer_movement import PeerGroups
from detector.features.robust_stats import Floats

if TYPE_CHECKING:
    from detector.features.feature_table import TrainedBaselines

#: Figures that only accounts have.
RECENT_NOVELTY = {
    "new_objects": ("object", "weight"),
    "new_applications": ("application", "weight"),
    "new_networks": ("network", "weight"),
    "foreign_networks": ("network", "foreign"),
}
SIGNAL_COLUMNS = (
    "strange_hours",
    "strange_lately",
    "new_addresses",
    *RECENT_NOVELTY,
    *(f"{name}_lately" for name in RECENT_NOVELTY),
)


@dataclass(frozen=True, slots=True)
class AccountSignals:
    """What only accounts have: new values by day, and the hours they keep.

    ``new`` is ``novelty.add_weights`` with the account's place ``at`` and ``slot``;
    ``recent_novelty`` has, by figure, how much was new on each day: (accounts, days).
    ``unusual_hours`` is ``rhythm.by_day``; ``today_hours`` is ``Rhythm.unusual_hours`` of the one
    day that is asked for again and again.
    """

    new_values: dict[date, pl.DataFrame]
    recent_novelty: dict[str, Floats]
    activity: ActivityProfile
    unusual_hours: Floats
    today_hours: HourSurprise | None = None


def compute_signals(
    panel: DailyMatrix,
    touched: pl.DataFrame,
    learned: TrainedBaselines,
    groups: pl.DataFrame,
    settings: Settings,
) -> AccountSignals:
    """The signs of the accounts of ``panel``; ``groups`` is (account, group)."""
    networked = novelty.add_networks(touched)
    firsts = novelty.first_touches(networked, learned.known)
    return signals_from_firsts(panel, firsts, networked, learned, groups, settings)


def signals_from_firsts(
    panel: DailyMatrix,
    firsts: pl.DataFrame,
    networked: pl.DataFrame,
    learned: TrainedBaselines,
    groups: pl.DataFrame,
    settings: Settings,
) -> AccountSignals:
    """``compute_signals``, from ``novelty.firsts`` and at least the addresses and networks of
    ``novelty.add_networks``.
    """
    firsts = firsts.filter(pl.col("day").is_between(panel.days[0], panel.days[-1]))
    new = novelty.add_weights(firsts, networked, learned.known, groups, learned.used)
    placed = add_places(panel, new, settings)
    by_day = {key[0]: part for key, part in placed.partition_by("day", as_dict=True).items()}
    known_groups = set(learned.habits["entity"].drop_nulls())
    of = groups_by_account(groups)
    mine = [of[name] if of.get(name) in known_groups else None for name in panel.entities]
    seen = active_hours.to_array(learned.seen, panel.entities)
    habit = active_hours.activity_shares(_group_habits(learned.habits, mine))
    hours = ActivityProfile.from_habits(seen, habit, learned.habits, panel)
    return AccountSignals(
        by_day,
        _novelty_by_day(placed, panel, PeerGroups.from_groups([name or "" for name in mine])),
        hours,
        active_hours.daily_surprise(hours, panel),
    )


def add_places(panel: DailyMatrix, new: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """``novelty.add_weights`` with the account's place ``at`` and ``slot``."""
    order = pl.DataFrame(
        {"account": panel.entities, "at": np.arange(len(panel.entities))},
        schema={"account": pl.String, "at": pl.Int64},
    )
    return add_slots(new, "hour", settings).join(order, on="account", how="inner")


def _novelty_by_day(
    placed: pl.DataFrame, panel: DailyMatrix, peers: PeerGroups
) -> dict[str, Floats]:
    """How much was new to each account on each day: (accounts, days), by LATELY_NEW."""
    on = (placed["day"] - panel.days[0]).dt.total_days()
    active = panel.active_days()
    found = {}
    for name, (dimension, column) in RECENT_NOVELTY.items():
        mine = (placed["dimension"] == dimension).to_numpy()
        each = np.zeros(active.shape)
        where = (placed["at"].to_numpy()[mine], on.to_numpy()[mine])
        np.add.at(each, where, placed[column].to_numpy()[mine])
        if column == "weight" and dimension in novelty.PEER_DIMENSIONS:
            each = novelty.discount_by_peers(each, active, peers.codes, peers.members)
        found[name] = each
    return found


def _group_habits(habits: pl.DataFrame, groups: list[str | None]) -> Floats:
    names: list[str | None] = [*sorted({name for name in groups if name is not None}), None]
    places = {name: at for at, name in enumerate(names)}
    found: Floats = active_hours.to_array(habits, names)[:, [places[name] for name in groups]]
    return found
