"""Figures of a day as it runs: what each entity has done so far, beside what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from detector.features import novelty, rhythm
from detector.features.expected import CLIP, LATELY, RUNNING, SPEEDS, History, trust
from detector.features.measures import ALL, LARGEST, LENGTH, MEASURES, SLOTS, logged, with_slots
from detector.features.panel import Panel
from detector.features.peers import Peers
from detector.features.robust import Floats, Integers, members
from detector.settings import Settings

if TYPE_CHECKING:
    from detector.features.table import Learned

#: Figures that only accounts have.
LATELY_NEW = {
    "new_objects": ("object", "weight"),
    "new_applications": ("application", "weight"),
    "new_networks": ("network", "weight"),
    "foreign_networks": ("network", "foreign"),
}
SIGNS = (
    "strange_hours",
    "new_addresses",
    *LATELY_NEW,
    *(f"{name}_lately" for name in LATELY_NEW),
)
#: A site that got new addresses: with this share of colleagues alike, a new address says nothing.
ALL_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Signs:
    """What only accounts have: new values by day, and the hours they keep.

    ``new`` is ``novelty.weighed`` with the account's place ``at`` and ``slot``; ``lately`` has, by
    figure, how much was new on each day: (accounts, days). ``seen`` and ``habit`` see
    ``rhythm.strangeness``.
    """

    new: dict[date, pl.DataFrame]
    lately: dict[str, Floats]
    seen: Floats
    habit: Floats


def signs(
    panel: Panel,
    touched: pl.DataFrame,
    learned: Learned,
    groups: pl.DataFrame,
    settings: Settings,
) -> Signs:
    """The signs of the accounts of ``panel``; ``groups`` is (account, group)."""
    networked = novelty.with_networks(touched)
    firsts = novelty.firsts(networked, learned.known).filter(
        pl.col("day").is_between(panel.days[0], panel.days[-1])
    )
    new = novelty.weighed(firsts, networked, learned.known, groups, learned.used)
    order = pl.DataFrame(
        {"account": panel.entities, "at": np.arange(len(panel.entities))},
        schema={"account": pl.String, "at": pl.Int64},
    )
    placed = with_slots(new, "hour", settings).join(order, on="account", how="inner")
    by_day = {key[0]: part for key, part in placed.partition_by("day", as_dict=True).items()}
    known_groups = set(learned.habits["entity"].drop_nulls())
    of = dict(groups.iter_rows())
    mine = [of[name] if of.get(name) in known_groups else None for name in panel.entities]
    return Signs(
        by_day,
        _by_day(placed, panel, Peers.of([name or "" for name in mine])),
        rhythm.dense(learned.seen, panel.entities),
        rhythm.shares(_habits_of(learned.habits, mine)),
    )


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
        if column == "weight" and dimension == "network":
            alike = novelty.colleagues(each, active.astype(float), peers.codes, peers.places)
            each = each * np.clip(1 - alike / ALL_ALIKE, 0.0, 1.0)
        found[name] = each
    return found


def _habits_of(habits: pl.DataFrame, groups: list[str | None]) -> Floats:
    names: list[str | None] = [*sorted({name for name in groups if name is not None}), None]
    places = {name: at for at, name in enumerate(names)}
    found: Floats = rhythm.dense(habits, names)[:, [places[name] for name in groups]]
    return found


def figures(
    day: date, hourly: pl.DataFrame, history: History, signs: Signs | None, *, ends: bool
) -> pl.DataFrame:
    """One row per entity and hour of ``day`` with activity, of one kind.

    ``hourly`` is HOURLY of the day. Columns: at (the entity's place in the panel), entity, day,
    slot, hour_rows; per measure its sum so far, _log, _centre, _spread, _frozen_ and _group_
    levels, _moved; running sums; and the signs.
    """
    panel = history.panel
    order = {name: at for at, name in enumerate(panel.entities)}
    at = np.array([order[name] for name in hourly["entity"]], dtype=np.int64)
    here, row = np.unique(at, return_inverse=True)
    slot = hourly["slot"].to_numpy()
    sums = _so_far(hourly, row, slot, len(here))
    known = history.expected(day)
    logs = logged(sums, _heads(sums, known, here) if panel.per_head else None)
    centre = known[f"{LENGTH}_centre"][here, None]
    worth = trust(logs["statements"], history.levels["statements_centre"][here])
    logs[LENGTH] = centre + (logs[LENGTH] - centre) * worth
    active = np.zeros((len(here), SLOTS), dtype=bool)
    active[row, slot] = True
    so_far = np.logical_or.accumulate(active, axis=1)
    cells = _cells(active, ends=ends)
    found = {
        "at": here[cells[0]],
        "slot": cells[1],
        "hour_rows": _dense(hourly["rows"], row, slot, len(here))[cells],
    }
    for name in MEASURES:
        found[name] = sums[name][cells]
    for name in ALL:
        found[f"{name}_log"] = logs[name][cells]
    found |= {name: values[here][cells[0]] for name, values in known.items()}
    found |= {
        name: values[here][cells[0]]
        for name, values in history.levels.items()
        if "_group_" in name or name in ("days", "entities")
    }
    peers = Peers(*_compact(history.peers.codes[here]))
    for m in RUNNING:
        found |= _running(m, logs[m], so_far, known, peers, here, cells)
    if signs is None:
        found |= {name: np.full(len(cells[0]), np.nan) for name in SIGNS}
    else:
        found |= _signs(day, signs, panel, here, active, so_far, peers, cells)
    frame = pl.DataFrame(found).fill_nan(None)
    entities = pl.Series(panel.entities, dtype=pl.String).gather(frame["at"])
    groups = pl.Series(history.groups, dtype=pl.String).gather(frame["at"])
    return frame.drop("at").with_columns(entity=entities, group=groups, day=pl.lit(day))


def _heads(sums: dict[str, Floats], known: dict[str, Floats], here: Integers) -> Floats:
    """Members at work so far, or as many as usually are: the first to come are not the whole."""
    usual = np.expm1(known["others_centre"][here, None])
    found: Floats = np.fmax(sums["others"], usual)
    return found


def _so_far(hourly: pl.DataFrame, row: Integers, slot: Integers, size: int) -> dict[str, Floats]:
    found = {}
    for name in MEASURES:
        each = _dense(hourly[name], row, slot, size)
        grow = np.maximum.accumulate if name in LARGEST else np.cumsum
        found[name] = grow(each, axis=1)
    return found


def _dense(column: pl.Series, row: Integers, slot: Integers, size: int) -> Floats:
    found = np.zeros((size, SLOTS))
    found[row, slot] = column.fill_null(float("nan")).to_numpy()
    return found


def _cells(active: np.ndarray, *, ends: bool) -> tuple[Integers, Integers]:
    if ends:
        last = SLOTS - 1 - active[:, ::-1].argmax(axis=1)
        return np.arange(len(active)), last
    row, slot = np.nonzero(active)
    return row, slot


def _compact(codes: Integers) -> tuple[Integers, list[Integers]]:
    names, compact = np.unique(codes, return_inverse=True)
    return compact, members(compact, len(names))


def _running(
    m: str,
    logs: Floats,
    so_far: np.ndarray,
    known: dict[str, Floats],
    peers: Peers,
    here: Integers,
    cells: tuple[Integers, Integers],
) -> dict[str, Floats]:
    """The movement of the day and the running sums with today so far."""
    begun = np.where(so_far, logs, np.nan)
    own = peers.movement(begun - known[f"{m}_centre"][here, None])
    frozen = peers.movement(begun - known[f"{m}_frozen_centre"][here, None])
    moved, frozen_moved = np.fmax(own, 0.0)[cells], np.fmax(frozen, 0.0)[cells]
    place = here[cells[0]]
    today = (logs[cells] - known[f"{m}_frozen_centre"][place] - frozen_moved) / known[
        f"{m}_frozen_spread"
    ][place]
    today = np.clip(today, -CLIP, CLIP)
    found = {f"{m}_moved": moved}
    for speed, allowance in SPEEDS.items():
        before = known[f"{m}_{speed}_before"][place]
        found[f"{m}_{speed}"] = np.fmax(before + today - allowance, 0.0)
    days = known[f"{m}_month_days"][place] + 1
    total = known[f"{m}_month_before"][place] + today
    found[f"{m}_month"] = total / days
    found[f"{m}_active_days"] = days
    return found


def _signs(
    day: date,
    signs: Signs,
    panel: Panel,
    here: Integers,
    active: np.ndarray,
    so_far: np.ndarray,
    peers: Peers,
    cells: tuple[Integers, Integers],
) -> dict[str, Floats]:
    strange = rhythm.strangeness(signs.seen, signs.habit, panel, day)[here]
    found = {"strange_hours": np.cumsum(strange * active, axis=1)[cells]}
    new = signs.new.get(day)
    for dimension, name in novelty.NAMES.items():
        mine = None if new is None else new.filter(pl.col("dimension") == dimension)
        weights = _weights(mine, "weight", here)
        if dimension in ("client_address", "network"):
            alike = novelty.colleagues(weights, so_far.astype(float), peers.codes, peers.places)
            weights = weights * np.clip(1 - alike / ALL_ALIKE, 0.0, 1.0)
        found[f"new_{name}"] = weights[cells]
        if dimension == "network":
            found["foreign_networks"] = _weights(mine, "foreign", here)[cells]
    at = panel.place(day)
    for name, each in signs.lately.items():
        before = each[here, max(0, at - LATELY + 1) : at].sum(axis=1)
        found[f"{name}_lately"] = before[cells[0]] + found[name]
    return found


def _weights(new: pl.DataFrame | None, column: str, here: Integers) -> Floats:
    if new is None or new.is_empty():
        return np.zeros((len(here), SLOTS))
    at = new["at"].to_numpy()
    place = np.searchsorted(here, at)
    inside = (place < len(here)) & (here[np.minimum(place, len(here) - 1)] == at)
    return novelty.running(
        place[inside], new["slot"].to_numpy()[inside], new[column].to_numpy()[inside], len(here)
    )
