"""Whatever is done to a file of a model, its checksum mended, is refused in a line or harmless.

A checksum is no signature: whoever can write the folder can mend it.
"""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from model_folders import parquet, refused, replaced, rewrite
from properties import examples
from small_office import FAMILIES

from detector.core.errors import ModelError
from detector.model import store
from detector.model.validation import FRAME_RULES, validate

COLUMNS = [(name, column) for name, frame in FRAME_RULES.items() for column in frame.schema]
FLOATS = [(name, each) for name, each in COLUMNS if FRAME_RULES[name].schema[each] == pl.Float64]
SPREADS = [(name, each) for name, each in FLOATS if each.endswith(("_spread", "_within"))]
#: No example is worth waiting for: each is a file or two.
QUICK = hypothesis_settings(
    max_examples=examples(15),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def frames(saved):
    return {name: pl.read_parquet(saved / f"{name}.parquet") for name in FRAME_RULES}


def _unfit(name, frame):
    with pytest.raises(ValueError, match=f"{name}.parquet"):
        validate(name, frame)


def _set(frame, column, value, row):
    """The frame with one value changed."""
    at = pl.int_range(pl.len()) == row % len(frame)
    kind = frame.schema[column]
    return frame.with_columns(pl.when(at).then(pl.lit(value, kind)).otherwise(column).alias(column))


@pytest.mark.parametrize("name", FRAME_RULES)
def test_a_frame_that_was_saved_is_what_it_should_be(name, frames):
    assert len(frames[name])
    assert validate(name, frames[name]).equals(frames[name])
    assert validate(name, frames[name].select(reversed(frames[name].columns))).equals(frames[name])


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_column_that_is_missing_or_of_another_type_is_refused_by_name(name, column, frames):
    others = (pl.Binary, pl.Int16, pl.Float32, pl.Datetime)
    for other in (
        frames[name].drop(column),
        frames[name].rename({column: f"{column}_"}),
        *(frames[name].with_columns(pl.lit(None, kind).alias(column)) for kind in others),
    ):
        with pytest.raises(ValueError, match=f"{name}.parquet has other columns .*{column}"):
            validate(name, other)


@pytest.mark.parametrize("name", FRAME_RULES)
def test_a_column_more_is_refused(name, frames):
    _unfit(name, frames[name].with_columns(more=1))


@pytest.mark.parametrize("name", FRAME_RULES)
@pytest.mark.parametrize("other", FRAME_RULES)
def test_a_frame_in_the_place_of_another_is_refused(name, other, frames):
    if name != other:
        _unfit(name, frames[other])


@given(st.sampled_from(COLUMNS), st.integers(0, 10_000))
@QUICK
def test_a_null_is_refused_where_none_belongs(frames, where, row):
    name, column = where
    if column not in FRAME_RULES[name].nullable:
        _unfit(name, _set(frames[name], column, None, row))


@given(st.sampled_from(FLOATS), st.sampled_from([float("nan"), float("inf"), float("-inf")]))
@QUICK
def test_a_number_that_is_none_is_refused(frames, where, number):
    """NaN in one level would make the model deaf to that entity without a word."""
    name, column = where
    if name in ("forests", "trees"):  # see trees.checked, and the folder below
        return
    known = frames[name].with_row_index("row").filter(pl.col(column).is_finite())
    if known.is_empty():
        number = float("inf")
        known = frames[name].with_row_index("row")
    _unfit(name, _set(frames[name], column, number, known["row"][-1]))


@pytest.mark.parametrize(("name", "column"), SPREADS)
def test_a_spread_of_nothing_is_refused(name, column, frames):
    """It is divided by."""
    known = frames[name].with_row_index("row").filter(pl.col(column).is_finite())
    if len(known):
        _unfit(name, _set(frames[name], column, 0.0, known["row"][0]))


@pytest.mark.parametrize("name", [name for name, frame in FRAME_RULES.items() if frame.key])
def test_a_row_twice_is_refused(name, frames):
    _unfit(name, pl.concat([frames[name], frames[name].tail(1)]))


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("levels", "entity_kind", "planet"),
        ("levels", "days", -1),
        ("peers", "entities", -1),
        ("seen", "slot", 99),
        ("seen", "slot", -1),
        ("habits", "days", -1),
        ("used", "members", -1),
        ("forests", "entity_kind", "planet"),
        ("trees", "entity_kind", "planet"),
        ("oddness", "entity_kind", "planet"),
        ("oddness", "usual", 2.1),
    ],
)
def test_values_that_cannot_be_are_refused(name, column, value, frames):
    _unfit(name, _set(frames[name], column, value, 3))


