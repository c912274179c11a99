"""How lifelike a log is: figures to hold against real offices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

#: A day is restless beyond so many times the person's own median.
BEYOND = (2, 3, 10)
#: Who is measured: so many active days, and so many events on the median one.
ACTIVE_DAYS, BUSY = 30, 5
#: A week counts by its mean from so many active days on.
WEEK_DAYS = 3
#: Around what real people's figures are: of 40 clerks of a bank (steps on customers' files) 14.0,
#: 4.2 and .0 % of the days are beyond, and the others are 1.61, .82, .25; of a research institute
#: (e-mail) 16.5, 6.9 and .3 %, and .88, .49, .34. The lower ends are those of a hospital group that
#: was invented elsewhere: 13.5, 4.3 and .0 %, and .76, .43, .18.
REAL = {
    "beyond_2": (0.13, 0.17),
    "beyond_3": (0.04, 0.07),
    "beyond_10": (0.0, 0.003),
    "days": (0.75, 1.61),
    "weeks": (0.43, 0.82),
    "drift": (0.18, 0.34),
}
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


@dataclass(frozen=True, slots=True)
class Restlessness:
    """``beyond``: shares of days above BEYOND times the own median of events. The other figures are
    medians over people, of the logarithm of a day's events: its standard deviation, that of the
    means of weeks, and the difference between the means of the log's two halves.
    """

    people: int
    beyond: tuple[float, ...]
    days: float
    weeks: float
    drift: float


def restlessness(events: pl.DataFrame) -> Restlessness:
    """How unevenly the accounts of ``events`` work: all their events, by day of UTC.

    Only those with ACTIVE_DAYS and a median of BUSY are measured.
    """
    level = pl.col("level")
    days = (
        events.group_by("account", pl.col("timestamp").dt.date().alias("day"))
        .agg(pl.len().alias("events"))
        .with_columns(
            pl.col("events").median().over("account").alias("median"),
            pl.col("events").log().alias("level"),
            pl.col("day").dt.truncate("1w").alias("week"),
        )
        .filter(pl.len().over("account") >= ACTIVE_DAYS, pl.col("median") >= BUSY)
    )
    people = days.group_by("account")
    weeks = days.group_by("account", "week").agg(level.mean(), pl.len().alias("days"))
    whole = weeks.filter(pl.col("days") >= WEEK_DAYS).group_by("account")
    days = days.with_columns(pl.col("day") > _middle(days["day"]))
    halves = days.group_by("account", "day").agg(level.mean()).group_by("account")
    times = days["events"] / days["median"]
    return Restlessness(
        days["account"].n_unique(),
        tuple(float((times > beyond).mean() or 0.0) for beyond in BEYOND),
        _median(people.agg(level.std())),
        _median(whole.agg(level.std())),
        _median(halves.agg((level.max() - level.min()).filter(pl.len() == 2).first())),
    )


def unlike_real_people(figures: Restlessness) -> list[str]:
    """What is not as in REAL, a line each: none where people are as restless as real ones."""
    names = [f"beyond_{times}" for times in BEYOND] + ["days", "weeks", "drift"]
    values = [*figures.beyond, figures.days, figures.weeks, figures.drift]
    return [
        f"{name} is {value:.3f}, not {REAL[name][0]:g} to {REAL[name][1]:g}"
        for name, value in zip(names, values, strict=True)
        if not REAL[name][0] <= value <= REAL[name][1]
    ]


def _middle(days: pl.Series) -> date:
    if days.is_empty():
        raise ValueError("nobody worked on enough days to be measured")
    first: date = days.sort()[0]
    last: date = days.sort()[-1]
    return first + (last - first) / 2


def _median(figures: pl.DataFrame) -> float:
    median = figures["level"].median()
    return float(median) if isinstance(median, float) else 0.0


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
