"""How far the members of a group lie above what is usual of each of them.

A group's own sum varies with who is at work. Where most members read a little more than each of
them usually does, the mean of their departures shows it soonest: chance averages out (as in a
stratified test, with each member's own level for a stratum). The member that departs furthest is
left out, since its account tells of that; each of the others can move it by no more than MOST.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from detector.core.settings import Settings
from detector.features.aggregate_columns import MILLIONTHS
from detector.features.aggregates import ACCOUNT
from detector.features.daily_matrix import DailyMatrix
from detector.features.robust_stats import Floats, group_members
from detector.features.workdays import is_workday

#: Of what a day's departure is told, and the spreads for which one member counts at most.
DEVIATION_AGGREGATE = "log_rows"
MAX_SPREADS = 3.0
LEVEL_NAMES = ("centre", "off_centre", "spread")


def account_levels(groups: pl.DataFrame, levels: pl.DataFrame, peers: pl.DataFrame) -> pl.DataFrame:
    """entity, and LEVELS of OF: of the accounts of ``groups`` (account, group).

    An account that was not learned (``levels`` and ``peers`` of ``TrainedBaselines``) is given its
    group's.
    """
    of_accounts = pl.col("entity_kind") == ACCOUNT
    own = levels.filter(of_accounts).select(
        "entity", *(pl.col(f"{DEVIATION_AGGREGATE}_{what}").alias(what) for what in LEVEL_NAMES)
    )
    theirs = peers.filter(of_accounts).select(
        "group",
        middle=f"{DEVIATION_AGGREGATE}_group_centre",
        wide=pl.max_horizontal(
            f"{DEVIATION_AGGREGATE}_group_spread", f"{DEVIATION_AGGREGATE}_group_within"
        ),
    )
    everyone = theirs.filter(pl.col("group").is_null()).row(0, named=True)
    middle, wide = (pl.col(name).fill_null(everyone[name]) for name in ("middle", "wide"))
    return (
        groups.rename({"account": "entity"})
        .join(own, on="entity", how="left", maintain_order="left")
        .join(theirs, on="group", how="left", maintain_order="left")
        .select(
            "entity",
            pl.col("centre", "off_centre").fill_null(middle),
            pl.col("spread").fill_null(wide),
        )
    )


def add_deviation(hourly: pl.DataFrame, usual: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """HOURLY of accounts with ``departure``: what each hour adds to that of the day, in
    MILLIONTHS of a spread.
    """
    day = ["entity", "day"]
    centre = pl.when(is_workday(hourly, "day", settings)).then("centre").otherwise("off_centre")
    so_far = (pl.col(DEVIATION_AGGREGATE).cum_sum().over(day, order_by="slot") / MILLIONTHS).log1p()
    before = pl.col("departure").shift(fill_value=0.0).over(day, order_by="slot")
    whole = (
        ((so_far - centre) / pl.col("spread")).clip(-MAX_SPREADS, MAX_SPREADS) * MILLIONTHS
    ).round()
    return (
        hourly.join(usual, on="entity", how="left", maintain_order="left")
        .with_columns(departure=whole)
        .with_columns(pl.col("departure") - before)
        .select(hourly.columns)
    )


def add_group_deviation(
    panel: DailyMatrix, accounts: DailyMatrix, group_of: dict[str, str], levels: pl.DataFrame
) -> DailyMatrix:
    """The panel of groups with the logs of ``departure``; as ``add_deviation`` makes them of hours.

    ``accounts`` has the same days, ``group_of`` gives its entities' groups, ``levels`` theirs.
    """
    known = pl.DataFrame({"entity": accounts.entities}).join(
        levels, on="entity", how="left", maintain_order="left"
    )
    centre, off_centre, spread = (
        known[f"{DEVIATION_AGGREGATE}_{what}"].to_numpy()[:, None] for what in LEVEL_NAMES
    )
    middle = np.where(accounts.off[None, :], off_centre, centre)
    each = np.rint(
        np.clip((accounts.logs[DEVIATION_AGGREGATE] - middle) / spread, -MAX_SPREADS, MAX_SPREADS)
        * MILLIONTHS
    )
    names = [group_of[name] for name in accounts.entities]
    codes = np.searchsorted(panel.entities, names).astype(np.int64)
    return replace(
        panel, logs=panel.logs | {"departure": _sum_deviations(each, codes, len(panel.entities))}
    )


def _sum_deviations(each: Floats, codes: np.ndarray, groups: int) -> Floats:
    found = np.full((groups, each.shape[1]), np.nan)
    for code, places in enumerate(group_members(codes, groups)):
        here = (~np.isnan(each[places])).sum(axis=0)
        furthest = np.nan_to_num(np.fmax.reduce(each[places], axis=0))
        total = (np.nansum(each[places], axis=0) - furthest) / MILLIONTHS
        found[code] = np.where(here > 0, total / np.sqrt(np.maximum(here, 1)), np.nan)
    return found
