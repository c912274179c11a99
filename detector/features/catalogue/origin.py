"""Where from: addresses and networks not seen with the account for four weeks, and how many."""

import polars as pl

from detector.core.formatting import count, name_list
from detector.features.feature import Family, Feature, FigureRow, z_score


def _describe_new(row: FigureRow) -> str:
    return f"first time in four weeks from {name_list(row['new_addresses_names'])}"


def _describe_foreign(row: FigureRow) -> str:
    return f"from {name_list(row['new_addresses_names'])}, a network nobody here used before"


def _describe_recent(_: FigureRow) -> str:
    return "in the past two weeks from networks that it did not come from before"


def _describe_addresses(row: FigureRow) -> str:
    return f"from {count(row['addresses'])} addresses; usually {count(row['addresses_usual'])}"


FAMILY = Family(
    "origin",
    (
        Feature(
            "new_addresses",
            "count",
            "addresses first seen with the account today; shared ones and those of a site that "
            "was renumbered count less",
            pl.col("new_addresses"),
            _describe_new,
        ),
        Feature(
            "new_networks",
            "count",
            "the same of their networks",
            pl.col("new_networks"),
            _describe_new,
        ),
        Feature(
            "foreign_networks",
            "count",
            "networks that nobody in the organisation used before the past two weeks",
            pl.col("foreign_networks"),
            _describe_foreign,
        ),
        Feature(
            "new_networks_lately",
            "count",
            "networks first seen with the account in the past two weeks",
            pl.col("new_networks_lately"),
            _describe_recent,
        ),
        Feature(
            "foreign_networks_lately",
            "count",
            "of which nobody in the organisation used before",
            pl.col("foreign_networks_lately"),
            _describe_recent,
        ),
        Feature(
            "addresses_vs_own",
            "spreads",
            "addresses today so far against the own usual day",
            z_score("addresses"),
            _describe_addresses,
        ),
    ),
)
