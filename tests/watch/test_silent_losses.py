"""What is lost or not read is said: an alert of kind log, and a line of ``status``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from watched import (
    LATER,
    Kit,
    append,
    as_lines,
    counted,
    counting_kit,
    morning,
)

from detector.watch import log_conditions, status
from detector.watch.health import Health
from detector.watch.log_content import PlainFile
from detector.watch.service import raise_health_alerts
from detector.watch.watcher import Watcher

FIRST, THEN = morning(60, 40)


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    return counting_kit(tmp_path, monkeypatch)


@pytest.fixture
def health(kit: Kit) -> Health:
    return Health(600.0, "none", conditions=log_conditions.LogConditions(kit.clock))


def read_all(watcher: Watcher) -> int:
    while not watcher.run_cycle().is_idle:
        pass
    return counted(watcher)


def told(watcher: Watcher, health: Health) -> list[tuple[str, str]]:
    found = raise_health_alerts(watcher, health, LATER)
    return [(Path(alert["entity"]).name, alert["reasons"][0]) for alert in found]


def shown(watcher: Watcher, health: Health) -> dict:
    """What status says, whose figures are the ledger's."""
    found = status.snapshot(watcher, 0.0, LATER, health.conditions.current)
    assert found["events"] == counted(watcher)
    return {each["what"]: each["name"] for each in found["wrong"]}


@pytest.mark.parametrize("way", ["deleted", "rotated to nothing", "followed by another"])
def test_a_log_that_is_gone_is_silent(kit: Kit, health: Health, way: str) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
        assert not told(watcher, health)
        log.rename(kit.folder / "away") if way != "deleted" else log.unlink()
        if way != "deleted":
            log.touch()
        read_all(watcher)
        if way == "followed by another":
            append(log, as_lines(THEN))
        kit.clock.now += 500
        read_all(watcher)
        assert not told(watcher, health)
        kit.clock.now += 200
        found = told(watcher, health)
        if way == "followed by another":
            assert not [words for _, words in found if "no log came after" in words]
            return
        ((name, words),) = found
        assert (name, "no log came after it" in words) == ("audit.log", True)
        assert shown(watcher, health) == {"gone": str(log)}
        assert not told(watcher, health)
        append(log, as_lines(THEN))
        read_all(watcher)
        told(watcher, health)
        assert shown(watcher, health) == {}


def test_a_log_that_went_while_nobody_watched(kit: Kit, health: Health) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
    log.unlink()
    with kit.watching() as watcher:
        read_all(watcher)
        ((name, words),) = told(watcher, health)
        assert name == "audit.log"
        assert "was gone when the watcher started" in words
        assert shown(watcher, health) == {"lost": str(log)}


def test_a_log_that_was_rotated_while_nobody_watched_is_not_lost(kit: Kit, health: Health) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
    log.rename(kit.logs / "audit.log.1")
    append(log, as_lines(THEN))
    with kit.watching() as watcher:
        assert read_all(watcher) == FIRST.height + THEN.height
        assert not told(watcher, health)


def test_a_file_that_is_denied(kit: Kit, health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    opened = PlainFile.open

    def denied(path: Path) -> PlainFile:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(PlainFile, "open", denied)
    with kit.watching() as watcher:
        read_all(watcher)
        kit.clock.now += 10
        read_all(watcher)
        assert told(watcher, health) == [("audit.log", "cannot be read (Permission denied)")]
        assert len(watcher.tracker.notices) == 1
        assert shown(watcher, health) == {"denied": str(log)}
        monkeypatch.setattr(PlainFile, "open", opened)
        kit.clock.now += 10
        assert read_all(watcher) == FIRST.height
        assert not told(watcher, health)
        assert shown(watcher, health) == {}


def test_a_lag_that_grows(kit: Kit, health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_conditions, "LAG_GROWTH", 1000)
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
        assert not told(watcher, health)
        append(log, b"x" * 5000)
        kit.clock.now += 599
        assert not [words for _, words in told(watcher, health) if "not read yet" in words]
        kit.clock.now += 2
        assert ("all logs", True) in [(n, "not read yet" in w) for n, w in told(watcher, health)]
        assert "lag" in shown(watcher, health)


def test_a_log_that_was_shortened(kit: Kit, health: Health) -> None:
    log = kit.logs / "audit.log"
    append(log, as_lines(FIRST))
    with kit.watching() as watcher:
        read_all(watcher)
    os.truncate(log, log.stat().st_size // 2)
    with kit.watching() as watcher:
        assert read_all(watcher) == FIRST.height
        ((name, words),) = told(watcher, health)
        assert (name, "was shortened or edited" in words) == ("audit.log", True)
        assert shown(watcher, health) == {"changed": str(log)}
    with kit.watching() as watcher:
        assert not told(
            watcher, Health(600.0, "none", conditions=log_conditions.LogConditions(kit.clock))
        )
