"""Which features moved since training is told, and chance or a small movement is not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from detector import registry
from detector.alerts import feature_drift
from detector.model import calibration

FAMILIES = registry.families()
NAMES = [feature.name for family in FAMILIES for feature in family.features]
LAST = date(2024, 2, 29)
PEOPLE = 120


def values(random, people, days, shift=0.0):
    """Of each person's days, alike among themselves: (people, days)."""
    own = random.normal(0, 0.8, people)[:, None]
    return own + random.normal(0, 0.6, (people, days)) + shift


def learned(random):
    tails = [calibration.fit(values(random, PEOPLE, 40), 0.25) for _ in NAMES]
    voices = SimpleNamespace(feature_names=tuple(NAMES), calibrations=tuple(tails))
    return SimpleNamespace(last_day=LAST, kind_models={"account": SimpleNamespace(ensemble=voices)})


def scored(model, random, shifts=None, people=PEOPLE, days=10, since=1):
    """Judged hours of unseen days: an hour that says nothing, and the last one."""
    frames = []
    each = {name: values(random, people, days, (shifts or {}).get(name, 0.0)) for name in NAMES}
    tails = dict(zip(NAMES, model.kind_models["account"].ensemble.calibrations, strict=True))
    for n in range(days):
        day = LAST + timedelta(days=since + n)
        for hour, factor in ((9, 0.0), (17, 1.0)):
            told = {
                f"{name}_surprise": np.round(tails[name].surprise(each[name][:, n] * factor), 6)
                for name in NAMES
            }
            frames.append(
                pl.DataFrame(
                    {
                        "entity_kind": ["account"] * people,
                        "entity": [f"p{who}" for who in range(people)],
                        "day": [day] * people,
                        "hour": [datetime(day.year, day.month, day.day, hour, tzinfo=UTC)] * people,
                        **told,
                    }
                )
            )
    return pl.concat(frames)


def moved(model, *frames):
    counts = [feature_drift.exceedance_counts(frame, model) for frame in frames]
    return feature_drift.find_shifts(counts, model, FAMILIES)


@pytest.mark.parametrize("seed", range(4))
def test_chance_is_no_movement(seed):
    random = np.random.default_rng(seed)
    model = learned(random)
    assert moved(model, scored(model, random)) == []


@pytest.mark.parametrize(("by", "direction"), [(1.0, "higher"), (-1.0, "lower")])
def test_what_moved_is_named_with_its_direction_and_a_hint(by, direction):
    random = np.random.default_rng(7)
    model = learned(random)
    found = moved(model, scored(model, random, {"new_applications": by}))
    assert [each.feature for each in found] == ["new_applications"]
    told = found[0].to_dict()
    assert told["direction"] == direction
    assert told["distance"] > 0.15
    assert "roll-out" in told["hint"]
    (head, line) = feature_drift.report_lines(found)
    assert "train again" in head
    assert direction in line


def test_a_small_movement_of_many_is_significant_and_not_told():
    random = np.random.default_rng(8)
    model = learned(random)
    found = moved(model, scored(model, random, {NAMES[0]: 0.15}, people=2000, days=6))
    assert found == []


def test_few_entities_or_days_tell_nothing():
    random = np.random.default_rng(9)
    model = learned(random)
    everything = dict.fromkeys(NAMES, 0.8)
    assert moved(model, scored(model, random, everything, people=5)) == []
    assert moved(model, scored(model, random, everything, days=4)) == []


def test_days_of_training_count_for_nothing():
    random = np.random.default_rng(10)
    model = learned(random)
    frame = scored(model, random, dict.fromkeys(NAMES, 2.0), since=-9)
    assert frame["day"].max() == LAST
    assert moved(model, frame) == []


def test_days_scored_apart_tell_the_same():
    random = np.random.default_rng(11)
    model = learned(random)
    frame = scored(model, random, {NAMES[3]: 1.0})
    parts = frame.partition_by("day")
    assert moved(model, *parts) == moved(model, frame) != []


def test_a_feature_that_never_was_seen_says_so_once_it_is():
    """In training all its days were alike, at 0."""
    random = np.random.default_rng(12)
    model = learned(random)
    voices = model.kind_models["account"].ensemble
    flat = calibration.fit(np.zeros((PEOPLE, 40)), 0.25)
    voices.calibrations = (flat, *voices.calibrations[1:])
    found = moved(model, scored(model, random, {NAMES[0]: 5.0}))
    assert [each.feature for each in found] == [NAMES[0]]
