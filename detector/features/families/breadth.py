"""Where from and what: addresses and objects not seen with the account for four weeks."""

import polars as pl

from detector.features.feature import Family, Feature, Figures, standardised
from detector.phrases import count


def _new(what: str, noun: str) -> Feature:
    def says(row: Figures) -> str:
        names = row[f"new_{what}_names"] or []
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        return f"first time in four weeks {noun} {shown or count(row[f'new_{what}'])}"

    return Feature(
        f"new_{what}",
        "count",
        f"{what} first seen with the account today, none in the 28 days before",
        pl.col(f"new_{what}").cast(pl.Float64),
        says,
    )


def _objects(row: Figures) -> str:
    return f"touched {count(row['objects'])} tables; its usual day is {count(row['objects_usual'])}"


FAMILY = Family(
    "breadth",
    (
        _new("addresses", "from"),
        _new("objects", "in"),
        Feature(
            "objects_vs_own",
            "spreads",
            "distinct tables touched today so far against the own usual full day",
            standardised("objects"),
            _objects,
        ),
    ),
)
