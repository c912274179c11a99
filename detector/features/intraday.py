"""Figures of a day as it runs: what each entity has done so far, beside what was expected."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.core.parallel import map_threads
from detector.features import novelty
from detector.features import population as populations
from detector.features.account_signals import SIGNAL_COLUMNS, AccountSignals
from detector.features.aggregate_columns import LIST_COLUMNS, MAX_COLUMNS
from detector.features.aggregates import (
    MEAN_LENGTH,
    SLOTS,
    hourly_columns,
    log_scale,
)
from detector.features.daily_matrix import DailyMatrix
from detector.features.expectation import (
    CUSUM_AGGREGATES,
    CUSUM_ALLOWANCES,
    DRIFT_VARIANCE,
    MAX_SPREADS,
    NOVELTY_DAYS,
    WINDOW_DAYS,
    History,
    batches,
    completeness,
)
from detector.features.peer_movement import PeerGroups
from detector.features.population import NIGHT_SLOTS, Population
from detector.features.robust_stats import Floats, Integers, group_members

#: What of the frozen levels stands beside the figures as it is.
LEVEL_COLUMNS: Final = frozenset({"days", "entities", "rows_group_largest"})
#: Of which what peers do more of is told: the own level, and the frozen one.
MOVEMENT_LEVELS: Final = ("centre", "frozen_centre")
_ROW: Final = "place"


@dataclass(frozen=True, slots=True)
class DayState:
    """Who was active on one day: ``here`` are their places in the panel, ``peers`` their groups.

    ``active`` says in which hours, ``so_far`` whether up to each hour, (entities here, SLOTS);
    ``cells`` are the hours asked for. ``known`` is ``History.expected`` of the day, for all.
    """

    day: date
    active_rows: Integers
    peers: PeerGroups
    active: NDArray[np.bool_]
    so_far: NDArray[np.bool_]
    cells: tuple[Integers, Integers]
    expectation: dict[str, Floats]

    @property
    def rows(self) -> Integers:
        """Of the entity of each cell, in the panel."""
        found: Integers = self.active_rows[self.cells[0]]
        return found

    def at_cells(self, values: Floats) -> Floats:
        """A figure of all entities in the panel, at the cells."""
        found: Floats = values[self.rows]
        return found


def figures(
    by_day: Mapping[date, pl.DataFrame],
    history: History,
    signs: AccountSignals | None,
    *,
    ends: bool,
    only: Collection[str] | None = None,
    known: dict[str, Floats] | None = None,
    population: Population | None = None,
) -> pl.DataFrame:
    """One row per entity (of ``only``, where given) and hour with activity, of one kind.

    ``by_day`` has HOURLY of each day. Columns: entity, group, day, slot, hour_rows; per measure its
    sum so far, _log, _centre, _spread and _frozen_ levels, _moved; running sums; TOLD; and the
    signs. ``known`` is ``History.expected`` of the day, and ``population`` ``History.population``,
    where there is one and that is at hand.
    """

    def of_day(day: date) -> dict[str, NDArray[Any]]:
        known_of = known or history.expectation(day)
        among = population if known else history.population(day)
        return _day_figures(day, by_day[day], history, signs, known_of, among, ends=ends, only=only)

    each = map_threads(of_day, by_day)
    if not each:
        return pl.DataFrame()
    # One frame of all days: a frame of hundreds of columns is dear, and a day is small.
    place, days = (np.concatenate([some.pop(name) for some in each]) for name in (_ROW, "day"))
    found = [
        pl.Series(name, np.concatenate([some.pop(name) for some in each])) for name in list(each[0])
    ]
    return (
        pl.DataFrame(found)
        .fill_nan(None)
        .with_columns(
            pl.Series("entity", history.panel.entities, dtype=pl.String).gather(place),
            pl.Series("group", history.groups, dtype=pl.String).gather(place),
            pl.Series("day", days),
        )
    )


def _day_figures(
    day: date,
    hourly: pl.DataFrame,
    history: History,
    signs: AccountSignals | None,
    known: dict[str, Floats],
    population: Population | None,
    *,
    ends: bool,
    only: Collection[str] | None,
) -> dict[str, NDArray[Any]]:
    """The columns of ``figures``, with the entities' places in the panel for their names."""
    panel = history.panel
    order = {name: at for at, name in enumerate(panel.entities)}
    at = np.array([order[name] for name in hourly["entity"]], dtype=np.int64)
    here, row = np.unique(at, return_inverse=True)
    slot = hourly["slot"].to_numpy()
    now = _day_state(day, history, known, here, (row, slot), ends=ends)
    if only is not None:
        asked = np.array([name in only for name in panel.entities], dtype=bool)[here]
        kept = asked[now.cells[0]]
        now = replace(now, cells=(now.cells[0][kept], now.cells[1][kept]))
    sums = _running_totals(hourly, row, slot, len(here))
    logs = _log_sums(sums, now, history)
    found = {
        "slot": now.cells[1],
        "hour_rows": _to_array(hourly["rows"], row, slot, len(here))[now.cells],
        **{name: values[now.cells] for name, values in sums.items() if name not in LIST_COLUMNS},
        **{f"{name}_log": values[now.cells] for name, values in logs.items()},
        **{k: now.at_cells(v) for k, v in now.expectation.items() if "_window_" not in k},
        **{k: now.at_cells(v) for k, v in history.levels.items() if k in LEVEL_COLUMNS},
    }
    if population is None:
        found |= {name: np.full(len(now.cells[0]), np.nan) for name in populations.FIGURE_COLUMNS}
    else:
        excused = _is_excused(history, logs["rows"], now)
        found |= _peer_figures(
            population, sums, now, excused, off=bool(panel.off[panel.column(day)])
        )
    for some in batches(CUSUM_AGGREGATES, len(here)):
        moved = _peer_movement(some, logs, now)
        for m in some:
            found |= _running_sums(m, logs[m], *moved[m], now, history)
    if signs is None:
        found |= {name: np.full(len(now.cells[0]), np.nan) for name in SIGNAL_COLUMNS}
    else:
        found |= _signal_figures(signs, panel, now)
    place = now.rows
    return {**found, "day": np.full(len(place), day, dtype="datetime64[D]"), _ROW: place}


