"""The frozen levels: what training says of each entity and of its peers, kept in the model.

All in log1p. An entity's level is drawn towards its group's while it has few days. ``min_spread``
is the lowest of its levels in four-week blocks, so that a theft which ran through the last weeks of
training cannot pass for usual.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from statistics import NormalDist

import numpy as np
import polars as pl

from detector.features import robust_stats
from detector.features.aggregates import ACCOUNT, ALL_AGGREGATES, MONTH_SUBJECTS, SUBJECT_COLUMNS
from detector.features.daily_matrix import DailyMatrix
from detector.features.distinct_subjects import MONTH_DAYS
from detector.features.peer_movement import PeerGroups
from detector.features.robust_stats import Floats, Integers

#: An entity's own days weigh against a prior of this many days.
PRIOR_DAYS = 5
#: Nobody is steadier than this (natural-log units, about 30 %): MAD of a short or constant history
#: is 0, which would make every change infinite. What many people do together is steadier.
FLOOR, FLOOR_OF_MANY = 0.3, 0.2
#: Days of a block, and of those active without which it has no level.
BLOCK, BLOCK_ACTIVE = 28, 8

ENTITY_LEVELS = ("centre", "off_centre", "spread", "floor")
PEER_LEVELS = ("group_centre", "group_spread", "group_within", "group_largest")


def baseline_aggregates(levels: Collection[str]) -> tuple[str, ...]:
    """The measures of which there are levels, by column."""
    return (
        *ALL_AGGREGATES,
        *(name for name in SUBJECT_COLUMNS if f"{name}_group_centre" in levels),
    )


def min_spread(kind: str) -> float:
    """The least spread of a kind of entity."""
    return FLOOR if kind == ACCOUNT else FLOOR_OF_MANY


def fit(panel: DailyMatrix, groups: list[str], least: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Levels of entities and of their groups (``groups``: the group of each entity).

    ``least`` is the least spread (``min_spread``).

    Entities: entity, group, days, first_day, last_day, <measure>_<ENTITY>. Groups: group (null:
    all), entities, <measure>_<PEERS>.
    """
    names = sorted(set(groups))
    codes = np.searchsorted(names, groups).astype(np.int64)
    places = [*robust_stats.group_members(codes, len(names)), np.arange(len(groups))]
    seen = panel.active_days()
    entity: dict[str, object] = {
        "entity": panel.entities,
        "group": groups,
        "days": seen.sum(axis=1),
        "first_day": [panel.days[0] + timedelta(days=int(at)) for at in seen.argmax(axis=1)],
        "last_day": [
            panel.days[-1] - timedelta(days=int(at)) for at in seen[:, ::-1].argmax(axis=1)
        ],
    }
    peers: dict[str, object] = {
        "group": [*names, None],
        "entities": [len(members) for members in places],
    }
    peers_of = PeerGroups(codes, places[:-1])
    for name, logs in panel.logs.items():
        own, theirs = _fit_aggregate(
            _remove_movement(_complete_days(name, logs), peers_of), panel.off, codes, places, least
        )
        entity |= {f"{name}_{what}": values for what, values in own.items()}
        peers |= {f"{name}_{what}": values for what, values in theirs.items()}
    return (
        pl.DataFrame(entity, schema_overrides={"entity": pl.String, "group": pl.String}),
        pl.DataFrame(peers, schema_overrides={"group": pl.String}),
    )


def _complete_days(name: str, logs: Floats) -> Floats:
    """``logs`` of days before which there is all that they sum over."""
    return (
        np.where(np.arange(logs.shape[1]) < MONTH_DAYS - 1, np.nan, logs)
        if name == MONTH_SUBJECTS
        else logs
    )


def _remove_movement(logs: Floats, peers: PeerGroups) -> Floats:
    """``logs`` without what whole groups did more or less of on each day."""
    return logs - peers.movement(logs - robust_stats.median(logs)[:, None])


