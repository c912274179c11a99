"""What was read outside office hours, against what the account usually reads then."""

from detector.features.feature import Family, Feature, Figures, standardised
from detector.phrases import count, counted


def _off_rows(row: Figures) -> str:
    share = f", {row['off_rows'] / row['rows']:.0%} of its day" if row["rows"] else ""
    return (
        f"{counted(row['off_rows'], 'record')} outside office hours{share}; "
        f"it usually reads {count(row['off_rows_usual'])} then"
    )


def _off_statements(row: Figures) -> str:
    return (
        f"{counted(row['off_statements'], 'statement')} outside office hours; "
        f"it usually runs {count(row['off_statements_usual'])} then"
    )


FAMILY = Family(
    "rhythm",
    (
        Feature(
            "off_rows_vs_own",
            "spreads",
            "records read outside office hours today so far against the own usual",
            standardised("off_rows"),
            _off_rows,
        ),
        Feature(
            "off_statements_vs_own",
            "spreads",
            "statements outside office hours today so far against the own usual",
            standardised("off_statements"),
            _off_statements,
        ),
    ),
)
