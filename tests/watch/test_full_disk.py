"""A disk that is full or broken stops a watcher in one line, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from watched import append, as_lines, events_on

from detector.ledger.store import Ledger

ROOT = Path(__file__).parents[2]
FIRST = events_on(datetime(2024, 2, 5, 8, tzinfo=UTC), 300, timedelta(seconds=7))
THEN = events_on(datetime(2024, 2, 8, 9, tzinfo=UTC), 200, timedelta(seconds=5))
PATIENCE = 120


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        if os.environ.get("DETECTOR_REQUIRE_SERVERS") == "1":
            pytest.fail("DETECTOR_REQUIRE_SERVERS=1, but there is no C compiler")
        pytest.skip("no C compiler to make writes fail with")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def command(folder: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-c", "from detector.cli.main import run; run()",
        "watch", str(folder / "logs"), "--state", str(folder / "disk" / "state"),
        "--ledger", str(folder / "disk" / "ledger"), "--out", str(folder / "disk" / "out"),
        "--model", str(ROOT / "models" / "agency"), "--settle", "0",
        "--settings", str(ROOT / "data" / "sample" / "agency" / "detector.toml"), *more,
    ]  # fmt: skip


@contextmanager
def running(folder: Path, faults: Path) -> Iterator[subprocess.Popen]:
    environment = {
        **os.environ, "LD_PRELOAD": str(faults), "FAULT_FLAG": str(folder / "full"),
        "FAULT_FOLDER": str(folder / "disk"),
    }  # fmt: skip
    with subprocess.Popen(
        command(folder), stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)


def until(folder: Path, events: int) -> None:
    """Waits until the watcher says that it has so many events."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(OSError, ValueError):
            status = json.loads(
                (folder / "disk" / "state" / "status.json").read_text(encoding="utf-8")
            )
            if status["events"] == events:
                return
        time.sleep(0.1)
    raise AssertionError("the watcher did not come so far")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "partial"])
def test_writes_that_fail_stop_it_in_one_line_and_nothing_is_lost(
    tmp_path: Path, faults: Path, how: str
) -> None:
    log = tmp_path / "logs" / "audit.ndjson"
    append(log, as_lines(FIRST))
    (tmp_path / "disk").mkdir()
    with running(tmp_path, faults) as process:
        until(tmp_path, FIRST.height)
        (tmp_path / "full").write_text(how, encoding="utf-8")
        append(log, as_lines(THEN))
        code = process.wait(PATIENCE)
        said = process.stderr.read().strip().splitlines()
    assert code == 1
    assert "Traceback" not in "\n".join(said)
    assert said[-1].startswith("detector: ")
    assert str(tmp_path / "disk") in said[-1]
    (tmp_path / "full").unlink()
    done = subprocess.run(
        command(tmp_path, "--once"), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    hours = Ledger.open(tmp_path / "disk" / "ledger", None).hours()
    assert int(hours["statements"].sum()) == FIRST.height + THEN.height