def _fit_aggregate(
    logs: Floats, off: np.ndarray, codes: Integers, places: list[Integers], least: float
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    work = logs[:, ~off]
    middle = robust_stats.median(work)
    middle = np.where(np.isnan(middle), robust_stats.median(logs), middle)
    apart = robust_stats.spread(logs - middle[:, None], least)
    middle = _central_level(work, apart, otherwise=robust_stats.huber_mean(logs, apart))
    peers = _peer_levels(logs, middle, places, least)
    prior, within = peers["group_centre"][codes], peers["group_within"][codes]
    days = robust_stats.counts(logs)
    centre = robust_stats.shrink(days, middle, prior, PRIOR_DAYS)
    variance = robust_stats.shrink(days, apart**2, within**2, PRIOR_DAYS)
    weekend = logs[:, off]
    off_centre = robust_stats.shrink(
        robust_stats.counts(weekend), robust_stats.huber_mean(weekend, apart), centre, PRIOR_DAYS
    )
    own = {
        "centre": centre,
        "off_centre": off_centre,
        "spread": np.sqrt(variance),
        "floor": np.fmin(
            robust_stats.shrink(days, _lowest_level(logs, middle, apart), prior, PRIOR_DAYS), centre
        ),
    }
    return own, peers


def _peer_levels(
    logs: Floats, middle: Floats, places: list[Integers], least: float
) -> dict[str, Floats]:
    found = {name: np.full(len(places), np.nan) for name in PEER_LEVELS}
    for at, members in enumerate(places):
        each = logs[members].ravel()
        if not (~np.isnan(each)).any():
            continue
        found["group_centre"][at] = robust_stats.median(each)
        found["group_spread"][at] = robust_stats.spread(each, least)
        residual = (logs[members] - middle[members, None]).ravel()
        found["group_within"][at] = robust_stats.spread(residual, least)
        found["group_largest"][at] = np.nanmax(each)
    # Of who was not there when others had been for a month, everyone's.
    return {name: np.where(np.isnan(each), each[-1], each) for name, each in found.items()}


def _central_level(logs: Floats, apart: Floats, *, otherwise: Floats) -> Floats:
    found = robust_stats.huber_mean(logs, apart)
    return np.where(np.isnan(found), otherwise, found)


def _lowest_level(logs: Floats, middle: Floats, apart: Floats) -> Floats:
    """The level of the lowest block; ``middle`` where no block has days enough.

    The lowest of many is low by chance alone: by as much as the lowest of so many normal means is
    expected to be (Blom 1958), that is given back.
    """
    blocks = range(0, logs.shape[1] - BLOCK + 1, BLOCK)
    lowest, days = np.full(len(logs), np.nan), np.zeros(len(logs))
    known = np.zeros(len(logs), dtype=np.int64)
    for start in blocks:
        block = logs[:, start : start + BLOCK]
        count = robust_stats.counts(block)
        enough = count >= BLOCK_ACTIVE
        lowest = np.fmin(lowest, np.where(enough, robust_stats.huber_mean(block, apart), np.nan))
        known, days = known + enough, days + np.where(enough, count, 0)
    normal = NormalDist()
    low_by = np.array(
        [0.0] + [normal.inv_cdf((n - 0.375) / (n + 0.25)) for n in range(1, len(blocks) + 1)]
    )
    error = apart / np.sqrt(np.maximum(days / np.maximum(known, 1), 1.0))
    return np.where(np.isnan(lowest), middle, lowest + low_by[known] * error)


def lookup(
    panel: DailyMatrix, groups: list[str], entities: pl.DataFrame, peers: pl.DataFrame
) -> dict[str, Floats]:
    """The levels of each entity of ``panel``, by column: the group's for one not learned.

    A group that was not learned is given the levels of all. ``days`` is 0 for one not learned.
    """
    asked = pl.DataFrame(
        {"entity": panel.entities, "group": groups},
        schema={"entity": pl.String, "group": pl.String},
    )
    everyone = peers.filter(pl.col("group").is_null()).drop("group").row(0, named=True)
    frame = (
        asked.join(entities.drop("group"), on="entity", how="left", maintain_order="left")
        .join(peers, on="group", how="left", maintain_order="left")
        .with_columns(
            pl.col("days").fill_null(0),
            *(pl.col(name).fill_null(value) for name, value in everyone.items()),
        )
    )
    found = {
        name: frame[name].cast(pl.Float64).to_numpy()
        for name in frame.columns
        if name not in ("entity", "group", "first_day", "last_day")
    }
    new = frame["days"].to_numpy() == 0
    for m in baseline_aggregates(found):
        centre, apart = found[f"{m}_group_centre"], found[f"{m}_group_spread"]
        wide = np.fmax(apart, found[f"{m}_group_within"])
        # An entity the model never saw may lie anywhere in its group.
        for what, prior in zip(ENTITY_LEVELS, (centre, centre, wide, centre), strict=True):
            found[f"{m}_{what}"] = np.where(new, prior, found[f"{m}_{what}"])
    return found
