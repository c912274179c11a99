"""What an alerted entity touched most on its day, and which accounts stand behind it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, TypeAlias, TypedDict

import polars as pl

from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT

#: Entity kind, entity, day.
EntityDay: TypeAlias = tuple[str, str, date]
#: Entity kind, entity, hour: a message's key.
EntityHour: TypeAlias = tuple[str, str, datetime]


class TopValue(TypedDict):
    """One of the tables, addresses or accounts behind most of what was read."""

    name: str
    statements: int
    rows: int


#: Per dimension, the largest first.
TopEntities: TypeAlias = dict[EntityHour, dict[str, list[TopValue]]]

ENTITY_DAY_KEYS: Final = ("entity_kind", "entity", "day")
MAX_VALUES: Final = 5


def rank_touched(ringing: pl.DataFrame, touched: pl.DataFrame, groups: pl.DataFrame) -> TopEntities:
    """By hour of ``ringing``, its largest objects, client addresses and accounts.

    ``groups`` is (account, group). The ledger sums what was touched by the day: values that first
    appeared after the alert's hour are left out, but the figures of the others are those of the day
    as far as the ledger has it.
    """
    asked = ringing.select(*ENTITY_DAY_KEYS, "hour")
    touched = touched.filter(pl.col("day").is_in(asked["day"].unique().implode()))
    members = pl.concat(
        [
            asked.filter(pl.col("entity_kind") == ACCOUNT).with_columns(account="entity"),
            asked.filter(pl.col("entity_kind") == GROUP).join(
                groups.select("account", entity="group"), on="entity"
            ),
        ]
    )
    used = members.join(
        touched.filter(pl.col("dimension").is_in([OBJECT, ADDRESS])), on=["account", "day"]
    )
    behind = asked.join(
        touched.rename({"dimension": "entity_kind", "value": "entity"}), on=list(ENTITY_DAY_KEYS)
    )
    # Each event has one address at most, but a join names several objects: addresses count once.
    of_groups = used.filter(
        pl.col("entity_kind") == GROUP, pl.col("dimension") == ADDRESS
    )  # fmt: skip
    columns = (*ENTITY_DAY_KEYS, "hour", "first_hour", "dimension", "value", "statements", "rows")
    each = pl.concat(
        [
            used.select(columns),
            *(
                part.with_columns(dimension=pl.lit(ACCOUNT), value="account").select(columns)
                for part in (behind, of_groups)
            ),
        ]
    )
    return _rank(each.filter(pl.col("first_hour") <= pl.col("hour")))


def _rank(each: pl.DataFrame) -> TopEntities:
    keys = ["entity_kind", "entity", "hour"]
    by = [*keys, "dimension", "value"]
    sums = (
        each.group_by(by)
        .agg(pl.col("statements", "rows").sum())
        .sort(
            [*keys, "dimension", "rows", "statements", "value"],
            descending=[False] * 4 + [True, True, False],
        )
        .group_by([*keys, "dimension"], maintain_order=True)
        .head(MAX_VALUES)
    )
    found: TopEntities = {}
    for row in sums.iter_rows(named=True):
        mine = found.setdefault((row["entity_kind"], row["entity"], row["hour"]), {})
        mine.setdefault(row["dimension"], []).append(
            {"name": row["value"], "statements": row["statements"], "rows": row["rows"]}
        )
    return found
