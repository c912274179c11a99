"""How much was read today, against the entity's own usual day."""

import math

from detector.core.formatting import count, quantity
from detector.features.feature import Family, Feature, FigureRow, z_score


def _describe_rows(row: FigureRow) -> str:
    return f"read {quantity(row['rows'], 'record')}; its usual day is {count(row['rows_usual'])}"


def _describe_statements(row: FigureRow) -> str:
    return (
        f"ran {quantity(row['statements'], 'statement')}; "
        f"its usual day is {count(row['statements_usual'])}"
    )


def _describe_largest(row: FigureRow) -> str:
    return (
        f"one result of {quantity(row['largest'], 'record')}; "
        f"its usual largest is {count(row['largest_usual'])}"
    )


def _describe_bytes(row: FigureRow) -> str:
    return f"read {quantity(row['bytes'], 'byte')}; its usual day is {count(row['bytes_usual'])}"


def _describe_peak(row: FigureRow) -> str:
    return (
        f"{quantity(row['peak'], 'statement')} within an hour; "
        f"its usual busiest hour has {count(row['peak_usual'])}"
    )


def _describe_length(row: FigureRow) -> str:
    mean, usual = (
        count(None if level is None else math.expm1(level))
        for level in (row["length_log"], row["length_centre"])
    )
    return f"lists of about {mean} records; its usual are of {usual}"


def _describe_departure(row: FigureRow) -> str:
    members = quantity(row["others"], "member")
    return f"most of {members} at work read more than each of them usually does"


FAMILY = Family(
    "volume",
    (
        Feature(
            "rows_vs_own",
            "spreads",
            "records read today so far against the own usual full day",
            z_score("rows"),
            _describe_rows,
            is_sufficient=True,
        ),
        Feature(
            "statements_vs_own",
            "spreads",
            "statements today so far against the own usual full day",
            z_score("statements"),
            _describe_statements,
            is_sufficient=True,
        ),
        Feature(
            "log_rows_vs_own",
            "spreads",
            "sum of log1p(rows) of today's statements against the own usual full day",
            z_score("log_rows"),
            _describe_rows,
            is_sufficient=True,
        ),
        Feature(
            "largest_vs_own",
            "spreads",
            "largest single result today against the own usual largest",
            z_score("largest"),
            _describe_largest,
            is_sufficient=True,
        ),
        Feature(
            "bytes_vs_own",
            "spreads",
            "bytes read today so far against the own usual full day",
            z_score("bytes"),
            _describe_bytes,
            is_sufficient=True,
        ),
        Feature(
            "peak_vs_own",
            "spreads",
            "most statements in one hour today against the own usual busiest hour",
            z_score("peak"),
            _describe_peak,
            is_sufficient=True,
        ),
        Feature(
            "length_vs_own",
            "spreads",
            "highest mean log1p(rows) of a list today so far (few: drawn to the usual), against it",
            z_score("length"),
            _describe_length,
            is_sufficient=True,
        ),
        Feature(
            "departure_vs_own",
            "spreads",
            "how far a group's members together lie above the own usual day of each",
            z_score("departure"),
            _describe_departure,
            is_sufficient=True,
        ),
    ),
)
