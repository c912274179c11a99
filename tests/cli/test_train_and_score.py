"""From a log to alerts on disk, by the command alone."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from datetime import UTC, datetime

import polars as pl
import pytest

from detector.cli.app import run
from detector.core import schema
from simulation.agency import Agency, Plan

CUT = datetime(2024, 2, 4, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small agency's log, and a ledger and model learned from its time before the theft."""
    place = tmp_path_factory.mktemp("agency")
    agency = Agency.found(Plan())
    names = agency.directory()["account"].to_list()
    thieves = agency.stolen()["account"].to_list()
    kept = [*dict.fromkeys([*thieves, *names[::3]])]
    events = agency.events().filter(pl.col("account").is_in(kept))
    (place / "past").mkdir()
    events.filter(pl.col("timestamp") < CUT).write_parquet(place / "past" / "log.parquet")
    later = events.filter(pl.col("timestamp") >= CUT)
    day = pl.col("timestamp").dt.convert_time_zone("Europe/Paris").dt.date()
    for date, part in later.filter(day <= datetime(2024, 2, 8).date()).group_by(day):  # noqa: DTZ001
        part.write_parquet(place / f"{date[0]}.parquet")
    agency.directory().write_csv(place / "directory.csv")
    agency.incidents().write_csv(place / "incidents.csv")
    (place / "detector.toml").write_text('timezone = "Europe/Paris"\n', encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, (place / "told").open("w") as told:
        patch.setattr("sys.argv", ["detector", *map(str, _train(place)), "--json"])
        with redirect_stdout(told):
            run_quietly()
    return place


def run_quietly():
    with pytest.raises(SystemExit) as stop:
        run()
    assert not stop.value.code


def _train(place):
    return [
        "train", place / "past", "--directory", place / "directory.csv",
        "--ledger", place / "ledger", "--model", place / "model",
        "--settings", place / "detector.toml",
    ]  # fmt: skip


def _score(place, logs, ledger, out):
    return [
        "score", *logs, "--directory", place / "directory.csv",
        "--ledger", ledger, "--model", place / "model", "--out", out, "--format", "native",
    ]  # fmt: skip


@pytest.fixture
def ledger(place, tmp_path):
    """A copy of the trained ledger, so that tests do not see each other's logs."""
    import shutil

    return shutil.copytree(place / "ledger", tmp_path / "ledger")


def _alerts(out):
    return [
        json.loads(line)
        for line in (out / "alerts.ndjson").read_text(encoding="utf-8").splitlines()
    ]


def test_the_theft_is_named_on_its_first_day(place, ledger, detector, tmp_path):
    ran = detector(*_score(place, [place / "2024-02-05.parquet"], ledger, tmp_path / "out"))
    assert ran.code == 0
    truth = pl.read_csv(place / "incidents.csv")
    theft = (pl.col("kind") == "theft") & (pl.col("entity_kind") == "account")
    thieves = truth.filter(theft)["entity"].to_list()
    found = {alert["entity"] for alert in _alerts(tmp_path / "out")}
    assert set(thieves) <= found
    assert thieves[0] in ran.err
    assert ran.out == ""


def test_scores_have_the_promised_columns(place, ledger, detector, tmp_path):
    detector(*_score(place, [place / "2024-02-05.parquet"], ledger, tmp_path / "out"))
    scores = schema.check(
        pl.read_parquet(tmp_path / "out" / "scores.parquet"), schema.SCORES, "scores"
    )
    assert scores.select("entity_kind", "entity", "time").is_duplicated().sum() == 0
    read = pl.read_parquet(place / "2024-02-05.parquet").filter(
        pl.col("action").is_in(["read", "export"])
    )
    # Groups and tables tell the same records again.
    of_accounts = scores.filter(pl.col("entity_kind") == "account")
    assert of_accounts["rows"].sum() == read["rows"].sum()
    assert set(scores["entity_kind"]) <= {"account", "client_address", "group", "object"}
    ids = {alert["alert"] for alert in _alerts(tmp_path / "out")}
    assert set(scores["alert_id"].drop_nulls()) == ids


@pytest.mark.slow
def test_one_day_at_a_time_is_the_same_as_all_at_once(place, ledger, detector, tmp_path):
    import shutil

    other = shutil.copytree(ledger, tmp_path / "other")
    days = sorted(place.glob("2024-02-0*.parquet"))
    apart, alerts = [], []
    for number, day in enumerate(days):
        detector(*_score(place, [day], other, tmp_path / f"out{number}"))
        apart.append(pl.read_parquet(tmp_path / f"out{number}" / "scores.parquet"))
        alerts += _alerts(tmp_path / f"out{number}")
    detector(*_score(place, days, ledger, tmp_path / "out"))
    assert pl.concat(apart).equals(pl.read_parquet(tmp_path / "out" / "scores.parquet"))
    at_once = _alerts(tmp_path / "out")
    assert alerts == at_once
    assert any(one["related"] for one in alerts)
    assert {one["activity"] for one in alerts} >= {"create", "update"}


def test_scoring_the_same_dump_twice_changes_nothing(place, ledger, detector, tmp_path):
    arguments = _score(place, [place / "2024-02-05.parquet"], ledger, tmp_path / "out")
    detector(*arguments)
    names = ("alerts.ndjson", "rejects.ndjson", "scores.parquet")
    before = [(tmp_path / "out" / name).read_bytes() for name in names]
    ran = detector(*arguments)
    assert "known" in ran.err
    assert [(tmp_path / "out" / name).read_bytes() for name in names] == before


def test_the_same_dump_under_another_name_changes_nothing(place, ledger, detector, tmp_path):
    """Logs are rotated, copied and sent again; the ledger knows them by what is in them."""
    import shutil

    day = place / "2024-02-05.parquet"
    detector(*_score(place, [day], ledger, tmp_path / "out"))
    again = shutil.copy(day, tmp_path / "again.parquet")
    detector(*_score(place, [day, again], ledger, tmp_path / "twice"))
    for name in ("alerts.ndjson", "scores.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()


@pytest.mark.slow
def test_an_alert_stays_when_later_days_are_scored(place, ledger, detector, tmp_path):
    days = sorted(place.glob("2024-02-0*.parquet"))
    before: list[dict] = []
    for number in range(1, len(days) + 1):
        out = tmp_path / f"out{number}"
        detector(*_score(place, days[:number], ledger, out))
        alerts = _alerts(out)
        assert alerts[: len(before)] == before
        before = alerts
    assert before


def test_json_on_stdout_is_one_document_with_the_alerts(place, ledger, detector, tmp_path):
    ran = detector(
        *_score(place, [place / "2024-02-05.parquet"], ledger, tmp_path / "out"), "--json"
    )
    told = json.loads(ran.out)
    assert told["alerts"] == _alerts(tmp_path / "out")
    assert told["unseen_days"] == 1
    begun = [alert for alert in told["alerts"] if alert["activity"] == "create"]
    assert told["alerts_a_day"] == told["unseen_alerts"] == len(begun)


@pytest.mark.slow
def test_days_of_training_are_not_counted_in_the_rate(place, ledger, detector, tmp_path):
    logs = [place / "past", place / "2024-02-05.parquet"]
    ran = detector(*_score(place, logs, ledger, tmp_path / "out"), "--json")
    told = json.loads(ran.out)
    assert told["first_day"] < "2024-02-05"
    begun = [alert for alert in told["alerts"] if alert["activity"] == "create"]
    unseen = [alert for alert in begun if alert["date"] >= "2024-02-05"]
    assert (told["unseen_days"], told["alerts_a_day"]) == (1, len(unseen))
    assert "on 1 day after training" in ran.err


def test_fail_on_alert_is_for_scripts(place, ledger, detector, tmp_path):
    arguments = _score(place, [place / "2024-02-05.parquet"], ledger, tmp_path / "out")
    assert detector(*arguments, "--fail-on-alert").code == 1
    quiet = pl.read_parquet(place / "2024-02-05.parquet").head(1)
    quiet.write_parquet(tmp_path / "quiet.parquet")
    arguments = _score(place, [tmp_path / "quiet.parquet"], tmp_path / "new", tmp_path / "out")
    ran = detector(*arguments, "--fail-on-alert")
    assert (ran.code, _alerts(tmp_path / "out")) == (0, [])


def test_rejected_lines_are_written_with_file_line_and_reason(place, ledger, detector, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text(
        "timestamp,account,rows\n2024-02-06T10:00:00Z,adv.x,3\nnever,adv.x,3\n", encoding="utf-8"
    )
    ran = detector(*_score(place, [log], ledger, tmp_path / "out"))
    assert ran.code in {0, 3}  # 3 where the log is doubtful, as a day that never came makes it
    (reject,) = map(
        json.loads, (tmp_path / "out" / "rejects.ndjson").read_text(encoding="utf-8").splitlines()
    )
    assert reject["file"].endswith("log.csv")
    assert reject["line"] == 3
    assert "never" in reject["reason"] or "timestamp" in reject["reason"]
    assert "1 record" in ran.err


def test_a_day_without_row_counts_is_said_to_be_one(place, ledger, detector, tmp_path):
    day = place / "2024-02-05.parquet"
    told = "have no row count: how much they read is unknown"
    ran = detector(*_score(place, [day], ledger, tmp_path / "out"))
    assert told not in ran.err
    bare = tmp_path / "bare.parquet"
    silent = pl.read_parquet(day).with_columns(pl.lit(None, pl.Int64).alias("rows"))
    silent.with_columns(pl.col("timestamp") + pl.duration(days=9)).write_parquet(bare)
    ran = detector(*_score(place, [bare], ledger, tmp_path / "other"))
    assert "the logs have no row counts" in ran.err or told in ran.err


def test_a_log_of_rejects_alone_is_not_taken_for_a_quiet_day(place, ledger, detector, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("timestamp,account,rows\nnever,adv.x,3\nnor then,adv.y,4\n", encoding="utf-8")
    for _ in ("new", "known"):
        ran = detector(*_score(place, [log], ledger, tmp_path / "out"), "--json")
        assert (ran.code, ran.out) == (1, "")
        (said,) = [line for line in ran.err.splitlines() if line.startswith("detector: ")]
        assert "nothing was scored" in said
        assert "2 records rejected" in said
        assert f"line 2 of {log}" in said
        assert str(tmp_path / "out" / "rejects.ndjson") in said
        lines = (tmp_path / "out" / "rejects.ndjson").read_text(encoding="utf-8").splitlines()
        assert [json.loads(each)["line"] for each in lines] == [2, 3]


@pytest.mark.slow
def test_rejects_beside_what_is_known_or_holds_no_access_are_no_failure(
    place, ledger, detector, tmp_path
):
    log = tmp_path / "log.csv"
    log.write_text("timestamp,account,rows\nnever,adv.x,3\n", encoding="utf-8")
    day = place / "2024-02-05.parquet"
    for _ in ("new", "known"):
        assert detector(*_score(place, [day, log], ledger, tmp_path / "out")).code == 0
    quiet = tmp_path / "quiet.csv"
    quiet.write_text(
        "timestamp,account,action\n2024-02-06T10:00:00Z,adv.x,login\n", encoding="utf-8"
    )
    assert detector(*_score(place, [quiet], ledger, tmp_path / "out")).code == 0


def test_hostile_names_do_not_reach_the_terminal_raw(place, ledger, detector, tmp_path):
    log = tmp_path / "log.ndjson"
    name = "\x1b[2J\x07[bold]evil[/bold]\u202e"
    line = {"timestamp": "2024-02-06T03:00:00Z", "account": name, "rows": 5_000_000}
    log.write_text(
        "".join(json.dumps({**line, "client_address": str(i)}) + "\n" for i in range(9)),
        encoding="utf-8",
    )
    ran = detector(*_score(place, [log], ledger, tmp_path / "out"))
    assert ran.code in {0, 3}
    assert {alert["entity"] for alert in _alerts(tmp_path / "out")} == {name}
    assert "evil" in ran.err
    assert not any(char in ran.err for char in "\x1b\x07\u202e")


@pytest.mark.parametrize("budget", ["0", "-1", "nan", "inf", "many"])
def test_a_senseless_budget_is_wrong_usage(place, detector, budget, tmp_path):
    ran = detector(
        "train", place / "past", f"--alerts-per-day={budget}", "--ledger", tmp_path / "ledger"
    )
    assert ran.code == 2


def test_a_model_that_is_not_there_is_one_line(place, detector, tmp_path):
    ran = detector("score", place / "2024-02-05.parquet", "--model", tmp_path / "none")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "detector train" in ran.err


def test_too_short_a_history_is_one_line(place, detector, tmp_path):
    ran = detector(
        "train", place / "2024-02-05.parquet", "--ledger", tmp_path / "l", "--model", tmp_path / "m"
    )
    assert ran.code == 1
    assert "too few to learn from" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "m").exists()


def test_json_of_training_names_the_model(place):
    told = json.loads((place / "told").read_text(encoding="utf-8"))
    assert (
        told["model"]
        == json.loads((place / "model" / "model.json").read_text(encoding="utf-8"))["id"]
    )
