"""A file whose name is no UTF-8 is a file like any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[2] / "models" / "agency"
LINE = (
    '{{"timestamp": "2024-03-04T08:00:{0:02}Z", "account": "ann", "action": "read", "rows": 3}}\n'
)


def run(folder: Path, *arguments: str | bytes) -> subprocess.CompletedProcess[str]:
    code = "from detector.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True,
        errors="surrogateescape", check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        "check",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("score", "watch")),
    ],
)
def test_a_name_that_is_no_utf_8(tmp_path: Path, command: str) -> None:
    (tmp_path / "logs").mkdir()
    name = os.fsencode(tmp_path / "logs") + b"/p\xe9rsonnel-\xff.ndjson"
    with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123 - bytes
        file.writelines([*(LINE.format(second) for second in range(30)), "no json\n"])
    os.utime(name, (1, 1))
    flags: list[str] = [] if command == "check" else ["--ledger", "ledger", "--model", str(MODEL)]
    flags += ["--once", "--silent-after", "0"] if command == "watch" else []
    done = run(tmp_path, command, "logs", *flags)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
    if command == "score":
        (reject,) = (tmp_path / "out" / "rejects.ndjson").read_text(encoding="utf-8").splitlines()
        assert json.loads(reject)["file"].endswith("p\\xe9rsonnel-\\xff.ndjson")
    if command == "watch":
        shown = run(tmp_path, "status", "--state", "state")
        assert "Traceback" not in shown.stderr
