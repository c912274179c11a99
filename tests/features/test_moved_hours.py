"""When the whole organisation comes an hour earlier, nobody's hours are strange; a thief's are."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from detector.features import active_hours, clock_shift
from detector.features.aggregates import SLOTS
from detector.features.daily_matrix import DailyMatrix

TRAINED = 60
DAYS = 48
FIRST = date(2024, 2, 12)
#: The Sunday on which the clocks change, and the working day after it.
CHANGE = date(2024, 3, 31)
MONDAY = CHANGE + timedelta(days=1)


def office(people: int, *, move: int, from_day: date = CHANGE, seed: int = 1) -> DailyMatrix:
    """Each works some eight or nine hours in a row; from a day on, ``move`` hours later."""
    random = np.random.default_rng(seed)
    days = [FIRST + timedelta(days=n) for n in range(DAYS + 12)]
    off = np.array([day.isoweekday() > 5 for day in days])
    begins = 7 + np.arange(people) % 3
    active = np.zeros((people, len(days), SLOTS), dtype=bool)
    for at, day in enumerate(days):
        at_work = random.random(people) < (0.02 if off[at] else 0.9)
        by = move if day >= from_day else 0
        for who in np.flatnonzero(at_work):
            begin = begins[who] + by
            some = np.arange(begin, begin + 9)
            active[who, at, some[random.random(9) < 0.9]] = True
    return DailyMatrix(
        [f"p{n:03d}" for n in range(people)], days, {}, active, off, per_member=False
    )


def learned(people: int, seed: int = 9) -> tuple[np.ndarray, pl.DataFrame]:
    """``dense`` of an office that never moved, and the habits of all of it."""
    seen = active_hours.count_days(office(people, move=0, seed=seed))
    names = [f"p{n:03d}" for n in range(people)]
    groups = pl.DataFrame({"account": names, "group": ["all"] * people})
    return active_hours.to_array(seen, names), active_hours.group_habits(seen, groups)


def strange(panel: DailyMatrix, day: date) -> np.ndarray:
    """By account, the strangeness of the hours in which it was active."""
    people = len(panel.entities)
    seen, habits = learned(people)
    habit = active_hours.activity_shares(active_hours.to_array(habits, [None]))[
        :, np.zeros(people, dtype=int)
    ]
    own = active_hours.ActivityProfile.from_habits(seen, habit, habits, panel)
    active = panel.active[:, panel.column(day)]
    return (own.hour_surprise(panel, day).with_shift(active.sum(axis=0)) * active).sum(axis=1)


@pytest.mark.parametrize("move", [-1, 1])
@pytest.mark.parametrize("after", [0, 1, 3, 8])
def test_hours_that_everyone_moved_are_as_strange_as_before(move, after):
    moved, still = (office(60, move=each) for each in (move, 0))
    day = MONDAY + timedelta(days=after)
    assert day.isoweekday() < 6
    assert strange(moved, day).sum() <= 1.05 * strange(still, day).sum() + 0.5


@pytest.mark.parametrize("move", [-2, 2, 3])
def test_other_moves_stay_strange(move):
    assert strange(office(60, move=move), MONDAY).sum() > 50


def rob(panel: DailyMatrix, day: date, who: int, hours: list[int]) -> None:
    panel.active[who, panel.column(day)] = False
    panel.active[who, panel.column(day), hours] = True


@pytest.mark.parametrize("move", [0, -1, 1])
def test_a_thief_in_the_night_is_as_strange_on_the_day_of_a_move(move):
    panel = office(60, move=move)
    rob(panel, MONDAY, 0, [0, 1, 2, 3])
    assert strange(panel, MONDAY)[0] > 4


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35])
def test_a_crowd_of_thieves_moves_nobody(share):
    """Who comes before the others is strange, so long as most do not come too."""
    panel = office(60, move=0)
    crowd = range(round(60 * share))
    for who in crowd:
        rob(panel, MONDAY, who, [5, 6])
    found = strange(panel, MONDAY)[list(crowd)]
    assert found.min() > 0.8


def test_what_comes_later_on_the_day_changes_no_hour_before_it():
    moved, still = office(60, move=-1), office(60, move=0)
    profiles, counts = (
        clock_shift.training_profile(learned(60)[1]),
        clock_shift.hourly_counts(moved),
    )
    usual_counts = clock_shift.expected_counts(profiles, counts, moved.off, moved.column(MONDAY))
    whole = counts[moved.column(MONDAY)]
    for hour in range(24):
        cut = np.where(
            np.arange(24) <= hour, whole, clock_shift.hourly_counts(still)[moved.column(MONDAY)]
        )
        both = (
            clock_shift.hourly_shifts(whole, usual_counts),
            clock_shift.hourly_shifts(cut, usual_counts),
        )
        assert (both[0][: hour + 1] == both[1][: hour + 1]).all()


def test_an_office_of_few_is_never_said_to_move():
    """Of four, three thieves would be most."""
    panel = office(4, move=-1)
    profiles = clock_shift.training_profile(learned(4)[1])
    moves, _ = clock_shift.daily_shifts(profiles, panel)
    assert not moves.any()


def test_a_day_on_which_few_work_keeps_what_the_days_before_it_told():
    panel = office(60, move=-1)
    holiday = MONDAY + timedelta(days=2)
    panel.active[3:, panel.column(holiday)] = False
    moves, _ = clock_shift.daily_shifts(clock_shift.training_profile(learned(60)[1]), panel)
    assert moves[panel.column(MONDAY) :].tolist() == [-1] * (len(panel.days) - panel.column(MONDAY))
    assert not moves[: panel.column(MONDAY)].any()
