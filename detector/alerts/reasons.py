"""Why, in words a person can act on: the oddest sentence of each family."""

from __future__ import annotations

from collections.abc import Sequence

from detector.alerts.impact import expected_records
from detector.core.formatting import count, quantity
from detector.features.aggregates import ACCOUNT, ADDRESS, OBJECT
from detector.features.feature import Family, FigureRow
from detector.features.peer_groups import OTHERS

#: A feature less surprising than one honest day in ten is not given as a reason.
MIN_SURPRISE = 1.0
MAX_REASONS = 5
#: What the first sentence says already.
HEADLINE_FEATURES = ("rows_vs_own", "log_rows_vs_own")
#: What does not read itself, and how others do.
PREPOSITIONS = {ADDRESS: "through", OBJECT: "from"}


def headline(row: FigureRow) -> str:
    """How much, on which day, against its own usual and, of an account, its group's largest.

    Figures of addresses and tables are without their busiest account, and that is said.
    """
    day = f"{row['day'].day} {row['day']:%b %Y}"
    records = quantity(row["rows"], "record")
    usual = f"its usual day is {count(expected_records(row))}"
    through = PREPOSITIONS.get(row["entity_kind"])
    if through:
        return f"{records} read {through} it on {day}, its busiest account left out; {usual}"
    unknown = " and an unknown number more" if row["unknown"] else ""
    words = f"read {records}{unknown} on {day}; {usual}"
    if row["entity_kind"] != ACCOUNT:
        return words
    if row["entity"] == OTHERS:
        words = f"accounts that nobody knows, too many to be judged one by one, {words}"
    return f"{words}, its group's largest is {count(row['rows_group_largest'])}"


def explain(row: FigureRow, families: Sequence[Family]) -> list[str]:
    """The headline, then what else is odd, oddest first; one sentence per family."""
    said = []
    for family in families:
        odd = [
            (row[f"{feature.name}_surprise"], feature)
            for feature in family.features
            if feature.name not in HEADLINE_FEATURES and row[feature.name] is not None
        ]
        if not odd:
            continue
        surprise, feature = max(odd, key=lambda pair: pair[0])
        if surprise >= MIN_SURPRISE:
            said.append((-surprise, family.name, feature.describe(row)))
    sentences = [words for _, _, words in sorted(said)[: MAX_REASONS - 1]]
    addresses = row["new_addresses_names"] or []
    # Where to look first, even where new addresses are too common to be surprising.
    if addresses and not any(addresses[0] in words for words in sentences):
        sentences.append(f"first time in four weeks from {', '.join(addresses[:3])}")
    return [headline(row), *sentences]
