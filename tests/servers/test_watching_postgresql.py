"""A real PostgreSQL with pgaudit writes its log while it is watched, and the watcher is killed."""

from __future__ import annotations

import random
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from small_office import trained_once
from watched import Clock, Kit, counted

from detector import registry
from detector.core.settings import Settings
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.normalize.format_detection import detect
from detector.readers.log_input import LocalFile
from detector.watch.day_scoring import DayScorer
from simulation.office.server import Server

SECONDS = 8


@pytest.mark.slow
def test_all_that_pgbench_did_counts_as_in_batch(
    rotating: Server,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DayScorer, "score_complete", lambda *_, **__: [])
    monkeypatch.setattr(DayScorer, "score_running", lambda *_: [])
    kit = Kit(tmp_path, trained_once(tmp_path_factory), Settings(), Clock(time.time()))
    logs = [str(rotating.csvlog.parent / "*.csv")]
    bench, environment = rotating.bin / "pgbench", rotating.environment("postgres")
    subprocess.run([bench, "-i", "-q"], env=environment, check=True, capture_output=True)
    chance = random.Random(4)
    with ExitStack() as stack:
        watcher = stack.enter_context(kit.watching(*logs, settle=1.0))
        with subprocess.Popen(
            [bench, "-c", "4", "-T", str(SECONDS)], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as client:  # fmt: skip
            while client.poll() is None:
                kit.clock.now = time.time()
                watcher.run_cycle()
                if chance.random() < 0.1:
                    stack.close()
                    watcher = stack.enter_context(kit.watching(*logs, settle=1.0))
                time.sleep(0.05)
        rotating.written()
        kit.clock.now = time.time() + 10
        watcher.finish()
        found = counted(watcher)
        hours = watcher.ledger_view.hours(
            watcher.ledger_view.days()[0], watcher.ledger_view.days()[-1]
        )
    files = sorted(rotating.csvlog.parent.glob("*.csv"))
    assert len(files) > 3
    ledger = Ledger.open(tmp_path / "batch", "UTC")
    known, _ = detect(list(map(LocalFile, files)), registry.sources(), kit.settings)
    done = ingest(known, ledger, kit.settings, lambda *_: None)
    assert found == done.events > 1000
    assert hours.equals(ledger.hours())