def test_peers_without_those_that_stand_in_for_the_unknown_are_refused(frames):
    peers = frames["peers"]
    _unfit("peers", peers.filter(pl.col("group").is_not_null()))
    _unfit("peers", peers.filter(pl.col("entity_kind") != "object"))
    _unfit("habits", frames["habits"].drop_nulls("entity"))


@pytest.mark.parametrize("name", FRAME_RULES)
def test_an_unfit_frame_is_refused_with_the_folder(name, folder, frames):
    replaced(folder, f"{name}.parquet", parquet(frames[name].drop(frames[name].columns[-1])))
    assert f"{name}.parquet has other columns" in refused(folder)


@pytest.mark.parametrize(("name", "column"), [("forests", "length"), ("trees", "value")])
def test_trees_that_hold_no_numbers_are_refused(name, column, folder, frames):
    replaced(folder, f"{name}.parquet", parquet(_set(frames[name], column, float("nan"), 0)))
    assert "numbers that are none" in refused(folder)


def _loads_or_is_refused(folder):
    try:
        store.load(folder, FAMILIES)
    except ModelError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it may load as well


DATA = [f"{name}.parquet" for name in FRAME_RULES]


@given(st.sampled_from(DATA), st.sampled_from(["flip", "cut", "blank"]), st.integers(0, 2**32))
@QUICK
def test_bytes_that_were_changed_are_refused_or_harmless(saved, tmp_path, name, harm, seed):
    rng = np.random.default_rng(seed)
    folder = shutil.copytree(saved, tmp_path / "model", dirs_exist_ok=True)
    data = bytearray((saved / name).read_bytes())
    at = int(rng.integers(len(data)))
    if harm == "flip":
        data[at] ^= 1 << int(rng.integers(8))
    elif harm == "cut":
        del data[at:]
    else:
        data[at : at + 64] = bytes(64)
    replaced(folder, name, bytes(data))
    _loads_or_is_refused(folder)


def _harmed(head, path, value):
    *way, last = path
    for step in way:
        head = head[step]
    if value == "gone":
        del head[last]
    else:
        head[last] = value


PLACES = [
    *((key,) for key in (
        "features", "settings", "first_day", "held_out_from", "held_out_days", "accounts",
        "rows_known", "alerts_per_day", "threshold", "contaminated", "suspects", "judges", "id",
    )),
    ("judges", "group"), ("judges", "group", "joint"), ("judges", "group", "tails"),
    ("judges", "group", "tails", 0), ("judges", "group", "joint", "scale"),
    ("judges", "group", "joint", "values"), ("judges", "group", "forest_tail", "start_share"),
]  # fmt: skip


@given(
    st.sampled_from(PLACES),
    st.sampled_from(["gone", None, float("nan"), -1, [], {}, "word", [None], {"a": 1}]),
)
@QUICK
def test_a_head_that_was_changed_is_refused_or_harmless(saved, tmp_path, place, value):
    folder = shutil.copytree(saved, tmp_path / "model", dirs_exist_ok=True)
    rewrite(folder, lambda head: _harmed(head, place, value))
    _loads_or_is_refused(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("threshold",), float("nan")),
        (("threshold",), "gone"),
        (("features",), "gone"),
        (("alerts_per_day",), -1),
        (("judges", "group", "tails"), []),
        (("judges", "group", "joint", "scale"), 0),
        (("judges", "group", "joint", "shares"), [1.0]),
        (("judges", "group", "joint", "start"), float("nan")),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(place, value, folder):
    rewrite(folder, lambda head: _harmed(head, place, value))
    assert "does not fit together" in refused(folder)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("feature", 1_000, "lead nowhere"),
        ("feature", -1, "lead nowhere"),
        ("left", 1_000_000, "lead nowhere"),
        ("length", -1.0, "no forest has"),
        ("tree", 1_000, "no forest has"),
    ],
)
def test_a_forest_that_cannot_be_is_refused(column, value, said, folder, frames):
    replaced(folder, "forests.parquet", parquet(_set(frames["forests"], column, value, 0)))
    assert said in refused(folder)
