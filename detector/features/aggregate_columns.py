"""What is measured of an entity's hours: one table, from which all that handles them follows.

To add one, add it here and say in ``aggregates`` how the hours of an account give it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from detector.features.minute_aggregates import THOUSANDTHS

#: Floats that are kept as whole numbers, since sums of those do not depend on their order.
MILLIONTHS: Final = 1e6


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One measure. ``meaning`` is what an hour of an account counts.

    ``day`` says whether a day has the sum of its hours or the largest of them. ``group`` says what
    a group has of it: the sum over its members but the busiest, which is judged by itself, or over
    all of them; None where the members' say nothing together. ``per_member`` sums are divided by
    the members at work. Addresses and tables have it only with ``of_values``: their accounts are
    known by the day alone. ``unit`` is what one is divided by before its logarithm is taken.
    Only ``is_logged`` ones stand for themselves; the others are parts of one that does.
    """

    name: str
    meaning: str
    day: Literal["sum", "largest"] = "sum"
    group: Literal["without the busiest", "all"] | None = None
    per_member: bool = False
    of_values: bool = False
    unit: float = 1.0
    is_logged: bool = True


AGGREGATES: Final = (
    Aggregate(
        "statements", "statements that are no logins",
        group="without the busiest", per_member=True, of_values=True,
    ),
    Aggregate(
        "rows", "records read or exported",
        group="without the busiest", per_member=True, of_values=True,
    ),
    Aggregate(
        "log_rows", "log1p(records) of the statements that read them, in millionths",
        group="without the busiest", per_member=True, unit=MILLIONTHS,
    ),
    Aggregate("largest", "records of the largest statement", day="largest"),
    Aggregate("bytes", "bytes read", group="without the busiest", per_member=True),
    Aggregate("peak", "statements of the busiest hour", day="largest"),
    Aggregate("unbroken", "longest run of minutes with a statement in each", day="largest"),
    Aggregate("even", "how alike the steps between minutes are, in thousandths", unit=THOUSANDTHS),
    Aggregate(
        "unknown", "statements whose number of records the log does not give",
        group="without the busiest",
    ),
    Aggregate("exports", "statements that export", group="without the busiest"),
    Aggregate("others", "tables touched first; of other entities, their accounts", group="all"),
    Aggregate("addresses", "client addresses used first"),
    Aggregate("hours", "1: the hour was active"),
    Aggregate(
        "departure", "how far members lie above what is usual of each (of groups), in millionths",
        group="without the busiest",
    ),
    Aggregate(
        "lists", "statements that read two records or more",
        group="without the busiest", is_logged=False,
    ),
    Aggregate(
        "log_list_rows", "log1p(records) of those, in millionths",
        group="without the busiest", is_logged=False,
    ),
)  # fmt: skip


def _names(*chosen: bool) -> tuple[str, ...]:
    return tuple(each.name for each, is_one in zip(AGGREGATES, chosen, strict=True) if is_one)


AGGREGATE_COLUMNS: Final = _names(*(each.is_logged for each in AGGREGATES))
#: What the length of a mean list is made of.
LIST_COLUMNS: Final = _names(*(not each.is_logged for each in AGGREGATES))
HOURLY_COLUMNS: Final = (*AGGREGATE_COLUMNS, *LIST_COLUMNS)
#: Of which a day has the largest hour; of the others it has the sum.
MAX_COLUMNS: Final = _names(*(each.day == "largest" for each in AGGREGATES))
PER_MEMBER: Final = _names(*(each.per_member for each in AGGREGATES))
EXCLUDING_LARGEST: Final = _names(*(each.group == "without the busiest" for each in AGGREGATES))
GROUP_SUMS: Final = _names(*(each.group is not None for each in AGGREGATES))
VALUE_SUMS: Final = _names(*(each.of_values for each in AGGREGATES))
UNITS: Final = {each.name: each.unit for each in AGGREGATES}
