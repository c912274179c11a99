"""How lifelike a log is: figures to hold against real offices."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Realism:
    """``rows_beyond`` and ``statements_beyond``: share of people's active days above ten times
    the person's own median. ``spread``: 95th over 50th percentile of people's median days, in
    statements.
    """

    rows_beyond: float
    statements_beyond: float
    spread: float


def local(events: pl.DataFrame) -> pl.DataFrame:
    """The events with ``day`` (Date) and ``hour`` (0 to 23) of Paris, where the office is."""
    moment = pl.col("timestamp").dt.convert_time_zone("Europe/Paris")
    return events.with_columns(moment.dt.date().alias("day"), moment.dt.hour().alias("hour"))


def measure(events: pl.DataFrame, people: list[str]) -> Realism:
    """Figures over the active days (of Paris) of the accounts in ``people``."""
    days = (
        local(events.filter(pl.col("account").is_in(people), pl.col("action") != "login"))
        .group_by("account", "day")
        .agg(pl.col("rows").sum(), pl.len().cast(pl.Int64).alias("statements"))
    )
    figures = days.select(
        (pl.col("rows") > 10 * pl.col("rows").median().over("account")).mean().alias("rows"),
        (pl.col("statements") > 10 * pl.col("statements").median().over("account"))
        .mean()
        .alias("statements"),
    ).row(0, named=True)
    medians = days.group_by("account").agg(pl.col("statements").median())["statements"]
    spread = medians.quantile(0.95, "linear") or 0.0
    return Realism(figures["rows"], figures["statements"], spread / (medians.quantile(0.5) or 1.0))
