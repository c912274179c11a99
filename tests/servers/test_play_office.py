"""The same office on two servers: the thief of the last night is found on both."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from office.plan import PERSONS, THIEF, sessions

SCRIPT = Path(__file__).parents[2] / "scripts" / "play_office.py"


@pytest.fixture(scope="module")
def office():
    spec = importlib.util.spec_from_file_location("play_office", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_score_finds_the_thief(name, office, request, tmp_path, detector):
    request.getfixturevalue(name)  # skips, or fails, where the server is not there
    before, night = getattr(office, f"on_{name}")(sessions(20240205))
    (tmp_path / "learn.log").write_text(before, newline="", encoding="utf-8")
    (tmp_path / "night.log").write_text(night, newline="", encoding="utf-8")
    places = ("--ledger", tmp_path / "ledger", "--model", tmp_path / "model")
    trained = detector("train", tmp_path / "learn.log", *places)
    assert trained.code == 0, trained.err
    scored = detector(
        *("score", tmp_path / "night.log", *places, "--out", tmp_path / "out", "--format", "native")
    )
    assert scored.code == 0, scored.err
    written = (tmp_path / "out" / "alerts.ndjson").read_text(encoding="utf-8")
    alerts = [json.loads(line) for line in written.splitlines()]
    found = [alert for alert in alerts if alert["entity"] == THIEF]
    assert found, scored.err
    assert found[0]["time"].startswith("2024-02-05T02:00")
    assert found[0]["records_out"] < PERSONS / 2