def _peer_figures(
    known: Population,
    sums: dict[str, Floats],
    now: DayState,
    excused: NDArray[np.bool_],
    *,
    off: bool,
) -> dict[str, Floats]:
    """The figures of ``population.today`` at the cells; of who is ``excused`` none is in excess."""
    so_far = {name: values[now.cells] for name, values in sums.items()}
    so_far["night"] = np.cumsum(now.active & NIGHT_SLOTS, axis=1)[now.cells].astype(np.float64)
    fresh = np.cumsum(now.active & ~known.clock[now.active_rows], axis=1, dtype=np.int64)[now.cells]
    found = populations.day_figures(known, now.rows, so_far, fresh, off=off)
    for name in found:
        if name.endswith("_excess"):
            found[name] = np.where(excused, 0.0, found[name])
    size = np.full(len(excused), float(known.size))
    return found | {"accountable": (~excused).astype(np.float64), "population": size}


def _is_excused(history: History, rows: Floats, now: DayState) -> NDArray[np.bool_]:
    """Which cells are of services that read no more today than twice what the largest of their
    kind ever did in training: by contract a job reads more than any person, and grows.
    """
    service = np.asarray(history.service)[now.rows]
    most = history.levels["rows_group_largest"][now.rows] + np.log(2)
    found: NDArray[np.bool_] = service & ~(rows[now.cells] > most)
    return found


def _day_state(
    day: date,
    history: History,
    known: dict[str, Floats],
    here: Integers,
    at: tuple[Integers, Integers],
    *,
    ends: bool,
) -> DayState:
    active = np.zeros((len(here), SLOTS), dtype=bool)
    active[at] = True
    peers = PeerGroups(*_compact_codes(history.peers.codes[here]))
    so_far = np.logical_or.accumulate(active, axis=1)
    return DayState(day, here, peers, active, so_far, _requested_cells(active, ends=ends), known)


def _log_sums(sums: dict[str, Floats], now: DayState, history: History) -> dict[str, Floats]:
    """log1p of the sums so far. Of a mean, the highest that it has been: what the day takes back
    later must not have rung. Over few statements, it is drawn to the usual one.
    """
    heads = (
        _member_counts(sums, now.expectation, now.active_rows) if history.panel.per_member else None
    )
    logs = log_scale(sums, heads)
    centre = now.expectation[f"{MEAN_LENGTH}_centre"][now.active_rows, None]
    worth = completeness(logs["statements"], history.levels["statements_centre"][now.active_rows])
    drawn = centre + (logs[MEAN_LENGTH] - centre) * worth
    return logs | {MEAN_LENGTH: np.fmax.accumulate(drawn, axis=1)}


def _member_counts(sums: dict[str, Floats], known: dict[str, Floats], here: Integers) -> Floats:
    """Members at work so far, or as many as usually are: the first to come are not the whole."""
    usual = np.expm1(known["others_centre"][here, None])
    found: Floats = np.fmax(sums["others"], usual)
    return found


def _running_totals(
    hourly: pl.DataFrame, row: Integers, slot: Integers, size: int
) -> dict[str, Floats]:
    found = {}
    for name in hourly_columns(hourly):
        each = _to_array(hourly[name], row, slot, size)
        grow = np.maximum.accumulate if name in MAX_COLUMNS else np.cumsum
        found[name] = grow(each, axis=1)
    return found


def _to_array(column: pl.Series, row: Integers, slot: Integers, size: int) -> Floats:
    found = np.zeros((size, SLOTS))
    found[row, slot] = column.to_numpy()  # null becomes NaN
    return found


def _requested_cells(active: np.ndarray, *, ends: bool) -> tuple[Integers, Integers]:
    if ends:
        last = SLOTS - 1 - active[:, ::-1].argmax(axis=1)
        return np.arange(len(active)), last
    row, slot = np.nonzero(active)
    return row, slot


