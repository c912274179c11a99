"""Many accounts that each take a little: what unites them is found, whoever they are.

They read more of what they read anyway, at their own hours. Their own alerts are few, and none is
needed: each kind of entity is judged by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pytest
from small_office import (
    FOREIGN,
    LATER,
    PEOPLE,
    TERMINALS,
    Office,
    address,
    agent,
    desk,
    directory,
    joined,
    multiplied,
    trained_once,
)  # fmt: skip

from detector.alerts import incidents
from detector.features.aggregates import ACCOUNT

pytestmark = pytest.mark.slow  # each crowd is scored over three weeks

WEEKS = LATER[:21]
SOUTH = [number for number in range(PEOPLE) if desk(number) == "south"]
AT_TERMINAL = [number for number in range(PEOPLE) if address(number) == TERMINALS[0]]
EVERYWHERE = list(range(0, PEOPLE, 8))


@dataclass(frozen=True)
class Crowd:
    """``numbers`` take ``more`` of their own day on top, all ``at`` one column's value."""

    numbers: list[int]
    more: float
    entity: tuple[str, str]
    at: dict[str, str]

    def events(self, log: pl.DataFrame) -> pl.DataFrame:
        times = [1 + self.more] * len(WEEKS)
        taken = [multiplied(log, n, WEEKS, times, seed=100 + n) for n in self.numbers]
        return joined(*taken).with_columns(**{name: pl.lit(to) for name, to in self.at.items()})

    @property
    def names(self) -> list[str]:
        return [agent(number) for number in self.numbers]


TABLE = Crowd(SOUTH[:16], 0.3, ("object", "person"), {"object": "person"})
GROUP = Crowd(SOUTH[:20], 0.5, ("group", "desk south"), {})
TERMINAL = Crowd(AT_TERMINAL, 0.7, ("client_address", TERMINALS[0]), {})
ABROAD = Crowd(EVERYWHERE, 0.3, ("client_address", FOREIGN), {"client_address": FOREIGN})


@pytest.fixture(scope="module")
def people_model(tmp_path_factory):
    return trained_once(tmp_path_factory, "listed")


@pytest.fixture(scope="module")
def scored(honest_log, people_model):
    """The office robbed by a crowd, and its scores, by the directory's groups."""
    known = {}

    def of(crowd: Crowd) -> tuple[Office, pl.DataFrame]:
        if crowd.entity not in known:
            office = Office.of(joined(honest_log, crowd.events(honest_log)))
            known[crowd.entity] = office, office.score(people_model, WEEKS, directory())
        return known[crowd.entity]

    return of


@pytest.fixture(scope="module")
def left_alone(honest, people_model):
    return honest.score(people_model, WEEKS, directory())


def _first(scored: pl.DataFrame, kind: str, entity: str) -> int | None:
    rang = scored.filter("alarming", pl.col("entity_kind") == kind, pl.col("entity") == entity)
    return None if rang.is_empty() else (rang["day"].min() - WEEKS[0]).days


@pytest.mark.parametrize(
    ("crowd", "by"),
    [
        pytest.param(TABLE, 0, id="sixteen take a third more, of one table"),
        pytest.param(GROUP, 1, id="most of a group take half as much again"),
        pytest.param(TERMINAL, 3, id="all at one terminal take two thirds more"),
    ],
)
def test_a_crowd_is_found_by_what_unites_it_before_its_accounts_are(crowd, by, scored, left_alone):
    _, found = scored(crowd)
    day = _first(found, *crowd.entity)
    assert day is not None
    assert day <= by
    # Not because it would be found anyway.
    assert (_first(left_alone, *crowd.entity) or len(WEEKS)) > by
    accounts = [_first(found, ACCOUNT, name) for name in crowd.names]
    early = [first for first in accounts if first is not None and first <= day]
    assert len(early) <= len(accounts) / 6


def test_a_crowd_that_comes_from_abroad_is_found_by_most_of_its_accounts_within_two_days(scored):
    """Each is at a place where nobody ever was. The place itself has no past to be held against."""
    _, found = scored(ABROAD)
    first = [_first(found, ACCOUNT, name) for name in ABROAD.names]
    assert sum(day is not None and day <= 1 for day in first) >= len(first) * 2 / 3


@pytest.mark.parametrize("crowd", [GROUP, TERMINAL], ids=["group", "address"])
def test_the_alert_on_a_crowd_names_people_of_it(crowd, scored, people_model):
    office, found = scored(crowd)
    alerts = office.alerts(found, people_model, directory())
    told = next(each for each in alerts if (each["entity_kind"], each["entity"]) == crowd.entity)
    assert len(told["top_accounts"]) == 5
    assert {each["name"] for each in told["top_accounts"]} <= set(crowd.names)


def test_a_terminal_and_its_accounts_that_ring_within_a_week_are_one_incident(scored, people_model):
    office, found = scored(TERMINAL)
    _, whole = incidents.join(office.alerts(found, people_model, directory()))
    (theft,) = [each for each in whole if TERMINAL.entity in each.entities]
    begun = _first(found, *TERMINAL.entity)
    first = {name: _first(found, ACCOUNT, name) for name in TERMINAL.names}
    near = {name for name, day in first.items() if day is not None and begun <= day <= begun + 7}
    assert near
    assert near <= {name for kind, name in theft.entities if kind == ACCOUNT}
