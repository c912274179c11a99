"""Subjects are sampled alike however a log is cut up, and the sample tells how many there were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_samples import START, events

from detector.core.schema import EVENTS, SUBJECT, TOUCHED
from detector.features import distinct_subjects
from detector.ledger import distinct_sketch
from detector.ledger.aggregate import fold_touched, merge_touched
from detector.ledger.partition_writer import Spool

ORDER = ["day", "account", "dimension", "value"]
#: As keyed hashes have it, but few enough to meet again.
HASH = st.integers(0, 60).map(lambda n: f"{n * 0x05EED0DD5EED % (1 << 48):012x}")
READS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["ann", "bob"]), st.one_of(st.none(), HASH)),
    min_size=1,
    max_size=150,
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few are kept that examples of a size to read go beyond."""
    monkeypatch.setattr(distinct_sketch, "K", 8)


def log_of(reads: list[tuple[int, str, str | None]]) -> pl.DataFrame:
    return events(*({"at": at, "account": who, SUBJECT: whose} for at, who, whose in reads))


def touched(log: pl.DataFrame) -> pl.DataFrame:
    return fold_touched(log, "UTC").sort(ORDER)


@pytest.mark.usefixtures("small")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(READS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_parts_merge_in_any_order_and_any_nesting_to_the_sketch_of_the_whole(reads, cuts, chance):
    log = log_of(reads)
    parts = [fold_touched(log[n::cuts], "UTC") for n in range(cuts)]
    while len(parts) > 1:
        chance.shuffle(parts)
        one, other, *rest = parts
        parts = [merge_touched(pl.concat([one, other])), *rest]
    assert parts[0].sort(ORDER).equals(touched(log))


@pytest.mark.usefixtures("small")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(READS)
def test_of_each_hour_so_far_the_smallest_hashes_are_all_there(reads):
    kept = touched(log_of(reads)).filter(pl.col("dimension") == SUBJECT)
    for day, account in kept.select("day", "account").unique().iter_rows():
        for hour in range(24):
            until = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
            mine = kept.filter(
                pl.col("day") == day, pl.col("account") == account, pl.col("first_hour") <= until
            )
            read = {
                whose
                for at, who, whose in reads
                if who == account
                and whose is not None
                and (START + timedelta(hours=at)).date() == day
                and START + timedelta(hours=at) <= until
            }
            assert sorted(mine["value"])[: distinct_sketch.K] == sorted(read)[: distinct_sketch.K]


@pytest.mark.usefixtures("small")
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
@given(READS, st.integers(1, 40))
def test_a_log_that_is_written_in_pieces_leaves_the_same_sketch(tmp_path_factory, reads, limit):
    from detector.ledger.aggregate import coded

    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(lambda table, day: folder / table / f"{day}.parquet", limit)
    log = log_of(reads)
    for start in range(0, len(log), 7):
        spool.add(coded(log[start : start + 7], "UTC"))
    days = spool.finish()
    found = [pl.read_parquet(folder / "touched" / f"{day}.parquet") for day in days]
    assert pl.concat(found).sort(ORDER).equals(touched(log))


def of_strangers(number: int, seed: int, hours: int = 9) -> pl.DataFrame:
    """EVENTS of one account that reads ``number`` people's records, spread over some hours."""
    random = np.random.default_rng(seed)
    hashes = random.choice(1 << 40, number, replace=False) * 256 + random.integers(0, 256, number)
    return pl.DataFrame(
        {
            "timestamp": [START + timedelta(hours=n % hours) for n in range(number)],
            "account": "ann",
            "action": "read",
            SUBJECT: [f"{each:012x}" for each in hashes.tolist()],
        },
        schema_overrides={"timestamp": EVENTS["timestamp"]},
    ).select(
        pl.col(name)
        if name in {"timestamp", "account", "action", SUBJECT}
        else pl.lit(None, kind).alias(name)
        for name, kind in EVENTS.items()
    )


def counted(log: pl.DataFrame) -> list[tuple[int, int]]:
    """(subjects, in the month) at the end of each day."""
    table = fold_touched(log, "UTC")
    hours = table.select("account", "day", hour="first_hour").unique()
    days = (
        distinct_subjects.added(hours, table)
        .group_by("day")
        .agg(pl.col("subjects", "month_subjects").sum())
        .sort("day")
    )
    return days.select("subjects", "month_subjects").rows()


@pytest.mark.parametrize("number", [1, 40, distinct_sketch.K - 1])
def test_fewer_than_are_kept_are_counted_one_by_one(number):
    assert counted(of_strangers(number, 1)) == [(number, number)]


def test_a_count_of_many_errs_as_little_as_is_said():
    """Five standard errors at the worst of twenty, one on average."""
    number = 40_000
    errors = [counted(of_strangers(number, seed))[0][0] / number - 1 for seed in range(20)]
    error = 1 / np.sqrt(distinct_sketch.K - 2)
    assert max(map(abs, errors)) < 5 * error
    assert 0.5 * error < np.sqrt(np.mean(np.square(errors))) < 1.5 * error
    assert abs(np.mean(errors)) < error


def test_days_of_many_add_up_to_a_month_without_counting_anyone_twice():
    first = of_strangers(30_000, 3)
    again = first.with_columns(pl.col("timestamp") + timedelta(days=1))
    others = of_strangers(20_000, 4).with_columns(pl.col("timestamp") + timedelta(days=2))
    error = 5 / np.sqrt(distinct_sketch.K - 2)
    months = [month for _, month in counted(pl.concat([first, again, others]))]
    for found, wanted in zip(months, [30_000, 30_000, 50_000], strict=True):
        assert found == pytest.approx(wanted, rel=error)


def test_the_ledger_of_a_day_does_not_grow_with_those_who_are_read():
    kept = [len(touched(of_strangers(number, 5))) for number in (10_000, 80_000)]
    # Those of the first hour, and ever fewer of each after it: K * (1 + 1/2 + 1/3 + ... + 1/9).
    assert kept == pytest.approx([2.83 * distinct_sketch.K] * 2, rel=0.1)
    assert touched(of_strangers(80_000, 5)).select("statements", "rows").sum().row(0) == (0, 0)


def test_a_log_without_subjects_has_none():
    table = touched(events({"object": "a"}, {"object": "b", "at": 1}))
    assert set(table["dimension"]) == {"object"}
    assert distinct_sketch.thinned(table) is table
    assert table.schema == dict(TOUCHED)
