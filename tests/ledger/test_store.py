import json
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from ledger_samples import source, write_log
from typer.testing import CliRunner

from detector.cli.commands.ledger import ledger as command
from detector.core.errors import LedgerError
from detector.core.schema import HOURLY_SUMS, TOUCHED_VALUES, check
from detector.core.settings import Settings
from detector.ledger.ingest import ingest
from detector.ledger.store import TOTAL_COLUMNS, Ledger
from detector.ledger.summary import gaps
from detector.readers.log_input import LocalFile

LINES = [{"at": hours, "rows": 10, "account": f"a{hours}"} for hours in (0, 24, 96)]


def filled(tmp_path: Path, *more: dict) -> Ledger:
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    log = write_log(tmp_path / "a.log", *LINES, *more)
    ingest([(LocalFile(log), source())], ledger, Settings(), lambda *_: None)
    return ledger


def refusal(path: Path, timezone: str | None = "UTC", *, create: bool = True) -> str:
    with pytest.raises(LedgerError) as caught:
        Ledger.open(path, timezone, create=create).hours()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_new_ledger_is_empty_and_opens_again(tmp_path):
    Ledger.open(tmp_path / "deep" / "ledger", "Europe/Paris")
    again = Ledger.open(tmp_path / "deep" / "ledger", None, create=False)
    assert again.timezone == "Europe/Paris"
    assert (again.parts(), again.days()) == ([], [])
    assert check(again.hours(), HOURLY_SUMS, "hours").is_empty()
    assert check(again.touched(), TOUCHED_VALUES, "touched").is_empty()


def test_days_can_be_chosen_and_both_ends_count(tmp_path):
    ledger = filled(tmp_path)
    days = [date(2024, 2, 6), date(2024, 2, 7), date(2024, 2, 10)]
    assert ledger.days() == days
    assert ledger.hours(days[1])["account"].to_list() == ["a24", "a96"]
    assert ledger.hours(None, days[1])["account"].to_list() == ["a0", "a24"]
    assert ledger.hours(days[1], days[1])["account"].to_list() == ["a24"]
    assert ledger.hours(date(2024, 2, 8), date(2024, 2, 9)).is_empty()


def test_accounts_and_totals_are_those_of_the_merged_hours(tmp_path):
    """Of days with one part and with several."""
    ledger = filled(tmp_path)
    log = write_log(tmp_path / "b.log", {"at": 0, "rows": None, "account": "a0"},
                    {"at": 1, "rows": 5, "account": "b", "action": "export"})  # fmt: skip
    ingest([(LocalFile(log), source())], ledger, Settings(), lambda *_: None)
    span = (date(2024, 2, 6), date(2024, 2, 7))
    hours = ledger.hours(*span)
    wanted = hours.group_by("action").agg(pl.col(TOTAL_COLUMNS).sum()).sort("action")
    assert ledger.totals(*span).sort("action").equals(wanted)
    assert ledger.accounts(*span).to_list() == sorted(set(hours["account"])) == ["a0", "a24", "b"]
    assert ledger.totals(date(2023, 1, 1), date(2023, 1, 2)).is_empty()


def test_a_damaged_file_is_named_by_totals_and_accounts_too(tmp_path):
    ledger = filled(tmp_path)
    (harmed,) = (tmp_path / "ledger" / "hours" / "day=2024-02-06").iterdir()
    harmed.write_bytes(b"PAR1 no more")
    for told in (ledger.totals, ledger.accounts):
        with pytest.raises(LedgerError, match=harmed.name):
            told(date(2024, 2, 6), date(2024, 2, 7))


def test_dimensions_can_be_chosen_whether_or_not_a_day_has_several_parts(tmp_path):
    there = {"object": "person", "client_address": "10.0.0.1", "application": "psql"}
    ledger = filled(tmp_path, {"at": 48, **there})
    log = write_log(tmp_path / "b.log", {"at": 1, "rows": 5, "account": "a0", **there})
    ingest([(LocalFile(log), source())], ledger, Settings(), lambda *_: None)
    whole = ledger.touched()
    chosen = ledger.touched(dimensions=["object", "client_address"])
    assert chosen.equals(whole.filter(pl.col("dimension").is_in(["object", "client_address"])))
    assert 0 < chosen.height < whole.height


