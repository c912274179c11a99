"""What a group did so far is what its members did so far, without the one who did most."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.core.schema import TOUCHED_VALUES, empty
from detector.core.settings import Settings
from detector.features import aggregates
from detector.features.aggregates import (
    EXCLUDING_LARGEST,
    GROUP,
    GROUP_SUMS,
    HOURLY_AGGREGATES,
    SLOTS,
)

GROUPS = pl.DataFrame({"account": ["ann", "bob", "cy", "di"], "group": ["x", "x", "x", "y"]})
#: Account, slot, and how much of everything: departures begin below nothing.
HOURS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cy", "di"]), st.integers(0, SLOTS - 1), st.integers(0, 50)
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda each: each[:2],
)


def hourly(hours: list[tuple[str, int, int]]) -> pl.DataFrame:
    some = pl.DataFrame(hours, schema=["entity", "slot", "much"], orient="row")
    first = pl.col("slot") == pl.col("slot").min().over("entity")
    return (
        some.with_columns(
            pl.lit("2024-03-04").str.to_date().alias("day"),
            *(pl.col("much").cast(pl.Float64).alias(name) for name in EXCLUDING_LARGEST),
            *(pl.lit(1.0).alias(name) for name in HOURLY_AGGREGATES if name not in EXCLUDING_LARGEST
              and name not in some.columns and name != "day"),
        )
        .with_columns(departure=pl.when(first).then(-30.0).otherwise("much"))
        .select(pl.col(name).cast(kind) for name, kind in HOURLY_AGGREGATES.items())
        .sort("entity", "day", "slot")
    )  # fmt: skip


def so_far(frame: pl.DataFrame, name: str, entity: str, slot: int) -> float | None:
    mine = frame.filter(pl.col("entity") == entity, pl.col("slot") <= slot)
    return mine[name].sum() if len(mine) else None


@pytest.mark.slow
@given(HOURS)
def test_at_every_hour_it_is_the_members_sums_less_the_largest(hours) -> None:
    each = hourly(hours)
    groups = aggregates.hourly_by_group(each, GROUPS)
    for group, slot in groups.select("entity", "slot").iter_rows():
        members = GROUPS.filter(pl.col("group") == group)["account"]
        for name in EXCLUDING_LARGEST:
            sums = [so_far(each, name, member, slot) for member in members]
            there = [total for total in sums if total is not None]
            assert so_far(groups, name, group, slot) == pytest.approx(sum(there) - max(there))
        at_work = each.filter(
            pl.col("entity").is_in(members.implode()), pl.col("slot") == slot
        ).height
        row = groups.filter(pl.col("entity") == group, pl.col("slot") == slot)
        assert row["hours"].item() == (at_work > 1)


@pytest.mark.slow
@given(HOURS, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_members_in_any_parts_give_the_group(hours, part_of) -> None:
    each = hourly(hours)
    sums = aggregates.SumAccumulator()
    for part in range(4):
        names = [name for name, of in zip(GROUPS["account"], part_of, strict=True) if of == part]
        sums.add(each.filter(pl.col("entity").is_in(names)), GROUPS, empty(TOUCHED_VALUES))
    assert sums.hourly(GROUP, Settings()).equals(aggregates.hourly_by_group(each, GROUPS))
    assert set(GROUP_SUMS) - set(EXCLUDING_LARGEST) == {"others"}
