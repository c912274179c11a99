"""Subjects are sampled alike however a log is cut up, and the sample tells how many there were."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_samples import START, events
from properties import examples
from reaching import occurred, reaches

from detector.core.schema import EVENTS, SUBJECT, TOUCHED_VALUES
from detector.features import distinct_subjects
from detector.ledger import distinct_sketch
from detector.ledger.aggregate import encode_events, merge_touched_values, touched_values
from detector.ledger.partition_writer import PartitionWriter

ORDER = ["day", "account", "dimension", "value"]
#: As keyed hashes have it, but few enough to meet again.
HASH = st.integers(0, 60).map(lambda n: f"{n * 0x05EED0DD5EED % (1 << 48):012x}")
Reads = list[tuple[int, str, str | None]]
#: So few are kept that examples of a size to read go beyond.
SMALL = 8


@st.composite
def around_k(draw: st.DrawFn) -> Reads:
    """Reads of some more or fewer people than are kept, by one account; and reads of any kind."""
    number = draw(st.integers(SMALL - 2, 3 * SMALL))
    reads = st.tuples(st.integers(0, 15), st.just("ann"), HASH)
    of_one = st.lists(reads, min_size=number, max_size=number, unique_by=lambda each: each[2])
    any_kind = st.tuples(
        st.integers(0, 30), st.sampled_from(["ann", "bob"]), st.one_of(st.none(), HASH)
    )
    one, others = draw(of_one), draw(st.lists(any_kind, max_size=12))
    return draw(st.permutations(one + others))


def is_beyond(reads: Reads) -> bool:
    """Whether an account read more people on a day than are kept."""
    people: dict[tuple[date, str], set[str]] = {}
    for at, who, whose in reads:
        if whose is not None:
            people.setdefault(((START + timedelta(hours=at)).date(), who), set()).add(whose)
    return max(map(len, people.values()), default=0) > distinct_sketch.K


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct_sketch, "K", SMALL)


def log_of(reads: Reads) -> pl.DataFrame:
    return events(*({"at": at, "account": who, SUBJECT: whose} for at, who, whose in reads))


def touched(log: pl.DataFrame) -> pl.DataFrame:
    return touched_values(log, "UTC").sort(ORDER)


@pytest.mark.usefixtures("small")
@reaches(beyond=0.2)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(around_k(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_parts_merge_in_any_order_and_any_nesting_to_the_sketch_of_the_whole(reads, cuts, chance):
    occurred(beyond=is_beyond(reads))
    log = log_of(reads)
    parts = [touched_values(log[n::cuts], "UTC") for n in range(cuts)]
    while len(parts) > 1:
        chance.shuffle(parts)
        one, other, *rest = parts
        parts = [merge_touched_values(pl.concat([one, other])), *rest]
    assert parts[0].sort(ORDER).equals(touched(log))


@pytest.mark.usefixtures("small")
@reaches(beyond=0.2)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(around_k())
def test_of_each_hour_so_far_the_smallest_hashes_are_all_there(reads):
    occurred(beyond=is_beyond(reads))
    rows = touched(log_of(reads)).filter(pl.col("dimension") == SUBJECT)
    kept = rows.select("day", "account", "first_hour", "value").rows()
    told = [(START + timedelta(hours=at), who, whose) for at, who, whose in reads if whose]
    for day, account in {(day, account) for day, account, *_ in kept}:
        for hour in range(24):
            until = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
            mine = [whose for *of, first, whose in kept if of == [day, account] and first <= until]
            read = {
                whose for at, who, whose in told
                if who == account and at.date() == day and at <= until
            }  # fmt: skip
            assert sorted(mine)[: distinct_sketch.K] == sorted(read)[: distinct_sketch.K]


@pytest.mark.usefixtures("small")
@reaches(beyond=0.2)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(25))
@given(around_k(), st.integers(1, 40))
def test_a_log_that_is_written_in_pieces_leaves_the_same_sketch(tmp_path_factory, reads, limit):
    occurred(beyond=is_beyond(reads))
    folder = tmp_path_factory.mktemp("spool")
    spool = PartitionWriter(lambda table, day: folder / table / f"{day}.parquet", limit)
    log = log_of(reads)
    for start in range(0, len(log), 7):
        spool.add(encode_events(log[start : start + 7], "UTC"))
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
    table = touched_values(log, "UTC")
    hours = table.select("account", "day", hour="first_hour").unique()
    days = (
        distinct_subjects.add_counts(hours, table)
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


@pytest.mark.usefixtures("small")
def test_of_more_than_are_kept_the_smallest_stay_and_of_k_nobody_goes():
    """All within one hour, so that nobody stays for having been read earlier."""
    for number in (SMALL - 1, SMALL, SMALL + 1, 3 * SMALL):
        people = [f"{each:012x}" for each in range(1, number + 1)]
        log = log_of([(0, "ann", whose) for whose in reversed(people)])
        assert touched(log)["value"].to_list() == people[:SMALL]
        whole = merge_touched_values(pl.concat([touched(log[:5]), touched(log[5:])]))
        assert sorted(whole["value"]) == people[:SMALL]


def test_the_sketch_of_more_than_k_strangers_has_k_of_them_and_tells_how_many_there_were():
    """As chance draws whoever a campaign reads: the rest lies beyond the last one kept."""
    random = np.random.default_rng(11)
    for number in (distinct_sketch.K - 1, distinct_sketch.K):
        assert len(distinct_sketch.draw(number, random)) == number
    many = 40 * distinct_sketch.K
    hashes = [distinct_sketch.draw(many, random) for _ in range(40)]
    assert {len(each) for each in hashes} == {distinct_sketch.K}
    assert all(
        (np.diff(each) > 0).all() and each[-1] < distinct_sketch.HASH_RANGE for each in hashes
    )
    told = [(distinct_sketch.K - 1) / distinct_sketch.coverage(each) for each in hashes]
    # The mean of forty errs by a half percent at one standard error.
    assert np.mean(told) == pytest.approx(many, rel=0.02)
    assert distinct_sketch.coverage(hashes[0][:-1]) == 1.0


def test_a_log_without_subjects_has_none():
    table = touched(events({"object": "a"}, {"object": "b", "at": 1}))
    assert set(table["dimension"]) == {"object"}
    assert distinct_sketch.thin(table) is table
    assert table.schema == dict(TOUCHED_VALUES)
