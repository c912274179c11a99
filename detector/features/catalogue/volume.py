"""How much was read today, against the entity's own usual day."""

import math

from detector.core.formatting import count, counted
from detector.features.feature import Family, Feature, Figures, standardised


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


def _bytes(row: Figures) -> str:
    return f"read {counted(row['bytes'], 'byte')}; its usual day is {count(row['bytes_usual'])}"


def _peak(row: Figures) -> str:
    return (
        f"{counted(row['peak'], 'statement')} within an hour; "
        f"its usual busiest hour has {count(row['peak_usual'])}"
    )


def _length(row: Figures) -> str:
    mean, usual = (
        count(None if level is None else math.expm1(level))
        for level in (row["length_log"], row["length_centre"])
    )
    return f"lists of about {mean} records; its usual are of {usual}"


def _departure(row: Figures) -> str:
    members = counted(row["others"], "member")
    return f"most of {members} at work read more than each of them usually does"


FAMILY = Family(
    "volume",
    (
        Feature(
            "rows_vs_own",
            "spreads",
            "records read today so far against the own usual full day",
            standardised("rows"),
            _rows,
            alone=True,
        ),
        Feature(
            "statements_vs_own",
            "spreads",
            "statements today so far against the own usual full day",
            standardised("statements"),
            _statements,
            alone=True,
        ),
        Feature(
            "log_rows_vs_own",
            "spreads",
            "sum of log1p(rows) of today's statements against the own usual full day",
            standardised("log_rows"),
            _rows,
            alone=True,
        ),
        Feature(
            "largest_vs_own",
            "spreads",
            "largest single result today against the own usual largest",
            standardised("largest"),
            _largest,
            alone=True,
        ),
        Feature(
            "bytes_vs_own",
            "spreads",
            "bytes read today so far against the own usual full day",
            standardised("bytes"),
            _bytes,
            alone=True,
        ),
        Feature(
            "peak_vs_own",
            "spreads",
            "most statements in one hour today against the own usual busiest hour",
            standardised("peak"),
            _peak,
            alone=True,
        ),
        Feature(
            "length_vs_own",
            "spreads",
            "highest mean log1p(rows) of a list today so far (few: drawn to the usual), against it",
            standardised("length"),
            _length,
            alone=True,
        ),
        Feature(
            "departure_vs_own",
            "spreads",
            "how far a group's members together lie above the own usual day of each",
            standardised("departure"),
            _departure,
            alone=True,
        ),
    ),
)
