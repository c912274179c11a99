"""How lifelike a log is: figures to hold against real offices."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Realism:
    """``rows_beyond`` and ``statements_beyond``: share of people's active days above ten times
    the person's own median. ``spread``: 95th over 50th percentile of people's median days, in
    statements. ``rows_quantiles`` and ``statements_quantiles``: of a person's active days over the
    own median, at ``QUANTILES``.
    """

    rows_beyond: float
    statements_beyond: float
    spread: float
    rows_quantiles: tuple[float, ...]
    statements_quantiles: tuple[float, ...]


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
    over = {name: _over_own_median(days, name) for name in ("rows", "statements")}
    beyond = {name: float((ratio > 10).mean() or 0.0) for name, ratio in over.items()}
    medians = days.group_by("account").agg(pl.col("statements").median())["statements"]
    spread = medians.quantile(0.95, "linear") or 0.0
    return Realism(
        beyond["rows"],
        beyond["statements"],
        spread / (medians.quantile(0.5) or 1.0),
        _quantiles(over["rows"]),
        _quantiles(over["statements"]),
    )


def _over_own_median(days: pl.DataFrame, name: str) -> pl.Series:
    # A median of nothing is one: somebody whose rows the log never says is not beyond it.
    median = pl.col(name).median().over("account").clip(lower_bound=1)
    return days.select(pl.col(name) / median).to_series()


def _quantiles(values: pl.Series) -> tuple[float, ...]:
    return tuple(float(values.quantile(level, "linear") or 0.0) for level in QUANTILES)