def test_only_the_files_of_the_days_asked_for_are_read(tmp_path):
    ledger = filled(tmp_path)
    for path in (tmp_path / "ledger" / "hours" / "day=2024-02-06").iterdir():
        path.write_bytes(b"damaged")
    assert ledger.hours(date(2024, 2, 7)).height == 2


def test_another_time_zone_is_refused(tmp_path):
    filled(tmp_path)
    words = refusal(tmp_path / "ledger", "Europe/Paris")
    assert "counts days in UTC, not in Europe/Paris; set timezone = 'UTC'" in words


def test_a_missing_ledger_is_not_made_when_only_looked_at(tmp_path):
    assert "there is no ledger" in refusal(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert "is no ledger: it has no ledger.json but 'thesis.txt'" in refusal(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "is a file" in refusal(tmp_path / "file")


def test_a_ledger_killed_while_it_was_made_can_be_made(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / ".detector-0123456789abcdef.tmp").write_text("{", encoding="utf-8")
    assert Ledger.open(tmp_path, "UTC").parts() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"format": 99, "kind": "detector ledger"}', "newer detector (format 99"),
        ('{"format": 2, "kind": "detector ledger"}', "older detector (format 2"),
        ('{"format": 4, "kind": "accounting"}', "is no ledger of detector's"),
        ('{"format": 4, "kind": "detector ledger", "timezone": 3}', "is no ledger"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_damaged_newer_or_foreign_head_is_refused(tmp_path, text, words):
    filled(tmp_path)
    (tmp_path / "ledger" / "ledger.json").write_text(text, encoding="utf-8")
    assert words in refusal(tmp_path / "ledger")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "newer detector"),
        ({"format": 1}, "older detector"),
        ({"days": ["soon"]}, "damaged manifest"),
        ({"tail": []}, "damaged manifest"),
        ({"size": "12"}, "damaged manifest"),
        ({"events": None}, "damaged manifest"),
        ({"digests": {}}, "damaged manifest (digests of other files)"),
        ({"digests": []}, "damaged manifest"),
        ({"id": "../../etc"}, "damaged manifest"),
        ({"reading": "../../../../x"}, "damaged manifest"),
    ],
)
def test_a_damaged_or_newer_manifest_is_refused(tmp_path, change, words):
    filled(tmp_path)
    [path] = (tmp_path / "ledger" / "parts").iterdir()
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8"
    )
    told = refusal(tmp_path / "ledger")
    assert words in told
    assert path.name in told


@pytest.mark.parametrize("damage", ["cut", "noise", "gone", "foreign"])
@pytest.mark.parametrize("table", ["hours", "touched"])
def test_damaged_parquet_is_named_with_how_to_mend_it(tmp_path, damage, table):
    ledger = filled(tmp_path)
    [path] = (tmp_path / "ledger" / table / "day=2024-02-07").iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "noise":
        path.write_bytes(bytes(range(256)) * 4)
    elif damage == "gone":
        path.unlink()
    else:
        pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(LedgerError) as caught:
        getattr(ledger, table)()
    part = ledger.parts()[0].id
    assert str(path) in str(caught.value)
    assert f"delete {tmp_path / 'ledger' / 'parts' / part}.json and score the log again" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", ["hours", "touched", "rejects"])
