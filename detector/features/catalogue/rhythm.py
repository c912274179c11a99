"""When: at which hours, how steadily, and after how long."""

import polars as pl

from detector.core.formatting import count, quantity
from detector.features.feature import Family, Feature, FigureRow, z_score


def _describe_unusual(_: FigureRow) -> str:
    return "active in hours in which it, and its group, hardly ever are"


def _describe_recent(_: FigureRow) -> str:
    return "active, within two weeks, in hours in which it, and its group, hardly ever were before"


def _describe_hours(row: FigureRow) -> str:
    return f"active in {count(row['hours'])} hours; its usual day has {count(row['hours_usual'])}"


def _describe_unbroken(row: FigureRow) -> str:
    return (
        f"statements in {quantity(row['unbroken'], 'minute')} on end; "
        f"its usual longest is {count(row['unbroken_usual'])}"
    )


def _describe_even(_: FigureRow) -> str:
    return "statements at even steps, as a program makes them; its own are not so even"


def _describe_idle(row: FigureRow) -> str:
    days = count(row["idle_so_far"])
    if not row["days"]:
        return f"first access, {days} days or more after it was hired"
    return f"back after {days} days or more without any access"


def _describe_return(row: FigureRow) -> str:
    days = count(row["idle_lately_days"])
    if not row["days"]:
        return f"began within two weeks, {days} days or more after it was hired"
    return f"back within two weeks after {days} days or more of silence"


FAMILY = Family(
    "rhythm",
    (
        Feature(
            "strange_hours",
            "factors of ten",
            "sum over today's hours of how rarely the account is active in them",
            pl.col("strange_hours"),
            _describe_unusual,
        ),
        Feature(
            "strange_lately",
            "factors of ten",
            "the same of the past two weeks",
            pl.col("strange_lately"),
            _describe_recent,
        ),
        Feature(
            "hours_vs_own",
            "spreads",
            "hours with activity today so far against the own usual day",
            z_score("hours"),
            _describe_hours,
        ),
        Feature(
            "unbroken_vs_own",
            "spreads",
            "longest run of minutes with a statement in each today against the own usual longest",
            z_score("unbroken"),
            _describe_unbroken,
        ),
        Feature(
            "even_vs_own",
            "spreads",
            "how alike the steps between its active minutes are against the own usual day",
            z_score("even"),
            _describe_even,
        ),
        Feature(
            "idle_days",
            "log days",
            "days without access before today; of a new account, since it was hired",
            pl.col("idle_so_far").log1p(),
            _describe_idle,
        ),
        Feature(
            "idle_lately",
            "log days",
            "the longest such gap that ended in the past two weeks",
            pl.col("idle_lately_days").log1p(),
            _describe_return,
        ),
    ),
)
