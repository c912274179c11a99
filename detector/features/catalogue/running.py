"""Excess that lasts: CUSUM at three speeds (Page 1954) and the month, over the frozen level.

The frozen level was learned once, in training, so a slow ramp cannot teach it.
"""

import polars as pl

from detector.core.formatting import count
from detector.features.expectation import CUSUM_ALLOWANCES, DRIFT_VARIANCE
from detector.features.feature import Family, Feature, FigureRow

AGGREGATE_TEXTS = {
    "rows": "records read",
    "statements": "statements",
    "log_rows": "lists read",
    "length": "records in each list",
    "departure": "members, each against its own usual day,",
}
RUNNING_AGGREGATES = ("statements", "log_rows", "rows", "length", "departure")
FLOOR_AGGREGATES = ("statements", "log_rows", "rows", "length")


def _describe_excess(measure: str) -> str:
    return f"{AGGREGATE_TEXTS[measure]} above its level in training, day after day"


def _cusum_feature(measure: str, speed: str) -> Feature:
    def says(row: FigureRow) -> str:
        usual = count(
            row["rows_frozen_usual" if measure != "statements" else "statements_frozen_usual"]
        )
        noun = "statements" if measure == "statements" else "records"
        return f"{_describe_excess(measure)} (usual then {usual} {noun} a day)"

    return Feature(
        f"{measure}_{speed}",
        "spreads",
        f"{speed} running sum of the excess of {measure} over the frozen level",
        pl.col(f"{measure}_{speed}"),
        says,
    )


def _month_feature(measure: str) -> Feature:
    mean = pl.col(f"{measure}_month")
    days = pl.col(f"{measure}_active_days")
    error = (1 / days + 1 / pl.col("days").clip(1) + DRIFT_VARIANCE).sqrt()

    def says(row: FigureRow) -> str:
        return (
            f"{_describe_excess(measure)}, on most of its last "
            f"{count(row[f'{measure}_active_days'])} active days"
        )

    return Feature(
        f"{measure}_month",
        "standard errors",
        f"mean excess of {measure} over the frozen level in the past four weeks",
        pl.when(days >= 3).then(mean / error),
        says,
        is_sufficient=True,
    )


def _floor_feature(measure: str) -> Feature:
    def says(_: FigureRow) -> str:
        return (
            f"{AGGREGATE_TEXTS[measure]} above the lowest month of its training: "
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


def _scan_feature(measure: str) -> Feature:
    def says(_: FigureRow) -> str:
        return (
            f"{AGGREGATE_TEXTS[measure]} above its level in training, over the days or "
            "weeks up to today"
        )

    return Feature(
        f"{measure}_scan",
        "standard errors",
        f"the largest mean excess of {measure} over the frozen level, of five windows of 3 to 42 "
        "days",
        pl.col(f"{measure}_scan"),
        says,
        is_sufficient=True,
    )


FAMILY = Family(
    "running",
    (
        *(_cusum_feature(m, speed) for m in RUNNING_AGGREGATES for speed in CUSUM_ALLOWANCES),
        *(_month_feature(m) for m in RUNNING_AGGREGATES),
        *(_floor_feature(m) for m in FLOOR_AGGREGATES),
        *(_scan_feature(m) for m in RUNNING_AGGREGATES),
    ),
)
