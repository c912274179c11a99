"""A write that fails leaves the old file whole and nothing else, and is told in one line.

The kernel refuses the writes: a process may not make files larger than its limit says.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from shared import no_space_beyond

from detector.alerts import writer
from detector.cli.commands import drill
from detector.core import files
from detector.core.errors import DetectorError, InputError
from detector.core.schema import DRILL_RESULTS, REJECTS, SCORES, empty
from detector.delivery.config import parse_flag
from detector.delivery.sinks import file as file_sink
from detector.delivery.test_alert import build_test_alert
from detector.privacy import audit_log
from detector.privacy.audit_log import RevealAttempt
from detector.triage import store as verdicts
from detector.triage.records import make_verdict
from detector.triage.subjects import Subject
from detector.watch import status

NOW = datetime(2024, 2, 6, 9, tzinfo=UTC)
ALERT = build_test_alert(NOW)


def write_results(folder: Path) -> None:
    rejects = pl.DataFrame([("a.log", 1, "bad")], schema=dict(REJECTS), orient="row").lazy()
    writer.write(folder, empty(SCORES), [ALERT], rejects, lambda alert: repr(alert).encode())


def write_rejects(folder: Path) -> None:
    row = pl.DataFrame([("a.log", 1, "bad" * 99)], schema=dict(REJECTS), orient="row").lazy()
    writer.write(folder, empty(SCORES), [], row, lambda _: b"")


def write_scores(folder: Path) -> None:
    writer.write(folder, empty(SCORES), [], empty(REJECTS).lazy(), lambda _: b"")


def give_verdict(folder: Path) -> None:
    given = make_verdict(Subject.from_alert(ALERT, ()), "benign", "audit", "ann", NOW, None)
    verdicts.append(folder / "verdicts.ndjson", [given])


WRITES: dict[str, Callable[[Path], None]] = {
    "alerts.ndjson": write_results,
    "rejects.ndjson": write_rejects,
    "scores.parquet": write_scores,
    "held.ndjson": lambda folder: writer.write_suppressed(folder, [ALERT]),
    "drill.parquet": lambda folder: drill._write_campaigns(empty(DRILL_RESULTS), folder),
    "drill.svg": lambda folder: drill._draw_plot(
        SimpleNamespace(campaigns=empty(DRILL_RESULTS)),
        SimpleNamespace(alerts_per_day=1),
        folder / "drill.svg",
    ),
    "verdicts.ndjson": give_verdict,
    "reveal-audit.ndjson": lambda folder: audit_log.write(
        folder / "reveal-audit.ndjson", [RevealAttempt("u-x", "ann")], "bob", "why"
    ),
    "status.json": lambda folder: status.write(folder, {"pid": 1, "logs": ["a" * 99]}),
    "scores/2024-02-05.parquet": lambda folder: writer.write_day_scores(
        folder, date(2024, 2, 5), empty(SCORES)
    ),
}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_that_fails_leaves_what_was_there_and_no_debris(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    WRITES[name](folder)
    before = contents(folder)
    with no_space_beyond(64), pytest.raises(DetectorError) as caught:
        WRITES[name](folder)
    assert contents(folder) == before
    told = str(caught.value)
    assert "\n" not in told
    assert str(folder / name) in told
    assert "File too large" in told
    assert caught.value.hint
    assert caught.value.exit_code == 1


def test_a_sink_that_is_full_holds_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "alerts.ndjson"
    target = parse_flag(f"file://{path}#rotate_bytes=0")
    file_sink.append(path, b"one\n", target, NOW.date)
    with no_space_beyond(64), pytest.raises(OSError, match="File too large"):
        file_sink.append(path, b"x" * 99 + b"\n", target, NOW.date)
    assert contents(tmp_path) == {path: b"one\n"}


def test_a_disk_that_is_full_is_told_with_the_way_to_mend_it() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/out/alerts.ndjson")
    told = str(InputError.not_written(full, "/out"))
    assert told == (
        "/out/alerts.ndjson: cannot be written (No space left on device); "
        "free space there, and run it again"
    )


KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from detector.core import files
with files.replacement(Path(sys.argv[1])) as fresh:
    fresh.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_gone_after_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    left = next(each for each in tmp_path.iterdir() if each != path)
    assert files.is_scratch(left)
    files.write_atomically(tmp_path / "b", b"other")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "b"]


def test_what_another_writer_has_under_way_is_left_alone(tmp_path: Path) -> None:
    with files.replacement(tmp_path / "a") as fresh:
        fresh.write_bytes(b"first")
        files.write_atomically(tmp_path / "a", b"second")
        files.write_folder(tmp_path / "b", {"c": b"d"})
    assert contents(tmp_path) == {tmp_path / "a": b"first", tmp_path / "b" / "c": b"d"}
    assert {each.name for each in tmp_path.iterdir()} == {"a", "b"}


def test_files_have_the_permissions_that_are_asked_for(tmp_path: Path) -> None:
    for mask, mode in ((0o077, 0o600), (0o027, 0o640)):
        before = os.umask(mask)
        try:
            files.write_atomically(tmp_path / "a", b"")
        finally:
            os.umask(before)
        assert (tmp_path / "a").stat().st_mode & 0o777 == mode
