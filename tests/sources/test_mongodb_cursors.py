"""The events of cursors do not depend on where a log is cut; a query's shape has no values."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from detector.sources.mongodb import operations as mongodb
from detector.sources.mongodb.operations import OPERATIONS, Cursors

START = datetime(2024, 2, 5, 8, tzinfo=UTC)
#: Of an operation: seconds since the one before, its cursor (0: none), whether that is exhausted.
STEPS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 3), st.booleans()), min_size=1, max_size=25
)


def operations(steps: list[tuple[int, int, bool]]) -> pl.DataFrame:
    rows, now = [], START
    for number, (seconds, cursor, exhausted) in enumerate(steps):
        now += timedelta(seconds=seconds)
        rows.append({
            "timestamp": now, "account": "ann", "ns": "hr.person", "verb": "find",
            "cursor": str(cursor) if cursor else None, "returned": number, "copied": False,
            "exhausted": exhausted, "failed": False,
        })  # fmt: skip
    return pl.DataFrame(rows, schema=OPERATIONS)


def events(found: pl.DataFrame, cuts: list[int]) -> list[tuple]:
    cursors, out, skipped = Cursors(), [], 0
    places = sorted({0, found.height, *(cut % (found.height + 1) for cut in cuts)})
    for one, other in pairwise(places):
        told, more = cursors.add(found[one:other])
        out.append(told)
        skipped += more
        cursors = Cursors.decode(cursors.encode())
    told, more = cursors.add(found.clear(), last=True)
    whole = pl.concat([*out, told])
    assert whole.height + skipped + more == found.height
    return sorted(whole.select("timestamp", "rows", "object").rows(), key=repr)


@given(steps=STEPS, cuts=st.lists(st.integers(0, 100), max_size=6))
@settings(max_examples=examples(60))
def test_cut_anywhere_the_same_operations_are_one_event(
    steps: list[tuple[int, int, bool]], cuts: list[int]
) -> None:
    found = operations(steps)
    assert events(found, cuts) == events(found, [])


def test_a_cursor_that_was_idle_begins_anew() -> None:
    found = operations([(0, 1, False), (300, 1, False), (300, 1, False), (601, 1, False)])
    assert [rows for _, rows, _ in events(found, [])] == [0 + 1 + 2, 3]


TEXTS = st.text(max_size=6) | st.sampled_from(['":', ":)", "a,5", "[7", '\\":"', "x\\", "true"])
KEYS = st.text(max_size=6) | st.sampled_from(["a1", "$in", ":k", 'k":2', "n\\"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)  # fmt: skip


@given(JSON_VALUES, st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : "), (",\n", "\t:")]))
@settings(max_examples=examples(300))
def test_keys_without_values_are_those_that_one_pattern_keeps(value, separators):
    text = json.dumps(value, separators=separators, ensure_ascii=False)
    text = text.encode("utf-8", "replace").decode()
    pattern = (
        r'("(?:[^"\\]|\\.)*"\s*:)|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\btrue\b|\bfalse\b|\bnull\b'
    )
    kept = re.sub(pattern, lambda found: (found[1] or "") + "?", text)
    kept = re.sub(r"\s+", "", re.sub(r"\?(?:\s*,\s*\?)+", "?", kept))
    assert mongodb.query_shape(pl.Series([None, text, "{}"])).to_list() == [None, kept, "{}"]
