import json

import pytest
import typer
from typer.testing import CliRunner

from detector import registry
from detector.cli.commands.check import check
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.format_detection import detect
from detector.normalize.log_report import build_report
from detector.readers.log_input import LocalFile

HEAD = "timestamp,account,action,rows\n"


def log(tmp_path, name, *lines):
    path = tmp_path / name
    path.write_text(HEAD + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def surveyed(*paths):
    files, unused = detect(list(map(LocalFile, paths)), registry.sources(), Settings())
    told = []
    return build_report(files, Settings(), told.append, unused), told


LINES = [
    "2024-02-06T10:00:00Z,bob,read,5",
    "2024-02-06T11:00:00Z,eve,read,500",
    "2024-02-07T10:00:00Z,bob,write,",
    "yesterday,bob,read,1",
    "2024-02-06T10:00:00Z,,read,1",
    "2024-02-06T10:00:00Z,bob",
]


def test_a_survey_adds_up_files(tmp_path):
    one, two = log(tmp_path, "1.csv", *LINES), log(tmp_path, "2.csv", *LINES)
    empty = tmp_path / "3.csv"
    empty.write_text("", encoding="utf-8")
    found, told = surveyed(one, two, empty)
    assert (found.events, found.reads, found.unknown_rows, found.accounts) == (6, 4, 0, 2)
    assert found.actions == {"read": 4, "write": 2}
    assert found.top_accounts == [("eve", 2, 1000), ("bob", 4, 10)]
    assert (str(found.first), str(found.last)) == (
        "2024-02-06 10:00:00+00:00",
        "2024-02-07 10:00:00+00:00",
    )
    assert found.rejects["no account"] == (2, f"{one}:6")
    assert [(file.events, file.rejects, file.source) for file in found.files] == [(3, 3, "csv")] * 2
    assert told[-1] == one.stat().st_size * 2
    warnings = " ".join(found.warnings())
    for words in (
        "3.csv is not used",
        "50.0% of records",
        "'bob'",
    ):
        assert words in warnings


def test_a_log_without_row_counts_is_told_loudly(tmp_path):
    path = tmp_path / "a.csv"
    accounts = [f"agent{i}" for i in range(5)]
    path.write_text(
        "time,user\n" + "".join(f"2024-02-06T10:00:00Z,{a}\n" for a in accounts), encoding="utf-8"
    )
    found, _ = surveyed(path)
    (warned,) = found.warnings()
    assert warned.startswith("the log has no row counts: how much was read is unknown, not 0")


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(check)
    return lambda *arguments: CliRunner().invoke(
        app, list(map(str, arguments)), catch_exceptions=False
    )


def test_check_shows_people_what_was_understood(run, tmp_path):
    result = run(log(tmp_path, "1.csv", *LINES, "2024-02-06T10:00:00Z,\x1b[2Jx,read,9"))
    assert result.exit_code == 0
    assert not result.stdout
    shown = " ".join(result.stderr.split())
    for words in ("guessed", "column 'account'", "500", "no account", "Warning:", r"\x1b[2Jx"):
        assert words in shown
    assert "\x1b[2J" not in result.stderr


def test_check_gives_machines_json(run, tmp_path):
    result = run(log(tmp_path, "1.csv", *LINES), "--json", "--source", "csv")
    found = json.loads(result.stdout)
    assert (found["events"], found["rejected"], found["accounts"]) == (3, 3, 2)
    assert found["files"][0]["guessed"] is False
    assert found["files"][0]["mapping"]["timestamp"].startswith("column 'timestamp'")
    assert found["warnings"]


def test_only_successful_reads_can_lack_a_row_count(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "timestamp,account,action,rows,success\n"
        "2024-02-06T10:00:00Z,bob,login,,true\n"
        "2024-02-06T10:00:00Z,bob,read,,false\n"
        "2024-02-06T10:00:00Z,bob,export,,true\n"
        "2024-02-06T10:00:00Z,bob,read,3,true\n"
        "2024-02-06T10:00:00Z,bob,read,3,true\n",
        encoding="utf-8",
    )
    found, _ = surveyed(path)
    assert (found.reads, found.unknown_rows) == (3, 1)
    assert "33.3% of reading statements have no row count" in found.warnings()


def test_a_log_without_reads_is_said_to_show_no_theft(tmp_path):
    found, _ = surveyed(log(tmp_path, "1.csv", "2024-02-06T10:00:00Z,bob,login,"))
    assert any("no successful read is in the log" in warning for warning in found.warnings())


def test_a_file_that_breaks_while_it_is_read_leaves_no_trace_in_the_figures(tmp_path):
    good = log(tmp_path, "1.csv", *LINES)
    alone, _ = surveyed(good)
    broken = tmp_path / "2.parquet"
    broken.write_bytes(b"PAR1 and no more")
    found, _ = surveyed(broken, good)
    assert (found.events, found.top_accounts, found.rejects) == (
        alone.events,
        alone.top_accounts,
        alone.rejects,
    )
    assert [name for name, _ in found.unused] == [str(broken)]
    with pytest.raises(InputError, match="no readable Parquet"):
        surveyed(broken)
