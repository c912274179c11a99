"""What was read: tables and programs not seen with the account for four weeks, and how many."""

from collections.abc import Callable

import polars as pl

from detector.core.formatting import count, names
from detector.features.feature import Family, Feature, Figures, standardised


def _objects(row: Figures) -> str:
    return f"first time in four weeks in {names(row['new_objects_names'])}"


def _applications(row: Figures) -> str:
    return f"first time in four weeks by {names(row['new_applications_names'])}"


def _lately(_: Figures) -> str:
    return "tables or programs of the past two weeks that it did not use before"


def _people(measure: str, when: str = "") -> Callable[[Figures], str]:
    def says(row: Figures) -> str:
        # Of a log that names nobody there are no such figures.
        read, usual = count(row.get(measure)), count(row.get(f"{measure}_usual"))
        return f"read the files of {read} different people{when}; {usual} expected"

    return says


def _others(row: Figures) -> str:
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
            _objects,
        ),
        Feature(
            "new_objects_lately",
            "nats",
            "the same of the past two weeks",
            pl.col("new_objects_lately"),
            _lately,
        ),
        Feature(
            "new_applications",
            "nats",
            "programs first seen with the account today, each by how few of its group use it",
            pl.col("new_applications"),
            _applications,
        ),
        Feature(
            "new_applications_lately",
            "nats",
            "the same of the past two weeks",
            pl.col("new_applications_lately"),
            _lately,
        ),
        Feature(
            "others_vs_own",
            "spreads",
            "tables an account touched today, or accounts behind another entity, against the usual",
            standardised("others"),
            _others,
        ),
        Feature(
            "subjects_vs_own",
            "spreads",
            "different people whose records were read today so far against the own usual full day",
            pl.when(pl.col("subjects") > 0).then(standardised("subjects")),
            _people("subjects"),
            rare=True,
        ),
        Feature(
            "month_subjects_vs_own",
            "spreads",
            "the same of four weeks, today with them, against the own four weeks in training",
            pl.when(pl.col("month_subjects") > 0).then(standardised("month_subjects")),
            _people("month_subjects", " in four weeks"),
            rare=True,
        ),
    ),
)
