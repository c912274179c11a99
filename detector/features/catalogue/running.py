"""Excess that lasts: CUSUM at three speeds (Page 1954) and the month, over the frozen level.

The frozen level was learned once, in training, so a slow ramp cannot teach it.
"""

import polars as pl

from detector.core.formatting import count
from detector.features.expectation import DRIFT, SPEEDS
from detector.features.feature import Family, Feature, Figures

WORDS = {
    "rows": "records read",
    "statements": "statements",
    "log_rows": "lists read",
    "length": "records in each list",
    "departure": "members, each against its own usual day,",
}
MEASURED = ("statements", "log_rows", "rows", "length", "departure")
FLOORED = ("statements", "log_rows", "rows", "length")


def _sentence(measure: str) -> str:
    return f"{WORDS[measure]} above its level in training, day after day"


def _sum(measure: str, speed: str) -> Feature:
    def says(row: Figures) -> str:
        usual = count(
            row["rows_frozen_usual" if measure != "statements" else "statements_frozen_usual"]
        )
        noun = "statements" if measure == "statements" else "records"
        return f"{_sentence(measure)} (usual then {usual} {noun} a day)"

    return Feature(
        f"{measure}_{speed}",
        "spreads",
        f"{speed} running sum of the excess of {measure} over the frozen level",
        pl.col(f"{measure}_{speed}"),
        says,
    )


def _month(measure: str) -> Feature:
    mean = pl.col(f"{measure}_month")
    days = pl.col(f"{measure}_active_days")
    error = (1 / days + 1 / pl.col("days").clip(1) + DRIFT).sqrt()

    def says(row: Figures) -> str:
        return (
            f"{_sentence(measure)}, on most of its last "
            f"{count(row[f'{measure}_active_days'])} active days"
        )

    return Feature(
        f"{measure}_month",
        "standard errors",
        f"mean excess of {measure} over the frozen level in the past four weeks",
        pl.when(days >= 3).then(mean / error),
        says,
        alone=True,
    )


def _floor(measure: str) -> Feature:
    def says(_: Figures) -> str:
        return (
            f"{WORDS[measure]} above the lowest month of its training: "
            "what training took for usual may hold a theft"
        )

    return Feature(
        f"{measure}_floor",
        "spreads",
        f"mean excess of {measure} in the past four weeks over the lowest month of training",
        pl.when(pl.col(f"{measure}_active_days") >= 3).then(
            pl.col(f"{measure}_month") + pl.col(f"{measure}_floor_raised")
        ),
        says,
    )


def _scan(measure: str) -> Feature:
    def says(_: Figures) -> str:
        return f"{WORDS[measure]} above its level in training, over the days or weeks up to today"

    return Feature(
        f"{measure}_scan",
        "standard errors",
        f"the largest mean excess of {measure} over the frozen level, of five windows of 3 to 42 "
        "days",
        pl.col(f"{measure}_scan"),
        says,
        alone=True,
    )


FAMILY = Family(
    "running",
    (
        *(_sum(m, speed) for m in MEASURED for speed in SPEEDS),
        *(_month(m) for m in MEASURED),
        *(_floor(m) for m in FLOORED),
        *(_scan(m) for m in MEASURED),
    ),
)
