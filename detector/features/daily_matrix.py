"""What entities did, as arrays: entities down, days across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.core.settings import Settings
from detector.features import workdays
from detector.features.aggregate_columns import MAX_COLUMNS
from detector.features.aggregates import SLOTS, hourly_columns, log_scale
from detector.features.robust_stats import Floats


@dataclass(frozen=True, slots=True)
class DailyMatrix:
    """Daily totals of the entities of one kind over consecutive days.

    ``logs`` has log1p of each measure's day, (entities, days), NaN where the entity was not
    active. ``active`` says in which hours it was: (entities, days, SLOTS). ``off`` marks the
    days that are no workdays. ``per_head`` says how the logs were made (``measures.log_scale``).
    """

    entities: list[str]
    days: list[date]
    logs: dict[str, Floats]
    active: NDArray[np.bool_]
    off: NDArray[np.bool_]
    per_member: bool

    def active_days(self) -> NDArray[np.bool_]:
        """On which days each entity was active: (entities, days)."""
        return np.asarray(self.active.any(axis=2), dtype=np.bool_)

    def column(self, day: date) -> int:
        """The column of ``day``."""
        return (day - self.days[0]).days

    def same_kind_days(self, day: date, first: int, end: int) -> NDArray[np.int64]:
        """Columns from ``first`` to before ``end``: days of the same kind, work or off."""
        same = self.off[first:end] == self.off[self.column(day)]
        return first + np.flatnonzero(same)


def concat_entities(parts: Sequence[DailyMatrix]) -> DailyMatrix:
    """Panels of other entities and the same days as one, in the order of the entities' names."""
    if len(parts) == 1:
        return parts[0]
    entities = np.array([name for part in parts for name in part.entities], dtype=object)
    order = np.argsort(entities)
    names = max((part.logs for part in parts), key=len)
    return replace(
        parts[0],
        entities=entities[order].tolist(),
        logs={
            name: np.concatenate([_aggregate_logs(part, name) for part in parts])[order]
            for name in names
        },
        active=np.concatenate([part.active for part in parts])[order],
    )


def _aggregate_logs(part: DailyMatrix, name: str) -> Floats:
    """One of its ``logs``; 0 of a measure that nobody in it has."""
    found = part.logs.get(name)
    return np.where(part.active_days(), 0.0, np.nan) if found is None else found


def build_matrix(
    hourly: pl.DataFrame, since: date, until: date, settings: Settings, *, per_head: bool
) -> DailyMatrix:
    """The days from ``since`` to ``until`` (both included) of HOURLY."""
    days = [since + timedelta(days=index) for index in range((until - since).days + 1)]
    inside = hourly.filter(pl.col("day").is_between(since, until))
    entities = inside["entity"].unique().sort()
    at = {
        "at": pl.col("entity").replace_strict(
            entities, pl.int_range(len(entities), eager=True), return_dtype=pl.Int64
        ),
        "on": (pl.col("day") - pl.lit(since)).dt.total_days(),
    }
    coded = inside.with_columns(**at) if len(inside) else inside.with_columns(at=0, on=0)
    names = hourly_columns(hourly)
    daily = coded.group_by("at", "on").agg(
        pl.col(name).max() if name in MAX_COLUMNS else pl.col(name).sum() for name in names
    )
    shape = (len(entities), len(days))
    row, column = daily["at"].to_numpy(), daily["on"].to_numpy()
    missing = {name for name in names if coded[name].null_count() == len(coded)}
    totals = {
        name: np.full(len(daily), np.nan) if name in missing else daily[name].to_numpy()
        for name in names
    }
    logs = {}
    for name, values in log_scale(totals, totals["others"] if per_head else None).items():
        logs[name] = np.full(shape, np.nan)
        logs[name][row, column] = values
    active = np.zeros((*shape, SLOTS), dtype=bool)
    active[coded["at"].to_numpy(), coded["on"].to_numpy(), coded["slot"].to_numpy()] = True
    free = workdays.days_off(days, settings)
    off = np.array([day in free for day in days], dtype=bool)
    return DailyMatrix(entities.to_list(), days, logs, active, off, per_head)
