"""Which entries are one statement depends on the entries alone, not on where their log is cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from detector.core.schema import EVENTS
from detector.normalize import statement_merge
from detector.normalize.statement_merge import StatementMerger

START = datetime(2024, 3, 4, 10, tzinfo=UTC)
#: (seconds after the entry before, key).
Steps = list[tuple[int, str | None]]


def entries(steps: Steps) -> pl.DataFrame:
    """An entry a step; each names an object of its own and has as many rows as its number."""
    time, rows = START, []
    for number, (seconds, key) in enumerate(steps):
        time += timedelta(seconds=seconds)
        rows.append(
            {"timestamp": time, "account": "a", "object": str(number), "rows": number,
             "success": True, "key": key, "rank": number % 2}
        )  # fmt: skip
    return pl.DataFrame(rows, schema={**EVENTS, "key": pl.String(), "rank": pl.Int64()})


def folded(steps: Steps, cuts: list[int] | None = None, *, kept: bool = False) -> list[set[int]]:
    """The numbers of the entries of each event, the log cut at ``cuts``."""
    found, table, events = StatementMerger(), entries(steps), []
    places = sorted({0, len(steps), *(cut % (len(steps) + 1) for cut in cuts or [])})
    for one, other in pairwise(places):
        events.append(found.add(table[one:other]))
        if kept:
            found = StatementMerger.decode(found.encode())
    events.append(found.finish())
    rows = pl.concat(events).select("object", "other_objects", "rows").rows()
    numbers = [{int(name) for name in (first, *(others or []))} for first, others, _ in rows]
    assert [max(each) for each in numbers] == [count for *_, count in rows]
    return sorted(numbers, key=sorted)


def slowly(steps: Steps) -> list[set[int]]:
    """The rule, entry by entry."""
    open_: dict[str, tuple[set[int], int, int]] = {}
    found, clock = [], 0
    for number, (seconds, key) in enumerate(steps):
        clock += seconds
        for name, (numbers, last, time) in list(open_.items()):
            late = clock > time + statement_merge.MAX_WAIT_MICROSECONDS // 1_000_000
            if (
                late
                or number - last > statement_merge.MAX_ENTRY_DISTANCE
                or len(numbers) >= statement_merge.MAX_ENTRIES
            ):
                found.append(open_.pop(name)[0])
        if key is None:
            found.append({number})
            continue
        numbers, *_ = open_.get(key, (set(), 0, 0))
        open_[key] = ({*numbers, number}, number, clock)
    return sorted([*found, *(numbers for numbers, *_ in open_.values())], key=sorted)


STEPS = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 29, 60, 61, -40]), st.sampled_from([None, *"xyz"])),
    min_size=1, max_size=40,
)  # fmt: skip


@given(steps=STEPS, cuts=st.lists(st.integers(0, 99), max_size=8), kept=st.booleans())
@settings(max_examples=examples(150))
def test_pieces_cut_anywhere_fold_as_the_rule_says(
    steps: Steps, cuts: list[int], kept: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statement_merge, "MAX_ENTRY_DISTANCE", 5)
        patch.setattr(statement_merge, "MAX_ENTRIES", 4)
        assert folded(steps, cuts, kept=kept) == folded(steps) == slowly(steps)


def test_entries_stay_together_over_others_that_stand_between() -> None:
    steps: Steps = [(0, "x"), (0, "y"), (60, "x"), (0, None), (60, "x")]
    assert folded(steps) == [{0, 2, 4}, {1}, {3}]


def test_a_key_that_comes_again_later_is_another_statement() -> None:
    assert folded([(0, "x"), (61, "x")]) == [{0}, {1}]
    assert folded([(0, "x"), (61, None), (-61, "x")]) == [{0}, {1}, {2}]
    assert folded([(0, "x"), (-300, None), (0, "x")]) == [{0, 2}, {1}]


def test_a_key_that_never_ends_does_not_fill_the_memory() -> None:
    found = StatementMerger()
    table = entries([(0, "same")] * 1_000)
    for _ in range(9):
        found.add(table)
        assert len(found.pending) <= statement_merge.MAX_ENTRIES


@pytest.mark.parametrize(
    ("said", "wanted"),
    [([True, True], True), ([True, False], False), ([False, True], False), ([False] * 2, False),
     ([True, None], True), ([None, False], False)],
)  # fmt: skip
@pytest.mark.parametrize("cut", [0, 1])
def test_a_statement_succeeded_where_none_of_its_entries_failed(said, wanted, cut) -> None:
    """One that failed half way is a failure, whichever of its entries says so, in any piece."""
    table = entries([(0, "x")] * len(said)).with_columns(success=pl.Series(said, dtype=pl.Boolean))
    found = StatementMerger()
    events = [found.add(part) for part in (table[:cut], table[cut:])]
    assert pl.concat([*events, found.finish()])["success"].to_list() == [wanted]
