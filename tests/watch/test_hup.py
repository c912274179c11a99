"""SIGHUP takes over what is new once it was checked, and changes nothing where it is bad."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from watched import append, as_lines, events_on

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "data" / "sample" / "agency" / "detector.toml").read_text(encoding="utf-8")
SOME = events_on(datetime(2024, 2, 5, 8, tzinfo=UTC), 900, timedelta(seconds=70))
#: More than twice what any person read on a day of training.
THEFT = events_on(datetime(2024, 2, 9, 8, tzinfo=UTC), 10, timedelta(seconds=70)).with_columns(
    rows=pl.lit(10_000_000)
)
PATIENCE = 90


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.05)


@pytest.mark.slow
def test_sinks_are_taken_over_and_bad_settings_change_nothing(tmp_path: Path) -> None:
    logs, settings, sink = (tmp_path / name for name in ("logs", "s.toml", "alerts.ndjson"))
    logs.mkdir()
    settings.write_text(SETTINGS, encoding="utf-8")
    words = [
        sys.executable, "-c", "from detector.cli.main import run; run()", "watch", str(logs),
        "--model", str(ROOT / "models" / "agency"), "--settings", str(settings), "--log-json",
        "--settle", "0",
    ]  # fmt: skip
    said: list[dict] = []
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        listener = threading.Thread(target=lambda: said.extend(map(json.loads, process.stderr)))
        listener.start()
        try:
            until(lambda: any(line["event"] == "started" for line in said))
            for text, wanted in (
                ("alerts_per_day = 0\n", "alerts_per_day"),
                (SETTINGS.replace("Europe/Paris", "Asia/Tokyo"), "counts days in Europe/Paris"),
                (f"{SETTINGS}\npseudonyms = true\n", "pseudonym"),
                (f'{SETTINGS}\n[[sinks]]\nurl = "nowhere://a"\n', "no sink takes 'nowhere' URLs"),
                (
                    f'{SETTINGS}\n[[sinks]]\nname = "new"\nurl = "file://{sink}"\n',
                    "alerts go to new",
                ),
            ):
                settings.write_text(text, encoding="utf-8")
                before = len(said)
                process.send_signal(signal.SIGHUP)
                until(lambda before=before: len(said) > before)
                assert wanted in said[-1]["message"]
                refused = "nothing was changed, model" in said[-1]["message"]
                assert refused == (wanted != "alerts go to new")
            append(logs / "a.ndjson", as_lines(SOME) + as_lines(THEFT))
            until(lambda: sink.exists() and sink.read_bytes())
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE)
            listener.join()
    assert code == 0
    raised = [line["alert"] for line in said if line["event"] == "alert"]
    sent = [
        json.loads(line)["finding_info"]["uid"]
        for line in sink.read_text(encoding="utf-8").splitlines()
    ]
    assert raised
    assert sorted(raised) == sorted(sent)


def test_a_hangup_before_it_has_started_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    program = """
import os, signal
from detector.cli import main
from detector.cli.commands import watch
left, old = [signal.SIGHUP], watch.PipelineFactory.load
def judging(self):
    while left:
        os.kill(os.getpid(), left.pop())
    return old(self)
watch.PipelineFactory.load = judging
main.run()
"""
    model = str(ROOT / "models" / "agency")
    words = [sys.executable, "-c", program, "watch", "logs", "--model", model, "--log-json"]
    said: list[dict] = []
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        listener = threading.Thread(target=lambda: said.extend(map(json.loads, process.stderr)))
        listener.start()
        try:
            # Asked for before the start, and heeded after it.
            until(lambda: any(line["event"] == "model" for line in said))
            assert any(line["event"] == "started" for line in said)
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE)
            listener.join()
    assert code == 0
