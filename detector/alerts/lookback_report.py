"""What a lookback found, for people and for machines: who to look at before a model is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from detector.alerts.reasons import explain
from detector.core.formatting import quantity
from detector.features.feature import Family

#: Reasons of each account that are shown.
MAX_REASONS: Final = 3


def to_dicts(found: pl.DataFrame, families: Sequence[Family], most: int) -> list[dict[str, Any]]:
    """The first ``most`` accounts of ``lookback``, as JSON, the furthest out first."""
    return [
        {
            "account": row["entity"],
            "group": row["group"],
            "suspect": row["suspect"],
            "surprise": round(row["surprise"], 3),
            "forest_surprise": round(row["forest"], 3),
            "since": row["since"].isoformat(),
            "worst_day": row["day"].isoformat(),
            "records_in_four_weeks": _round_to_int(row["month_records"]),
            "records_of_peers": _round_to_int(row["month_records_of_peers"]),
            "reasons": explain(row, families)[: MAX_REASONS + 1],
        }
        for row in found.head(most).iter_rows(named=True)
    ]


def lines(shown: Sequence[dict[str, Any]]) -> list[str]:
    """A block for each, for a screen."""
    found = []
    for place, each in enumerate(shown, start=1):
        mark = "" if each["suspect"] else " (within what some of so many do by chance)"
        out = quantity(each["records_in_four_weeks"], "record")
        peers = quantity(each["records_of_peers"], "record")
        found += [
            (
                f"{place:>2}. {each['account']} ({each['group']}), since {each['since']}: {out} in "
                f"the four weeks to {each['worst_day']}, its peers {peers}{mark}"
            ),
            f"    {'; '.join(each['reasons'])}",
        ]
    return found


def _round_to_int(number: float | None) -> int | None:
    return None if number is None else round(number)
