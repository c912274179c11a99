"""What was mistyped or forgotten is said before the work, with the way to proceed."""

from types import SimpleNamespace

import polars as pl
import pytest
from typer.testing import CliRunner

from detector.cli import input_checks
from detector.cli.app import app
from detector.core.errors import DetectorError, SettingsError
from detector.core.settings import Settings
from detector.features.peer_groups import OTHER_GROUP
from detector.ledger.store import Ledger

FROM_DIRECTORY = ["registrars", "auditors"]
BY_USE = ["mostly public.person", "by night", OTHER_GROUP]


def learned(groups=BY_USE, **settings):
    """As much of a model as is looked at."""
    frame = pl.DataFrame({"account": [f"a{n}" for n in range(len(groups))], "group": groups})
    return SimpleNamespace(settings=Settings(**settings), baselines=SimpleNamespace(groups=frame))


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(input_checks.console, "say", lambda *words: lines.extend(map(str, words)))
    return lines


@pytest.fixture
def ledger(tmp_path):
    return Ledger.open(tmp_path / "ledger", "UTC").path


def test_nothing_is_said_where_all_is_as_in_training(said, ledger, tmp_path):
    input_checks.check_against_model(learned(), Settings(), None, ledger)
    input_checks.check_against_model(
        learned(FROM_DIRECTORY), Settings(), tmp_path / "directory.csv", ledger
    )
    assert said == []


def test_a_forgotten_directory_is_a_warning_with_both_ways_to_name_it(said, ledger):
    input_checks.check_against_model(learned(FROM_DIRECTORY), Settings(), None, ledger)
    [warning] = said
    assert warning.startswith("Warning: the model was trained with a directory")
    assert "--directory, or directory in the settings" in warning


def test_a_group_of_the_directory_among_groups_by_use_is_enough(said, ledger):
    input_checks.check_against_model(learned([*BY_USE, "registrars"]), Settings(), None, ledger)
    assert len(said) == 1


def test_a_new_ledger_is_a_warning_that_names_it(said, tmp_path):
    input_checks.check_against_model(learned(), Settings(), None, tmp_path / "legder")
    [warning] = said
    assert warning.startswith(f"Warning: there is no ledger in {tmp_path / 'legder'}")
    assert "without what accounts did since training" in warning


def test_days_of_another_zone_are_an_error_with_the_way_to_proceed(ledger):
    with pytest.raises(SettingsError) as caught:
        input_checks.check_against_model(learned(timezone="Europe/Paris"), Settings(), None, ledger)
    words = str(caught.value)
    assert "the model knows days of Europe/Paris, and the settings count those of UTC" in words
    assert "set timezone = 'Europe/Paris', or train again" in words


def test_times_of_another_zone_are_a_warning(said, ledger):
    input_checks.check_against_model(learned(log_timezone="Europe/Paris"), Settings(), None, ledger)
    [warning] = said
    assert "taken for those of UTC, in training for those of Europe/Paris" in warning


def test_a_mistyped_path_to_follow_is_a_warning_and_globs_and_topics_are_not(
    said, ledger, tmp_path
):
    (tmp_path / "there.log").write_text("", encoding="utf-8")
    logs = [
        str(tmp_path / "there.log"),
        str(tmp_path / "tehre.log"),
        str(tmp_path / "*.log"),
        "s3://bucket/none",
    ]
    input_checks.check_against_model(learned(), Settings(), None, ledger, logs)
    [warning] = said
    assert warning.startswith(f"Warning: {tmp_path / 'tehre.log'}: nothing is there yet")


def failure(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    assert isinstance(done.exception, DetectorError)
    return str(done.exception)


NAMES = ("directory", "ledger", "model")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f'{name} = "{tmp_path}/{name} of settings"\n' for name in NAMES]
    (tmp_path / "detector.toml").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "a.csv").write_text(
        "timestamp,account,rows\n2024-02-06T08:00:00Z,a,5\n", encoding="utf-8"
    )


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("ledger", ["ledger"]),
        ("model", ["score", "a.csv"]),
        ("model", ["watch", "a.csv"]),
        ("directory", ["train", "a.csv"]),
    ],
)
def test_a_setting_stands_for_its_option_and_the_option_wins(tmp_path, name, command):
    assert f"{tmp_path}/{name} of settings" in failure(*command)
    told = failure(*command, f"--{name}", str(tmp_path / "of the option"))
    assert str(tmp_path / "of the option") in told
    assert "of settings" not in told


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["5", '""', "[]"])
def test_a_setting_that_is_no_path_is_refused(tmp_path, monkeypatch, name, value):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "detector.toml").write_text(f"{name} = {value}", encoding="utf-8")
    told = failure("ledger")
    assert f"{name} must be a path" in told
