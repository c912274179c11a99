"""How much a value new to an account says: less, the more of its colleagues use it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from detector.core.schema import TOUCHED_VALUES
from detector.features import account_signals, novelty
from detector.features.aggregates import SLOTS
from detector.features.daily_matrix import DailyMatrix
from detector.features.peer_movement import PeerGroups

DAY = date(2024, 2, 5)
HOUR = datetime(2024, 2, 5, 9, tzinfo=UTC)
GROUPS = pl.DataFrame({"account": ["ann", "bob"], "group": ["desk", "lab"]})
#: Of ten at the desk all use the front end, and one the shell; nobody trained in the lab.
USED = pl.DataFrame(
    [
        ("desk", "application", "front", 10),
        ("desk", "application", "shell", 1),
        ("desk", "object", "person", 10),
        ("hall", "application", "shell", 5),
    ],
    schema=novelty.USAGE_SCHEMA,
    orient="row",
)
NOTHING = pl.DataFrame(schema=dict(TOUCHED_VALUES))


def _weight(account: str, dimension: str, value: str) -> float:
    new = pl.DataFrame(
        [(account, DAY, HOUR, dimension, value)],
        schema=["account", "day", "hour", "dimension", "value"],
        orient="row",
    )
    known = pl.DataFrame(schema=novelty.KNOWN_SCHEMA)
    return novelty.add_weights(new, NOTHING, known, GROUPS, USED)["weight"].item()


@pytest.mark.parametrize(
    ("account", "dimension", "value", "of", "by"),
    [
        ("ann", "application", "front", 10, 10),
        ("ann", "application", "shell", 10, 1),
        ("ann", "application", "dump", 10, 0),
        ("ann", "object", "person", 10, 10),
        ("ann", "object", "secret", 10, 0),
        ("bob", "application", "shell", 15, 6),
        ("bob", "application", "dump", 15, 0),
    ],
)
def test_a_program_or_table_says_the_more_the_fewer_colleagues_use_it(
    account, dimension, value, of, by
):
    """Bob's group was not there in training: everyone's use tells."""
    assert _weight(account, dimension, value) == pytest.approx(math.log((of + 1) / (by + 1)))


def test_who_uses_what_is_counted_by_group_as_a_whole_or_in_parts():
    touched = pl.DataFrame(
        [
            (DAY, "ann", "application", "front", 1, 0, HOUR),
            (DAY, "bob", "application", "front", 1, 0, HOUR),
            (DAY, "ann", "object", "person", 1, 0, HOUR),
            (DAY, "ann", "client_address", "10.0.0.1", 1, 0, HOUR),
        ],
        schema=dict(TOUCHED_VALUES),
        orient="row",
    )
    groups = GROUPS.with_columns(group=pl.lit("desk"))
    whole = novelty.group_usage(touched, groups)
    assert whole.rows() == [
        ("desk", "application", "front", 2),
        ("desk", "object", "person", 1),
    ]
    parts = [novelty.group_usage(part, groups) for part in touched.partition_by("account")]
    assert novelty.merge_usage(pl.concat(parts)).equals(whole)


def test_a_program_rolled_out_to_half_of_the_colleagues_says_nothing_and_a_table_still_does():
    """A crowd that opens one table on one day is no roll-out."""
    people = [f"p{at}" for at in range(6)]
    active = np.zeros((6, 1, SLOTS), dtype=bool)
    active[:, 0, 9] = True
    panel = DailyMatrix(people, [DAY], {}, active, np.array([False]), per_member=False)

    def felt(dimension: str, users: int) -> float:
        placed = pl.DataFrame(
            {
                "at": np.arange(users),
                "day": [DAY] * users,
                "dimension": [dimension] * users,
                "weight": [1.5] * users,
                "foreign": [0.0] * users,
            }
        )
        name = {"application": "new_applications", "object": "new_objects"}[dimension]
        return float(
            account_signals._novelty_by_day(placed, panel, PeerGroups.from_groups(["desk"] * 6))[
                name
            ][0, 0]
        )

    assert felt("application", 6) == 0
    assert felt("application", 1) == 1.5
    assert 0 < felt("application", 2) < 1.5
    assert felt("object", 6) == 1.5


@pytest.mark.parametrize(
    ("colleagues", "alike", "left"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        # One colleague is no site: against FEW, it takes two thirds and not all.
        (1, 1, 1 - (1 / 3) / 0.5),
        (2, 1, 1 - (1 / 3) / 0.5),
        (3, 1, 1 - (1 / 3) / 0.5),
        (4, 1, 1 - (1 / 4) / 0.5),
        (2, 2, 0.0),
        (4, 2, 0.0),
        (9, 4, 1 - (4 / 9) / 0.5),
    ],
)
def test_what_is_new_says_less_by_the_share_of_colleagues_who_have_it_too(colleagues, alike, left):
    new = np.zeros((colleagues + 1, 1))
    new[: alike + 1] = 1.5
    active = np.ones(new.shape, dtype=bool)
    codes, places = np.zeros(len(new), dtype=int), [np.arange(len(new))]
    found = novelty.discount_by_peers(new, active, codes, places)
    assert found[0, 0] == pytest.approx(1.5 * left)
    assert not found[alike + 1 :].any()
