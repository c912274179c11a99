"""The same office on two servers: the thief of the last night is found on both."""

from __future__ import annotations

import json

import pytest

from simulation import play_office
from simulation.office.plan import PERSONS, THIEF, sessions


@pytest.mark.slow
@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_score_finds_the_thief(name, request, tmp_path, detector):
    request.getfixturevalue(name)  # skips, or fails, where the server is not there
    before, night = getattr(play_office, f"on_{name}")(sessions(20240205))
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
