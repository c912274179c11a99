"""When: at which hours, how steadily, and after how long."""

import polars as pl

from detector.core.formatting import count, counted
from detector.features.feature import Family, Feature, Figures, standardised


def _strange(_: Figures) -> str:
    return "active in hours in which it, and its group, hardly ever are"


def _lately(_: Figures) -> str:
    return "active, within two weeks, in hours in which it, and its group, hardly ever were before"


def _hours(row: Figures) -> str:
    return f"active in {count(row['hours'])} hours; its usual day has {count(row['hours_usual'])}"


def _unbroken(row: Figures) -> str:
    return (
        f"statements in {counted(row['unbroken'], 'minute')} on end; "
        f"its usual longest is {count(row['unbroken_usual'])}"
    )


def _even(_: Figures) -> str:
    return "statements at even steps, as a program makes them; its own are not so even"


def _idle(row: Figures) -> str:
    days = count(row["idle_so_far"])
    if not row["days"]:
        return f"first access, {days} days or more after it was hired"
    return f"back after {days} days or more without any access"


def _back(row: Figures) -> str:
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
            _strange,
        ),
        Feature(
            "strange_lately",
            "factors of ten",
            "the same of the past two weeks",
            pl.col("strange_lately"),
            _lately,
        ),
        Feature(
            "hours_vs_own",
            "spreads",
            "hours with activity today so far against the own usual day",
            standardised("hours"),
            _hours,
        ),
        Feature(
            "unbroken_vs_own",
            "spreads",
            "longest run of minutes with a statement in each today against the own usual longest",
            standardised("unbroken"),
            _unbroken,
        ),
        Feature(
            "even_vs_own",
            "spreads",
            "how alike the steps between its active minutes are against the own usual day",
            standardised("even"),
            _even,
        ),
        Feature(
            "idle_days",
            "log days",
            "days without access before today; of a new account, since it was hired",
            pl.col("idle_so_far").log1p(),
            _idle,
        ),
        Feature(
            "idle_lately",
            "log days",
            "the longest such gap that ended in the past two weeks",
            pl.col("idle_lately_days").log1p(),
            _back,
        ),
    ),
)
