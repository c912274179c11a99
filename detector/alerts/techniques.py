"""MITRE ATT&CK techniques of an alert (https://attack.mitre.org, Enterprise).

A technique is said of what was seen, so that a SIEM can sort alerts; it is no proof of intent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detector.features.feature import FigureRow

#: A feature speaks where it is rarer than one honest day in a hundred. One in ten is enough for a
#: sentence, but would give almost every alert every technique: each has several features.
NOTABLE_SURPRISE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Technique:
    """``features`` are features of which one must speak, ``absent_features`` those of which none
    may.

    Without ``features``, any reading of records shows it.
    """

    id: str
    name: str
    features: tuple[str, ...] = ()
    absent_features: tuple[str, ...] = ()


TECHNIQUES: Final = (
    # Records were read out of a database: that is the technique itself.
    Technique("T1213.006", "Data from Information Repositories: Databases"),
    # The account is real, whoever uses it: from elsewhere, at other hours, or back from sleep.
    Technique(
        "T1078",
        "Valid Accounts",
        features=(
            "new_addresses",
            "new_networks",
            "foreign_networks",
            "new_networks_lately",
            "foreign_networks_lately",
            "addresses_vs_own",
            "strange_hours",
            "idle_days",
            "idle_lately",
        ),
    ),
    # Paging: each statement stays as large as ever, so as not to stand out, and the sum grows.
    Technique(
        "T1030",
        "Data Transfer Size Limits",
        features=tuple(
            f"{measure}_{window}"
            for measure in ("rows", "log_rows", "statements")
            for window in ("fast", "slow", "month")
        ),
        absent_features=("largest_vs_own", "length_vs_own"),
    ),
    # A program at work: exports, more statements in an hour than a person's, no hour of rest, even
    # steps.
    Technique(
        "T1020",
        "Automated Exfiltration",
        features=(
            "exports_vs_own",
            "unknown_vs_own",
            "hours_vs_own",
            "peak_vs_own",
            "unbroken_vs_own",
            "even_vs_own",
        ),
    ),
)


def matching_techniques(row: FigureRow) -> list[dict[str, str]]:
    """Id and name of each technique that the row of an alert shows."""
    return [{"id": each.id, "name": each.name} for each in TECHNIQUES if _is_match(each, row)]


def _is_match(technique: Technique, row: FigureRow) -> bool:
    if not (row["rows"] or row["unknown"]):
        return False
    if not technique.features:
        return True
    return any(_is_notable(name, row) for name in technique.features) and not any(
        _is_notable(name, row) for name in technique.absent_features
    )


def _is_notable(name: str, row: FigureRow) -> bool:
    # Null is not odd: addresses and tables have no hours, and a log may have no row counts.
    return (row.get(f"{name}_surprise") or 0.0) >= NOTABLE_SURPRISE