def test_whole_files_that_changed_places_are_refused_in_one_line(tmp_path, table):
    """Each is sound Parquet with the right columns: only its digest tells that it is another's."""
    ledger = filled(tmp_path, {"at": 2, "account": "c", "rows": 1, "object": "person"})
    log = write_log(tmp_path / "b.log", {"at": 0, "rows": 9, "account": "b", "object": "car"},
                    {"at": 24, "rows": 9, "account": "b"})  # fmt: skip
    ingest([(LocalFile(log), source())], ledger, Settings(), lambda *_: None)
    folder = tmp_path / "ledger" / table
    if table == "rejects":
        whole = pl.DataFrame({"file": ["a"], "line": [1], "reason": ["none"]})
        part = ledger.parts()[0]
        path = folder / f"{part.stem}.parquet"
        whole.write_parquet(path)
        kept = replace(part, rejects=1)
        ledger.commit(kept)
        assert ledger.rejects([part.id]).collect().height == 1
        whole.with_columns(reason=pl.lit("other")).write_parquet(path)
        read = partial(ledger.rejects, [part.id])
    else:
        path, other = sorted((folder / "day=2024-02-06").iterdir())
        read = getattr(ledger, table)
        assert read().height
        path.rename(tmp_path / "aside")
        other.rename(path)
        (tmp_path / "aside").rename(other)
    with pytest.raises(LedgerError, match="its digest is not the one in its manifest") as caught:
        read()
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_days_of_one_part_that_changed_places_are_refused_by_totals(tmp_path):
    ledger = filled(tmp_path)
    one, two = (
        next((tmp_path / "ledger" / "hours" / f"day=2024-02-0{n}").iterdir()) for n in (6, 7)
    )
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    with pytest.raises(LedgerError, match="its digest is not the one in its manifest"):
        ledger.totals(date(2024, 2, 6), date(2024, 2, 7))


def test_the_mending_the_message_names_works(tmp_path):
    ledger = filled(tmp_path)
    whole = ledger.hours()
    [path] = (tmp_path / "ledger" / "hours" / "day=2024-02-07").iterdir()
    path.write_bytes(b"noise")
    (tmp_path / "ledger" / "parts" / f"{ledger.parts()[0].id}.json").unlink()
    filled(tmp_path)
    assert ledger.hours().equals(whole)


def test_gaps_are_the_days_in_between():
    first = date(2024, 2, 6)
    days = [first + timedelta(days=number) for number in (0, 1, 3, 7)]
    assert gaps(days) == [
        (date(2024, 2, 8), date(2024, 2, 8)),
        (date(2024, 2, 10), date(2024, 2, 12)),
    ]
    assert gaps([]) == []


def run(*arguments: str):
    import typer

    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_the_command_shows_parts_days_gaps_and_hostile_names_safely(tmp_path):
    filled(tmp_path, {"at": 96, "account": "\x1b[2J", "rows": None})
    shown = run("--ledger", str(tmp_path / "ledger"))
    assert shown.stdout == ""
    assert "a.log" in shown.stderr
    assert "no data from 2024-02-08 to 2024-02-09" in shown.stderr
    assert "25.0%" in shown.stderr
    assert "\x1b[2J" not in shown.stderr


def test_the_command_gives_json_on_stdout(tmp_path):
    filled(tmp_path)
    told = json.loads(run("--ledger", str(tmp_path / "ledger"), "--json").stdout)
    assert (told["accounts"], told["statements"], told["rows"]) == (3, 3, 30)
    assert told["unknown_share"] == 0
    assert told["gaps"] == [["2024-02-08", "2024-02-09"]]
    assert [part["file"] for part in told["parts"]] == ["a.log"]


def test_a_ledger_without_its_manifests_is_refused_and_its_data_kept(tmp_path):
    folder = tmp_path / "ledger"
    Ledger.open(folder, "UTC")
    data = folder / "hours" / "day=2024-02-06" / "x.parquet"
    data.parent.mkdir()
    data.write_bytes(b"")
    (folder / "parts").rmdir()
    with pytest.raises(LedgerError, match="its folder 'parts' is missing; "):
        Ledger.open(folder, "UTC")
    assert data.exists()


def test_a_copy_that_lost_empty_folders_and_gained_others_still_works(tmp_path):
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    (ledger.path / "rejects").rmdir()
    (ledger.path / "parts" / "folder").mkdir()
    (ledger.path / "hours" / "notes").write_text("", encoding="utf-8")
    with ledger.write_lock():
        assert (ledger.path / "rejects").is_dir()


def test_a_ledger_that_cannot_be_locked_is_told_in_one_line(tmp_path):
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    (ledger.path / "lock").mkdir()
    with (
        pytest.raises(LedgerError, match=r"cannot be written \(.*; .*--ledger"),
        ledger.write_lock(),
    ):
        pass
