"""How much was read today, against a day of the account's peer group in training."""

import polars as pl

from detector.features.feature import Family, Feature, Figures
from detector.phrases import count, counted


def _against_group(measure: str) -> pl.Expr:
    return (pl.col(measure).log1p() - pl.col(f"{measure}_group_centre")) / pl.col(
        f"{measure}_group_spread"
    )


def _rows(row: Figures) -> str:
    return (
        f"read {counted(row['rows'], 'record')}; a usual day in its group is "
        f"{count(row['rows_group_usual'])}, its group's largest is "
        f"{count(row['rows_group_largest'])}"
    )


def _statements(row: Figures) -> str:
    return (
        f"ran {counted(row['statements'], 'statement')}; a usual day in its group is "
        f"{count(row['statements_group_usual'])}, its group's largest is "
        f"{count(row['statements_group_largest'])}"
    )


FAMILY = Family(
    "peers",
    (
        Feature(
            "rows_vs_group",
            "spreads",
            "records read today so far against the group's account-days in training",
            _against_group("rows"),
            _rows,
        ),
        Feature(
            "statements_vs_group",
            "spreads",
            "statements today so far against the group's account-days in training",
            _against_group("statements"),
            _statements,
        ),
    ),
)