def _compact_codes(codes: Integers) -> tuple[Integers, list[Integers]]:
    names, compact = np.unique(codes, return_inverse=True)
    return compact, group_members(compact, len(names))


def _peer_movement(
    names: Sequence[str], logs: dict[str, Floats], now: DayState
) -> dict[str, tuple[Floats, Floats]]:
    """By measure, what peers do more of on the day, beside the own level and the frozen one."""
    # Each hour moves by itself: only those that are asked for.
    slots, column = np.unique(now.cells[1], return_inverse=True)
    residuals = []
    for m in names:
        begun = np.where(now.so_far[:, slots], logs[m][:, slots], np.nan)
        residuals += [
            begun - now.expectation[f"{m}_{level}"][now.active_rows, None]
            for level in MOVEMENT_LEVELS
        ]
    moved = np.fmax(now.peers.movement(np.concatenate(residuals, axis=1)), 0.0)
    each = np.split(moved, len(residuals), axis=1)
    at = (now.cells[0], column)
    return {m: (each[2 * place][at], each[2 * place + 1][at]) for place, m in enumerate(names)}


def _running_sums(
    m: str, logs: Floats, moved: Floats, frozen_moved: Floats, now: DayState, history: History
) -> dict[str, Floats]:
    """The movement of the day and the running sums with today so far."""
    known, place = now.expectation, now.rows
    today = (logs[now.cells] - known[f"{m}_frozen_centre"][place] - frozen_moved) / known[
        f"{m}_frozen_spread"
    ][place]
    today = np.clip(today, -MAX_SPREADS, MAX_SPREADS)
    # A day without (no list, say) neither adds nor forgives.
    here, added = ~np.isnan(today), np.nan_to_num(today)
    found = {
        f"{m}_moved": moved,
        f"{m}_scan": _scan_statistic(m, today, now, history.levels["days"]),
    }
    for speed, allowance in CUSUM_ALLOWANCES.items():
        before = known[f"{m}_{speed}_before"][place]
        found[f"{m}_{speed}"] = np.fmax(before + added - allowance * here, 0.0)
    days = known[f"{m}_month_days"][place] + here
    found[f"{m}_month"] = (known[f"{m}_month_before"][place] + added) / np.fmax(days, 1.0)
    found[f"{m}_active_days"] = days
    return found


def _scan_statistic(m: str, today: Floats, now: DayState, days: Floats) -> Floats:
    """The largest mean excess of WINDOWS that end today, in standard errors.

    ``days`` are those of training, from which the level is known.
    """
    place = now.rows
    here, added = ~np.isnan(today), np.nan_to_num(today)
    known = 1 / np.fmax(days[place], 1.0) + DRIFT_VARIANCE
    found = np.full(len(today), -np.inf)
    for window in WINDOW_DAYS:
        total = now.expectation[f"{m}_window_{window}"][place] + added
        number = now.expectation[f"{m}_window_{window}_days"][place] + here
        error = np.sqrt(number * (1 + number * known))
        found = np.fmax(found, total / np.fmax(error, 1.0))
    return found


def _signal_figures(signs: AccountSignals, panel: DailyMatrix, now: DayState) -> dict[str, Floats]:
    known = signs.today_hours
    if known is None:
        known = signs.activity.hour_surprise(panel, now.day)
    strange = known.with_shift(now.active.sum(axis=0))[now.active_rows]
    found = {"strange_hours": np.cumsum(strange * now.active, axis=1)[now.cells]}
    new = signs.new_values.get(now.day)
    for dimension, name in novelty.DIMENSION_NAMES.items():
        mine = None if new is None else new.filter(pl.col("dimension") == dimension)
        weights = _novelty_weights(mine, "weight", now.active_rows)
        if dimension in novelty.PEER_DIMENSIONS:
            weights = novelty.discount_by_peers(
                weights, now.so_far, now.peers.codes, now.peers.members
            )
        found[f"new_{name}"] = weights[now.cells]
        if dimension == "network":
            found["foreign_networks"] = _novelty_weights(mine, "foreign", now.active_rows)[
                now.cells
            ]
    at = panel.column(now.day)
    before = signs.unusual_hours[:, max(0, at - NOVELTY_DAYS + 1) : at].sum(axis=1)
    found["strange_lately"] = now.at_cells(before) + found["strange_hours"]
    for name, each in signs.recent_novelty.items():
        before = each[:, max(0, at - NOVELTY_DAYS + 1) : at].sum(axis=1)
        found[f"{name}_lately"] = now.at_cells(before) + found[name]
    return found


def _novelty_weights(new: pl.DataFrame | None, column: str, here: Integers) -> Floats:
    if new is None or new.is_empty():
        return np.zeros((len(here), SLOTS))
    at = new["at"].to_numpy()
    place = np.searchsorted(here, at)
    inside = (place < len(here)) & (here[np.minimum(place, len(here) - 1)] == at)
    return novelty.cumulative_weights(
        place[inside], new["slot"].to_numpy()[inside], new[column].to_numpy()[inside], len(here)
    )
