"""What leaves without a count, or as a file."""

import polars as pl

from detector.core.formatting import count
from detector.features.feature import Family, Feature, Figures, standardised


def _unknown(row: Figures) -> str:
    return (
        f"{count(row['unknown'])} exports or reads whose row count the log does not give; "
        f"its usual day is {count(row['unknown_usual'])}"
    )


def _exports(row: Figures) -> str:
    return f"{count(row['exports'])} exports; its usual day is {count(row['exports_usual'])}"


FAMILY = Family(
    "exports",
    (
        Feature(
            "unknown_vs_own",
            "spreads",
            "exports and cursors without a row count against the own usual full day",
            pl.when(pl.col("unknown") > 0).then(standardised("unknown")),
            _unknown,
            alone=True,
        ),
        Feature(
            "exports_vs_own",
            "spreads",
            "exports today so far against the own usual full day",
            pl.when(pl.col("exports") > 0).then(standardised("exports")),
            _exports,
            alone=True,
        ),
    ),
)
