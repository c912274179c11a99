"""How much was read today, against the account's own usual day."""

import polars as pl

from detector.features.feature import Family, Feature, Figures, standardised
from detector.phrases import count, counted


def _rows(row: Figures) -> str:
    return f"read {counted(row['rows'], 'record')}; its usual day is {count(row['rows_usual'])}"


def _statements(row: Figures) -> str:
    return (
        f"ran {counted(row['statements'], 'statement')}; "
        f"its usual day is {count(row['statements_usual'])}"
    )


def _largest(row: Figures) -> str:
    return (
        f"one result of {counted(row['largest'], 'record')}; "
        f"its usual largest is {count(row['largest_usual'])}"
    )


def _unknown(row: Figures) -> str:
    return (
        f"{count(row['unknown'])} exports or reads whose row count the log does not give; "
        f"its usual day is {count(row['unknown_usual'])}"
    )


FAMILY = Family(
    "volume",
    (
        Feature(
            "rows_vs_own",
            "spreads",
            "records read today so far against the own usual full day",
            standardised("rows"),
            _rows,
        ),
        Feature(
            "statements_vs_own",
            "spreads",
            "statements today so far against the own usual full day",
            standardised("statements"),
            _statements,
        ),
        Feature(
            "largest_vs_own",
            "spreads",
            "largest single result today against the own usual largest",
            standardised("largest"),
            _largest,
        ),
        Feature(
            "unknown_vs_own",
            "spreads",
            "exports and cursors without a row count against the own usual full day",
            pl.when(pl.col("unknown") > 0).then(standardised("unknown")),
            _unknown,
        ),
    ),
)
