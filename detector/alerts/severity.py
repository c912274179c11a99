"""Severity by impact and surprise, with bounds that follow what the organisation reads in a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT

SEVERITY_ORDER: Final = ("low", "medium", "high", "critical")
#: Usual days of one account that make records out medium, high and critical. A thief of ten times
#: the usual is medium on the first day and high on the third.
BASELINE_DAYS: Final = (4, 20, 200)
#: No bound stands lower or higher, however little or much an organisation reads: a theft of
#: hundreds of thousands is critical anywhere.
MIN_BOUNDS: Final = (100, 500, 5_000)
MAX_BOUNDS: Final = (5_000, 25_000, 250_000)
#: The bounds where nothing was learned of how much is usual.
FALLBACK_RECORDS: Final = (1_000, 10_000, 100_000)
#: Factors of ten above the threshold from which the surprise raises the severity a step.
EXTREME_SURPRISE: Final = 3.0
#: Shares of a table that raise the severity a step each, once the records out are medium.
TABLE_SHARES: Final = (0.01, 0.1)
HOURS_PER_DAY: Final = 24
MAX_RECORDS: Final = 2**53


@dataclass(frozen=True, slots=True)
class Bounds:
    """Records out from which an alert is ``medium``, ``high`` and ``critical``."""

    medium: float
    high: float
    critical: float

    @classmethod
    def from_settings(cls, settings: Settings, levels: pl.DataFrame) -> Bounds:
        """Those of the settings; else from the usual day of the median account in ``levels``.

        The median is of people, where people are more than services: a few services that read
        millions do not move it.
        """
        usual = _median_baseline(levels)
        learned = [
            min(max(days * usual, low), high) if usual is not None else unknown
            for days, low, high, unknown in zip(
                BASELINE_DAYS, MIN_BOUNDS, MAX_BOUNDS, FALLBACK_RECORDS, strict=True
            )
        ]
        impact = settings.impact
        given = (impact.medium, impact.high, impact.critical)
        # A bound that is set moves the defaults beside it rather than contradict them.
        below = [max((each or 0 for each in given[:place]), default=0) for place in range(3)]
        above = [
            min((each or MAX_RECORDS for each in given[place:]), default=MAX_RECORDS)
            for place in range(3)
        ]
        medium, high, critical = (
            float(own if own is not None else min(max(default, low), most))
            for own, default, low, most in zip(given, learned, below, above, strict=True)
        )
        return cls(medium, high, critical)


#: What an alert is measured by where no model says what is usual.
DEFAULT_BOUNDS: Final = Bounds(*map(float, FALLBACK_RECORDS))


@dataclass(frozen=True, slots=True)
class Impact:
    """What an alert shows: ``records`` out, statements of ``unknown`` size, the pace in records
    ``records_per_hour``, the ``table_size`` of the table where the settings name it, whether a
    table is ``is_sensitive``, and factors of ten ``excess_surprise`` the threshold.
    """

    records: float
    unknown_statements: int = 0
    records_per_hour: float = 0.0
    table_size: int | None = None
    is_sensitive: bool = False
    excess_surprise: float = 0.0


def assess_severity(impact: Impact, bounds: Bounds = DEFAULT_BOUNDS) -> str:
    """One of LADDER. An unknown number of records is never taken for a small one.

    A pace that takes a critical amount within a day is high at least.
    """
    steps = (bounds.medium, bounds.high, bounds.critical)
    place = sum(impact.records >= least for least in steps)
    if impact.table_size and impact.records >= bounds.medium:
        place += sum(impact.records >= share * impact.table_size for share in TABLE_SHARES)
    if impact.unknown_statements:
        place = max(place, SEVERITY_ORDER.index("medium"))
    if impact.records_per_hour * HOURS_PER_DAY >= bounds.critical:
        place = max(place, SEVERITY_ORDER.index("high"))
    place += impact.is_sensitive + (impact.excess_surprise >= EXTREME_SURPRISE)
    return SEVERITY_ORDER[min(place, len(SEVERITY_ORDER) - 1)]


def highest_severity(severities: list[str]) -> str:
    """The highest of some severities."""
    return max(severities, key=SEVERITY_ORDER.index)


def _median_baseline(levels: pl.DataFrame) -> float | None:
    """Records of a usual working day of the median account; None where nothing tells."""
    if not {"entity_kind", "rows_centre"} <= set(levels.columns):
        return None
    found = levels.filter(pl.col("entity_kind") == ACCOUNT)["rows_centre"].fill_nan(None)
    usual = (found.exp() - 1).drop_nulls().median()
    return float(usual) if isinstance(usual, int | float) and usual > 0 else None
