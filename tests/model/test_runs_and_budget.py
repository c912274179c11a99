"""A run of odd days is one alert, and the bar is where the budget wants it."""

from __future__ import annotations

import math
from datetime import date, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from detector.model import threshold
from detector.model.cross_validation import replace_newcomers
from detector.model.threshold import (
    CRITICAL_MARGIN,
    EPISODE_DAYS,
    MIN_THRESHOLD,
    WORSE_MARGIN,
    WORSE_SHARE,
)

DAY = date(2024, 3, 4)
BAR = 2.0
SCHEMA = {"entity_kind": pl.String, "entity": pl.String, "day": pl.Date, "alarm": pl.Float64}


def _days(alarms: dict[int, float], entity: str = "ann", kind: str = "account") -> pl.DataFrame:
    """Alarms by the day's number."""
    rows = [(kind, entity, DAY + timedelta(days=n), alarm) for n, alarm in alarms.items()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _begun(days: pl.DataFrame, bar: float = BAR) -> pl.DataFrame:
    return threshold.episode_starts(days, days, bar)


def _numbers(days: pl.DataFrame, bar: float = BAR) -> list[int]:
    return [(day - DAY).days for day in _begun(days, bar)["day"].sort()]


def test_a_run_of_days_is_one_alert():
    assert _numbers(_days(dict.fromkeys(range(30), 2.5))) == [0]


def test_days_below_the_bar_never_ring():
    assert _numbers(_days(dict.fromkeys(range(30), 1.99))) == []


def test_a_gap_of_a_run_s_length_is_bridged_and_a_longer_one_is_not():
    assert _numbers(_days({0: 2.5, EPISODE_DAYS: 2.5})) == [0]
    assert _numbers(_days({0: 2.5, EPISODE_DAYS + 1: 2.5})) == [0, EPISODE_DAYS + 1]


def test_quiet_days_between_do_not_end_a_run():
    assert _numbers(_days({0: 2.5, 1: 0.1, 2: 0.1, 3: 2.6})) == [0]


def test_a_much_worse_day_is_told():
    assert not threshold.is_worse(2.5 + WORSE_MARGIN - 0.01, 2.5, BAR)
    assert threshold.is_worse(2.5 + WORSE_MARGIN, 2.5, BAR)


def test_far_out_a_day_must_be_worse_by_a_share_of_what_was_told():
    """A table that is drained for weeks climbs by more than a factor of ten each day."""
    assert not threshold.is_worse(22.0, 20.0, BAR)
    assert not threshold.is_worse(20.0 * (1 + WORSE_SHARE) - 0.01, 20.0, BAR)
    assert threshold.is_worse(20.0 * (1 + WORSE_SHARE), 20.0, BAR)


def test_what_climbs_so_slowly_that_no_day_is_much_worse_is_told_when_it_is_grave():
    """An honest alert a week before a theft must not hide it."""
    climb = [BAR + 0.1 + n * WORSE_MARGIN / EPISODE_DAYS * 0.9 for n in range(30)]
    told = [n for n, (last, now) in enumerate(pairwise(climb), 1)
            if threshold.is_worse(now, last, BAR)]  # fmt: skip
    assert told == [next(n for n, alarm in enumerate(climb) if alarm >= BAR + CRITICAL_MARGIN)]


def test_runs_are_of_one_entity_of_one_kind():
    both = pl.concat([_days({0: 2.5}), _days({1: 2.5}, "bob"), _days({1: 2.5}, kind="object")])
    assert _begun(both).height == 3


def _by_hand(days: pl.DataFrame, bar: float) -> set[tuple[str, date]]:
    """The rule again, in plain loops."""
    found = set()
    rows = [(name, day, alarm) for _, name, day, alarm in days.iter_rows()]
    for name, day, alarm in rows:
        week = [
            other
            for who, when, other in rows
            if who == name and other >= bar and 1 <= (day - when).days <= EPISODE_DAYS
        ]
        if alarm >= bar and not week:
            found.add((name, day))
    return found


histories = st.dictionaries(
    st.tuples(st.sampled_from(["ann", "bob", "cyd"]), st.integers(0, 29)),
    st.integers(0, 5_000),
    min_size=1,
    max_size=60,
)


#: Few different alarms: many days share the highest.
ties = st.dictionaries(
    st.tuples(st.sampled_from(["ann", "bob", "cyd"]), st.integers(0, 29)),
    st.sampled_from([0, 1_500, 3_000]),
    min_size=1,
    max_size=60,
)


def _frame(history: dict[tuple[str, int], int]) -> pl.DataFrame:
    return pl.concat(
        _days({number: alarm / 1000}, name) for (name, number), alarm in history.items()
    )


@given(histories, st.floats(0, 5))
@hypothesis_settings(max_examples=60)
def test_what_begins_an_episode_is_what_the_rule_says(history, bar):
    days = _frame(history)
    begun = {(name, day) for name, day in _begun(days, bar).select("entity", "day").iter_rows()}
    assert begun == _by_hand(days, bar)


@given(histories, st.integers(0, 29))
@hypothesis_settings(max_examples=40)
def test_whether_a_day_begins_an_episode_is_told_by_the_week_before_it(history, number):
    """So it is the same in whatever portions days are scored."""
    days = _frame(history)
    day = DAY + timedelta(days=number)
    week = days.filter(pl.col("day") <= day, pl.col("day") >= day - timedelta(days=EPISODE_DAYS))
    alone, among = (_begun(frame).filter(pl.col("day") == day) for frame in (week, days))
    assert alone.sort("entity").equals(among.sort("entity"))


@given(histories | ties, st.floats(0.02, 3), st.integers(0, 10))
@hypothesis_settings(max_examples=150)
def test_the_threshold_keeps_the_budget_on_the_days_it_was_set_on(history, per_day, skipped):
    days = _frame(history)
    first = DAY + timedelta(days=skipped)
    counted = days.filter(pl.col("day") >= first)
    bar = threshold.fit(days, per_day, first)
    begun = _begun(days, bar).filter(pl.col("day") >= first)
    assert begun.height <= per_day * counted["day"].n_unique()
    by_hand = {(name, day) for name, day in _by_hand(days, bar) if day >= first}
    assert set(begun.select("entity", "day").iter_rows()) == by_hand


@given(histories)
@hypothesis_settings(max_examples=30)
def test_a_budget_that_allows_everything_silences_nothing_loud(history):
    """A bar above all days keeps any budget; this one must be as low as the days themselves."""
    days = _frame(history)
    bar = threshold.fit(days, 1000, DAY)
    assert bar == max(
        MIN_THRESHOLD, days.filter(pl.col("alarm") >= MIN_THRESHOLD)["alarm"].min() or MIN_THRESHOLD
    )


def test_a_budget_of_less_than_the_days_can_show_stands_above_them_all():
    days = _days({0: 1.0, 10: 3.0, 20: 2.0})
    rare, rarer = (threshold.fit(days, per_day, DAY) for per_day in (0.1, 0.01))
    assert rare > 3.0
    assert rarer == pytest.approx(rare + 1)


@pytest.mark.parametrize("names", [2, 3, 40])
def test_where_more_runs_share_the_highest_alarm_than_the_budget_allows_none_rings(names):
    """Half of them cannot ring: they are the same."""
    days = pl.concat(_days({0: 1.2, 10: 3.0}, f"name{n}") for n in range(names))
    bar = threshold.fit(days, 0.5, DAY)
    assert bar > 3.0
    assert bar == pytest.approx(3.0 + math.log10(names / 1.0))


def test_a_run_less_than_the_budget_allows_is_no_reason_to_stand_above_a_tie():
    days = pl.concat(_days({0: 1.2, 10: 3.0}, f"name{n}") for n in range(2))
    assert 1.2 < threshold.fit(days, 1.0, DAY) <= 3.0


def test_the_bar_is_found_where_a_lower_one_rings_no_more_often():
    """At 1.5 all days of a name are one run; at 2.2 they are one a week."""
    weekly = {n: 2.2 if n % (EPISODE_DAYS + 1) == 0 else 1.5 for n in range(64)}
    names = [_days(weekly, f"name{who}") for who in range(9)]
    low = _days({n: 1.0 + n / 100 for n in range(40)}, "low")
    days = pl.concat([*names, low, _days({0: 5.0, 20: 4.0}, "thief")])
    assert 2.2 < threshold.fit(days, 0.5, DAY) <= 4.0


def test_of_newcomers_the_days_count_as_they_were_before_they_were_known():
    """Of those to come nothing will be known either."""
    day = date(2024, 1, 8)
    old = pl.DataFrame({"entity": ["ann", "new"], "day": [day] * 2, "days": [40, 0], "x": [1, 5]})
    new = pl.DataFrame(
        {"entity": ["ann", "late", "new"], "day": [day] * 3, "days": [60, 9, 8], "x": [2, 3, 1]}
    )
    assert replace_newcomers(new, old).select("entity", "x").rows() == [
        ("ann", 2), ("late", 3), ("new", 5),
    ]  # fmt: skip


def test_few_honest_entities_do_not_bring_the_bar_down_to_usual_days():
    """Two accounts never ring once a day, however low the bar; it stays where a day is odd."""
    ordinary = {n: 0.2 + n % 5 / 10 for n in range(40)}
    days = pl.concat([_days(ordinary), _days(ordinary | {9: 1.7, 31: 2.4}, "bob")])
    bar = threshold.fit(days, 1.0, DAY)
    assert MIN_THRESHOLD <= bar <= 1.7
    assert threshold.fit(_days(ordinary), 1.0, DAY) == MIN_THRESHOLD


def test_where_no_day_could_alert_the_first_unusual_one_that_can_rings():
    assert threshold.fit(_days({}), 1.0, DAY) == MIN_THRESHOLD
