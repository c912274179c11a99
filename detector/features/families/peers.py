"""How much was read today, against a day of the entity's peers in training."""

import polars as pl

from detector.features.feature import Family, Feature, Figures, against_group
from detector.phrases import count, counted

#: An entity with fewer days behind it is new: it has no own usual day yet.
NEW = 10


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


def _new(row: Figures) -> str:
    return f"new, and already above its group: {_rows(row)}"


FAMILY = Family(
    "peers",
    (
        Feature(
            "rows_vs_group",
            "spreads",
            "records read today so far against the group's days in training",
            against_group("rows"),
            _rows,
        ),
        Feature(
            "log_rows_vs_group",
            "spreads",
            "sum of log1p(rows) today so far against the group's days in training",
            against_group("log_rows"),
            _rows,
        ),
        Feature(
            "statements_vs_group",
            "spreads",
            "statements today so far against the group's days in training",
            against_group("statements"),
            _statements,
        ),
        Feature(
            "new_vs_group",
            "spreads",
            "the same of an entity with fewer than ten days behind it",
            pl.when(pl.col("days") + pl.col("past_days") < NEW).then(
                pl.max_horizontal(against_group("log_rows"), against_group("rows"))
            ),
            _new,
        ),
    ),
)
