"""What was read: tables and programs not seen with the account for four weeks, and how many."""

from collections.abc import Callable

import polars as pl

from detector.core.formatting import count, name_list
from detector.features.feature import Family, Feature, FigureRow, z_score


def _describe_objects(row: FigureRow) -> str:
    return f"first time in four weeks in {name_list(row['new_objects_names'])}"


def _describe_applications(row: FigureRow) -> str:
    return f"first time in four weeks by {name_list(row['new_applications_names'])}"


def _describe_recent(_: FigureRow) -> str:
    return "tables or programs of the past two weeks that it did not use before"


def _describe_subjects(measure: str, when: str = "") -> Callable[[FigureRow], str]:
    def says(row: FigureRow) -> str:
        # Of a log that names nobody there are no such figures.
        read, usual = count(row.get(measure)), count(row.get(f"{measure}_usual"))
        return f"read the files of {read} different people{when}; {usual} expected"

    return says


def _describe_others(row: FigureRow) -> str:
    what = "tables touched" if row["entity_kind"] == "account" else "accounts"
    return f"{count(row['others'])} {what}; its usual day has {count(row['others_usual'])}"


FAMILY = Family(
    "breadth",
    (
        Feature(
            "new_objects",
            "nats",
            "tables first seen with the account today, each by how few of its group use it",
            pl.col("new_objects"),
            _describe_objects,
        ),
        Feature(
            "new_objects_lately",
            "nats",
            "the same of the past two weeks",
            pl.col("new_objects_lately"),
            _describe_recent,
        ),
        Feature(
            "new_applications",
            "nats",
            "programs first seen with the account today, each by how few of its group use it",
            pl.col("new_applications"),
            _describe_applications,
        ),
        Feature(
            "new_applications_lately",
            "nats",
            "the same of the past two weeks",
            pl.col("new_applications_lately"),
            _describe_recent,
        ),
        Feature(
            "others_vs_own",
            "spreads",
            "tables an account touched today, or accounts behind another entity, against the usual",
            z_score("others"),
            _describe_others,
        ),
        Feature(
            "subjects_vs_own",
            "spreads",
            "different people whose records were read today so far against the own usual full day",
            pl.when(pl.col("subjects") > 0).then(z_score("subjects")),
            _describe_subjects("subjects"),
            is_rare=True,
        ),
        Feature(
            "month_subjects_vs_own",
            "spreads",
            "the same of four weeks, today with them, against the own four weeks in training",
            pl.when(pl.col("month_subjects") > 0).then(z_score("month_subjects")),
            _describe_subjects("month_subjects", " in four weeks"),
            is_rare=True,
        ),
    ),
)
