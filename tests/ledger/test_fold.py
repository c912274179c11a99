from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import START, events, in_parts, some_events
from polars.testing import assert_frame_equal
from properties import examples
from reaching import occurred, reaches

from detector.core.schema import DIMENSIONS, EVENTS, HOURLY_SUMS, TOUCHED_VALUES, check, empty
from detector.ledger.aggregate import (
    HOUR_KEYS,
    TOUCHED_KEYS,
    hourly_sums,
    merge_hourly_sums,
    merge_touched_values,
    touched_values,
)

ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu"]

quick = settings(max_examples=examples(60))


def sorted_hours(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(HOUR_KEYS)


def sorted_touched(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(TOUCHED_KEYS)


def has_sums(parts: list[pl.DataFrame], keys: tuple[str, ...]) -> bool:
    """Whether some key is in several parts, so that merging has something to add."""
    return bool(pl.concat(parts).select(pl.struct(keys).is_duplicated().any()).item())


@reaches(sums=0.4)
@quick
@given(in_parts(), st.randoms())
def test_hours_of_any_split_in_any_order_merge_into_the_hours_of_the_whole(logs, random):
    parts = [hourly_sums(log) for log in logs]
    occurred(sums=has_sums(parts, HOUR_KEYS))
    random.shuffle(parts)
    merged = merge_hourly_sums(pl.concat(parts))
    assert_frame_equal(sorted_hours(merged), sorted_hours(hourly_sums(pl.concat(logs))))


@reaches(sums=0.4)
@quick
@given(in_parts(), st.randoms(), st.sampled_from(ZONES))
def test_touched_of_any_split_in_any_order_merges_into_that_of_the_whole(logs, random, zone):
    parts = [touched_values(log, zone) for log in logs]
    occurred(sums=has_sums(parts, TOUCHED_KEYS))
    random.shuffle(parts)
    merged = merge_touched_values(pl.concat(parts))
    whole = touched_values(pl.concat(logs), zone)
    assert_frame_equal(sorted_touched(merged), sorted_touched(whole))


@quick
@given(some_events, st.randoms())
def test_the_order_of_rows_does_not_matter(log, random):
    order = list(range(log.height))
    random.shuffle(order)
    mixed = log[order]
    assert_frame_equal(sorted_hours(hourly_sums(mixed)), sorted_hours(hourly_sums(log)))
    assert_frame_equal(
        sorted_touched(touched_values(mixed, "UTC")), sorted_touched(touched_values(log, "UTC"))
    )


@quick
@given(some_events)
def test_no_statement_row_byte_or_failure_is_lost(log):
    hours = hourly_sums(log)
    assert hours["statements"].sum() == log.height
    assert hours["rows"].sum() == log["rows"].sum()
    assert hours["bytes"].sum() == log["bytes"].sum()
    assert hours["failures"].sum() == (~log["success"]).sum()
    assert hours["largest"].max() == log["rows"].max()
    touched = touched_values(log, "UTC")
    for name in DIMENSIONS[1:]:
        of_one = touched.filter(pl.col("dimension") == name)
        assert of_one["statements"].sum() == log[name].drop_nulls().len()
        assert of_one["rows"].sum() == log.filter(pl.col(name).is_not_null())["rows"].sum()


@quick
@given(some_events)
def test_objects_are_counted_once_for_each_statement_that_names_them(log):
    expected: dict[str, int] = {}
    for one in log.iter_rows(named=True):
        for name in {one["object"], *(one["other_objects"] or [])} - {None}:
            expected[name] = expected.get(name, 0) + 1
    touched = touched_values(log, "UTC").filter(pl.col("dimension") == "object")
    got = touched.group_by("value").agg(pl.col("statements").sum())
    assert dict(got.iter_rows()) == expected


@quick
@given(some_events, st.sampled_from(ZONES))
def test_categorical_text_gives_the_same_as_plain_text(log, zone):
    text = [name for name, kind in EVENTS.items() if kind == pl.String]
    coded = log.with_columns(pl.col(text).cast(pl.Categorical))
    assert_frame_equal(sorted_hours(hourly_sums(coded)), sorted_hours(hourly_sums(log)))
    assert_frame_equal(
        sorted_touched(touched_values(coded, zone)), sorted_touched(touched_values(log, zone))
    )


def test_a_known_log_gives_the_sums_worked_out_by_hand():
    log = events(
        {"at": 0.1, "rows": 3, "bytes": 10},
        {"at": 0.9, "rows": 5, "bytes": 20},
        {"at": 0.9, "rows": 1, "bytes": 2},
        {"at": 0.5, "rows": None},
        {"at": 0.5, "rows": None, "success": False},
        {"at": 1.0, "rows": None, "action": "login"},
    )
    got = sorted_hours(hourly_sums(log)).to_dicts()
    assert got == [
        {
            "hour": START,
            "account": "ann",
            "action": "read",
            "statements": 5,
            "rows": 9,
            "unknown_rows": 1,
            "largest": 5,
            "log_rows": 1_386_294 + 1_791_759 + 693_147,
            "lists": 2,
            "log_list_rows": 1_386_294 + 1_791_759,
            "bytes": 32,
            "failures": 1,
            "minutes": 1 << 6 | 1 << 30 | 1 << 54,
        },
        {
            "hour": START.replace(hour=9),
            "account": "ann",
            "action": "login",
            "statements": 1,
            "rows": 0,
            "unknown_rows": 0,
            "largest": None,
            "log_rows": 0,
            "lists": 0,
            "log_list_rows": 0,
            "bytes": 0,
            "failures": 0,
            "minutes": 1 << 0,
        },
    ]


@pytest.mark.parametrize(
    ("action", "success", "rows", "unknown"),
    [
        ("read", True, None, 1),
        ("export", True, None, 1),
        ("read", None, None, 1),
        ("read", True, 0, 0),
        ("read", False, None, 0),
        ("login", True, None, 0),
        ("schema", True, None, 0),
        ("write", True, None, 0),
    ],
)
def test_only_reads_that_succeeded_can_be_of_unknown_size(action, success, rows, unknown):
    log = events({"action": action, "success": success, "rows": rows})
    assert hourly_sums(log)["unknown_rows"].to_list() == [unknown]


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("UTC", datetime(2024, 3, 31, 23, 59, tzinfo=UTC), date(2024, 3, 31)),
        ("Europe/Paris", datetime(2024, 3, 30, 22, 59, tzinfo=UTC), date(2024, 3, 30)),
        ("Europe/Paris", datetime(2024, 3, 30, 23, 0, tzinfo=UTC), date(2024, 3, 31)),
        # Summer time began at 01:00 UTC that night, so the day ends an hour earlier.
        ("Europe/Paris", datetime(2024, 3, 31, 21, 59, tzinfo=UTC), date(2024, 3, 31)),
        ("Europe/Paris", datetime(2024, 3, 31, 22, 0, tzinfo=UTC), date(2024, 4, 1)),
        # It ended at 01:00 UTC: this day has 25 hours.
        ("Europe/Paris", datetime(2024, 10, 26, 22, 0, tzinfo=UTC), date(2024, 10, 27)),
        ("Europe/Paris", datetime(2024, 10, 27, 22, 59, tzinfo=UTC), date(2024, 10, 27)),
        # Midnight is at 18:15 UTC; the hour that began at 18:00 belongs to the day before.
        ("Asia/Kathmandu", datetime(2024, 3, 31, 18, 50, tzinfo=UTC), date(2024, 3, 31)),
        ("Asia/Kathmandu", datetime(2024, 3, 31, 19, 0, tzinfo=UTC), date(2024, 4, 1)),
        ("UTC", datetime(1969, 12, 31, 23, 30, tzinfo=UTC), date(1969, 12, 31)),
    ],
)
def test_a_statement_belongs_to_the_local_day_of_the_start_of_its_hour(zone, moment, day):
    log = events({"database": "hr"}).with_columns(pl.lit(moment).alias("timestamp"))
    touched = touched_values(log.cast({"timestamp": EVENTS["timestamp"]}), zone)
    assert touched["day"].to_list() == [day]
    assert touched["first_hour"].to_list() == [moment.replace(minute=0)]


def test_the_first_hour_is_the_earliest():
    log = events({"at": 5, "database": "hr"}, {"at": 2.5, "database": "hr"})
    assert touched_values(log, "UTC")["first_hour"].to_list() == [START.replace(hour=10)]


def test_nothing_folds_into_nothing():
    assert check(hourly_sums(empty(EVENTS)), HOURLY_SUMS, "hours").is_empty()
    assert check(
        touched_values(empty(EVENTS), "Europe/Paris"), TOUCHED_VALUES, "touched"
    ).is_empty()
