"""A short run of tests/support/prove_watch, and that its judge would see what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from watching import replay, soak
from watching.database import HISTORY
from watching.run import judge, judge_database

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "support" / "prove_watch"


@pytest.mark.slow
def test_kills_while_a_log_is_written_and_rotated_lose_and_double_nothing() -> None:
    required = os.environ.get("DETECTOR_REQUIRE_SERVERS") == "1"
    database = ["--database", "yes" if required else "if there"]
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "6", "--events", "20000", "--seed", "7", *database],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sound = json.loads(done.stdout)["sound"]
    assert sound == dict.fromkeys(sound, True)


@pytest.mark.slow
def test_a_day_that_does_not_let_up_loses_nothing_and_leaves_no_file_open() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--soak", "--minutes", "0.3", "--rate", "15", "--growth", "2"],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    told = json.loads(done.stdout or "{}")
    assert told["sound"] == dict.fromkeys(("events", "memory", "handles"), True), done.stdout
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_month_of_the_sample_agency_replayed_ends_as_one_score_of_it() -> None:
    log = ROOT / "data" / "sample" / "agency" / "2024-03.parquet"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--replay", "--logs", log],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    told = json.loads(done.stdout or "{}")
    same = dict.fromkeys(("hours", "touched", "scores", "alerts"), True)
    assert told["sound"] == same, done.stderr
    assert told["scores"] > 0


def test_the_comparison_of_a_replay_sees_one_row_that_differs() -> None:
    table = pl.DataFrame({"rows": [1, 2]})
    good = {"hours": table, "touched": table, "scores": table, "alerts": ["a"]}
    assert all(replay.compare(good, good).values())
    for name in ("hours", "touched", "scores"):
        assert not replay.compare(good, {**good, name: table.with_columns(rows=3)})[name]
    assert not replay.compare(good, {**good, "alerts": ["a", "b"]})["alerts"]


def test_the_judge_of_a_day_sees_what_grows() -> None:
    flat = [{"mb": 500, "handles": 9}] * 24
    assert all(soak.judge(flat, 5, 5, 5, 1.1).values())
    assert soak.judge(flat, 5, 4, 5, 1.1)["events"] is False
    more = [*flat[:-1], {"mb": 551, "handles": 13}]
    assert soak.judge(more, 5, 5, 5, 1.1) == {"events": True, "memory": False, "handles": False}


def test_the_judge_of_a_database_sees_what_is_lost_or_doubled() -> None:
    hours = pl.DataFrame({"statements": [2, 3]})
    touched = pl.DataFrame({"value": [HISTORY, "other"], "statements": [7, 9]})
    good = {"hours": hours, "touched": touched, "scores": hours, "rejects": 0,
            "alerts": ["a"], "sink": ["a"]}  # fmt: skip
    assert all(judge_database(good, good, 7).values())
    assert not judge_database(good, good, 8)["transactions"]
    assert not judge_database({**good, "hours": hours.head(1)}, good, 7)["hours"]
    assert not judge_database({**good, "alerts": []}, good, 7)["alerts"]


def test_the_judge_sees_what_is_lost_or_doubled() -> None:
    table = pl.DataFrame({"statements": [2, 3]})
    good = {"hours": table, "touched": table, "scores": table, "rejects": 1,
            "alerts": ["a"], "sink": ["a"]}  # fmt: skip
    assert all(judge(good, good, 5, 1).values())
    for name, bad in (
        ("hours", table.head(1)), ("rejects", 2), ("alerts", []), ("sink", ["a", "b"]),
        ("scores", table.head(1)),
    ):  # fmt: skip
        assert not all(judge({**good, name: bad}, good, 5, 1).values())
    assert not all(judge(good, good, 6, 1).values())
