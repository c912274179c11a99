"""What leaves without a count, or as a file."""

import polars as pl

from detector.core.formatting import count
from detector.features.feature import Family, Feature, FigureRow, z_score


def _describe_unknown(row: FigureRow) -> str:
    return (
        f"{count(row['unknown'])} exports or reads whose row count the log does not give; "
        f"its usual day is {count(row['unknown_usual'])}"
    )


def _describe_exports(row: FigureRow) -> str:
    return f"{count(row['exports'])} exports; its usual day is {count(row['exports_usual'])}"


FAMILY = Family(
    "exports",
    (
        Feature(
            "unknown_vs_own",
            "spreads",
            "exports and cursors without a row count against the own usual full day",
            pl.when(pl.col("unknown") > 0).then(z_score("unknown")),
            _describe_unknown,
            is_sufficient=True,
        ),
        Feature(
            "exports_vs_own",
            "spreads",
            "exports today so far against the own usual full day",
            pl.when(pl.col("exports") > 0).then(z_score("exports")),
            _describe_exports,
            is_sufficient=True,
        ),
    ),
)
