"""The command as a script meets it: help, version, exit codes, one line for each error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector import __version__
from detector.cli import app, console

NAMES = ("check", "train", "score", "drill", "evaluate", "ledger", "deliver", "sinks", "outbox")
LINE = '{"timestamp": "2024-02-01T08:00:00Z", "account": "ann", "rows": 3, "action": "read"}\n'


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    code = "from detector.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def run(
    detector: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in this process, which starts it a second sooner."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        ran = detector(*arguments)
        return subprocess.CompletedProcess([], ran.code, ran.out, ran.err)

    return command


Run = Callable[..., subprocess.CompletedProcess[str]]


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The only line of an error, after checking that it is one."""
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("detector: ")]
    assert len(lines) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == lines[0]
    return lines[0]


@pytest.mark.parametrize("command", [(), *[(name,) for name in NAMES]])
def test_help_is_given_and_exits_with_0(run: Run, command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert "--help" in done.stdout


def test_a_process_of_its_own_ends_with_the_same_codes(tmp_path: Path) -> None:
    helped, wrong, failed = (
        alone(tmp_path, *words) for words in (("--help",), ("nonsense",), ("check", "missing.csv"))
    )
    assert (helped.returncode, wrong.returncode, failed.returncode) == (0, 2, 1)
    assert "Usage:" in helped.stdout
    assert (wrong.stdout, "Traceback" in wrong.stderr) == ("", False)
    assert "missing.csv" in said(failed)


def test_the_version_is_the_package_s(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("train",),
        ("score", "log.csv", "--no-such-option"),
        ("train", "log.csv", "--until", "yesterday"),
        ("train", "log.csv", "--alerts-per-day", "many"),
        ("train", "log.csv", "--alerts-per-day", "-1"),
        ("train", "log.csv", "--settings", "missing.toml"),
    ],
)
def test_wrong_usage_exits_with_2(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "log.csv").write_text("timestamp,account\n", encoding="utf-8")
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_an_unknown_setting_is_named_with_the_file_and_the_nearest_one(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "detector.toml").write_text('timezon = "Europe/Paris"\n', encoding="utf-8")
    done = run("train", "log.csv")
    assert done.returncode == 2
    assert said(done) == (
        "detector: detector.toml: unknown setting 'timezon'; did you mean 'timezone'?"
    )


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_missing_log_is_one_line_that_names_it(run: Run, command: str) -> None:
    done = run(command, "missing.csv")
    assert done.returncode == 1
    assert "missing.csv" in said(done)


def test_a_missing_model_is_one_line_that_says_how_to_make_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_text(LINE, encoding="utf-8")
    done = run("score", "log.ndjson", "--model", "nowhere")
    assert done.returncode == 1
    assert "nowhere" in said(done)
    assert "detector train" in said(done)


def test_an_unknown_source_is_one_line_that_names_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_text(LINE, encoding="utf-8")
    done = run("check", "log.ndjson", "--source", "cobol")
    assert done.returncode in (1, 2)
    assert "cobol" in said(done)


def test_too_little_history_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").write_text(LINE, encoding="utf-8")
    done = run("train", "log.ndjson")
    assert done.returncode == 1
    assert "too few" in said(done)


def test_a_missing_ledger_is_one_line(run: Run) -> None:
    done = run("ledger", "--ledger", "nowhere")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("command", [("train", "--model"), ("score", "--out")])
def test_where_results_cannot_go_is_told_before_the_work(
    run: Run, tmp_path: Path, command: tuple[str, str]
) -> None:
    (tmp_path / "log.ndjson").write_text(LINE, encoding="utf-8")
    name, flag = command
    done = run(name, "log.ndjson", flag, "log.ndjson/there")
    assert done.returncode == 1
    assert said(done).endswith(f"which is a file; name another folder for {flag}")
    assert not (tmp_path / "ledger").exists()


def test_an_error_of_the_system_is_one_line_too(monkeypatch, capsys) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr(app, "app", full)
    with pytest.raises(SystemExit) as caught:
        app.run()
    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        "detector: /somewhere: No space left on device; free space there, and run it again\n"
    )


def test_text_from_a_log_neither_steers_nor_fills_the_screen() -> None:
    assert console.escape_controls("a\x1b[2J\n\u202eb") == "a\\x1b[2J\\x0a\\u202eb"
    assert len(console.escape_controls("x" * 1_000_000)) < 2_100


@pytest.mark.parametrize(
    "line",
    ["workdays = 5", "workdays = [true]", "alerts_per_day = true"],
)
def test_a_setting_that_cannot_be_meant_exits_with_2(run: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "log.ndjson").write_text(LINE, encoding="utf-8")
    (tmp_path / "detector.toml").write_text(line, encoding="utf-8")
    done = run("check", "log.ndjson")
    assert done.returncode == 2
    assert "must be" in said(done)
