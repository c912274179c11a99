"""What fired before a day moves its threshold, as far as the memory of alerts knows."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from alerts_made_up import DAY, made, model

from detector.alerts.episode_history import EpisodeHistory, Message

GROUPS = pl.DataFrame({"account": ["a"], "group": ["g"]})
#: ``alerts_made_up.model`` is trained until DAY, for one alert a day.
TRAINED = model(pl.DataFrame(), GROUPS)


def _message(number: int, after: int, **more):
    day = DAY + timedelta(days=after)
    name = f"id{number}-{after}"
    return Message(day, {**made(f"name{number}", after), "id": name, "alert": name, **more})


def _threshold(messages, after: int) -> float:
    memory = EpisodeHistory.restore([], messages, "UTC")
    return memory.model_for_day(TRAINED, DAY + timedelta(days=after)).threshold


def test_many_alerts_raise_the_threshold_of_the_days_that_follow():
    many = [_message(number, after) for after in range(1, 11) for number in range(4)]
    assert _threshold(many, 11) > TRAINED.threshold + 0.3
    assert _threshold(many, 1) == TRAINED.threshold


def test_quiet_days_lower_it():
    assert _threshold([_message(0, 1)], 15) < TRAINED.threshold - 0.1


def test_updates_logs_and_days_of_training_do_not_move_it():
    other = [
        *(_message(number, -3) for number in range(9)),
        *(_message(number, 1, activity="update") for number in range(9)),
        *(_message(number, 1, entity_kind="log") for number in range(9)),
    ]
    assert _threshold(other, 2) == TRAINED.threshold
