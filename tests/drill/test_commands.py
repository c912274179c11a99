"""The commands drill and evaluate as a shell sees them."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest

from detector.campaigns.kinds import KINDS
from detector.core.schema import DRILL_RESULTS, check


@pytest.fixture
def drilled(place, detector):
    """Runs a small drill in the place of the ledger."""

    def command(*more):
        return detector(
            "drill", "--ledger", place / "ledger", "--model", place / "model",
            "--directory", place / "directory.csv", "--days", "14", "--instances", "1", *more,
        )  # fmt: skip

    return command


@pytest.mark.slow
def test_a_drill_prints_json_on_stdout_and_words_on_stderr_and_leaves_all_as_it_was(
    place, drilled, tmp_path
):
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    ran = drilled("--json", "--out", tmp_path / "out", "--plot", tmp_path / "drill.svg")
    assert ran.code == 0, ran.err
    facts = json.loads(ran.out)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} == before
    assert facts["days"] == 14
    assert 0 < facts["mean_exposure"] < 1
    kinds = {kind["kind"]: kind for kind in facts["kinds"]}
    for name, kind in kinds.items():
        own = [each for each in facts["campaigns"] if each["kind"] == name]
        assert kind["staged"] == len(own)
        assert kind["exposure"] == pytest.approx(sum(each["exposure"] for each in own) / len(own))
    assert set(kinds) | set(facts["short"]) == {kind.name for kind in KINDS}
    frame = check(pl.read_parquet(tmp_path / "out" / "drill.parquet"), DRILL_RESULTS, "drill")
    assert frame["campaign"].to_list() == [each["campaign"] for each in facts["campaigns"]]
    assert frame["benign_alerts_a_day"].unique().to_list() == [facts["benign_alerts_a_day"]]
    assert (tmp_path / "drill.svg").exists()
    assert facts["mean_exposure_by_chance"] > facts["mean_exposure"]
    for words in ("mean exposure", "by chance", "budget 1", "flat_month", "not staged"):
        assert words in ran.err


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures_and_says_who_could_not_be_staged(drilled):
    """The calm agency of these tests has nobody new on the stage."""
    one, two = drilled("--json", "--seed", "7"), drilled("--json", "--seed", "7")
    assert one.out == two.out
    assert "newcomer" in json.loads(one.out)["short"]
    assert "newcomer" in one.err.split("no account of this ledger fits: ")[1].splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--days", "90"], 1, "too few for a drill"),
        (["--days", "3"], 2, "--days"),
        (["--plot", "drill.gif"], 1, "end its name in .png or .svg"),
        (["--ledger", "nowhere"], 1, "nowhere: there is no ledger"),
        (["--model", "nowhere"], 1, "nowhere"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(drilled, monkeypatch, tmp_path, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    ran = drilled(*arguments)
    assert ran.code == code
    assert ran.out == ""
    assert says in ran.err
    assert "Traceback" not in ran.err
    if code == 1:
        assert len([line for line in ran.err.splitlines() if line.startswith("detector: ")]) == 1


def test_a_short_ledger_gives_one_clear_line(place, detector, tmp_path):
    log = pl.read_parquet(place / "logs" / "log.parquet")
    (tmp_path / "logs").mkdir()
    days = pl.col("timestamp").dt.convert_time_zone("Europe/Paris").dt.ordinal_day()
    log.filter(days <= 3).write_parquet(tmp_path / "logs" / "log.parquet")
    there = ["--ledger", tmp_path / "ledger"]
    settings = ["--settings", place / "detector.toml"]
    refused = detector("train", tmp_path / "logs", *there, *settings, "--model", tmp_path / "none")
    assert "too few" in refused.err
    ran = detector("drill", *there, "--model", place / "model")
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("detector: the ledger covers 3 days")
    assert "at least 63 days" in line


@pytest.fixture
def scored(place, detector, tmp_path):
    """Scores of the honest last days, and the incidents' file beside them."""
    ledger = shutil.copytree(place / "ledger", tmp_path / "ledger")
    log = pl.read_parquet(place / "logs" / "log.parquet")
    last = log["timestamp"].max()
    log = log.filter(pl.col("timestamp") > last - pl.duration(days=8)).with_columns(
        account=pl.lit("thief"), action=pl.lit("read"), rows=pl.lit(4000)
    )
    (tmp_path / "new").mkdir()
    log.head(600).write_parquet(tmp_path / "new" / "theft.parquet")
    ran = detector(
        "score", tmp_path / "new", "--ledger", ledger, "--model", place / "model",
        "--directory", place / "directory.csv", "--out", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    day = log["timestamp"].min().date()
    text = f"account,start,end,kind\nthief,{day},2024-12-31,theft\nnobody,{day},{day},other\n"
    (tmp_path / "incidents.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_evaluate_tells_found_from_missed_with_figures_for_machines(place, scored, detector):
    for named in (scored / "out", scored / "out" / "scores.parquet"):
        ran = detector(
            "evaluate", named, "--incidents", scored / "incidents.csv",
            "--model", place / "model", "--json",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        facts = json.loads(ran.out)
        assert (facts["incidents"], facts["found"]) == (2, 1)
        assert facts["missed"] == facts["not_in_scores"] == ["line 3"]
        assert facts["budget"] == 1
        assert 0 < facts["precision"] <= 1
        assert facts["alerts_a_day"] >= facts["benign_alerts_a_day"]
        assert facts["each"][0]["records"] == 600 * 4000
        assert 0 < facts["each"][0]["exposure"] < 1
        assert "1 of 2 incidents found" in ran.err
        assert "(budget 1)" in ran.err
        assert "not in the scores" in ran.err


def test_evaluate_works_without_a_model_and_then_knows_no_budget(scored, detector):
    ran = detector("evaluate", scored / "out", "--incidents", scored / "incidents.csv", "--json")
    assert json.loads(ran.out)["budget"] is None
    assert "budget" not in ran.err


def test_evaluate_refuses_what_it_cannot_read_in_one_line(scored, detector):
    bad = scored / "bad.csv"
    bad.write_text("account,start,end\nann,soon,later\n", encoding="utf-8")
    for arguments, says in (
        ([scored / "out", "--incidents", bad], "bad.csv: line 2: start 'soon'"),
        ([scored / "none", "--incidents", scored / "incidents.csv"], "none: no such file"),
        ([bad, "--incidents", scored / "incidents.csv"], "holds no scores of detector's"),
    ):
        ran = detector("evaluate", *arguments)
        assert (ran.code, ran.out) == (1, "")
        (line,) = ran.err.splitlines()
        assert says in line


@pytest.mark.parametrize("name", ["drill", "evaluate"])
def test_the_commands_have_help(detector, name):
    ran = detector(name, "--help")
    assert ran.code == 0
    assert "Usage:" in ran.out
    assert "exposure" in ran.out.lower()


def test_a_ledger_in_which_nobody_can_steal_says_so(drilled, monkeypatch, tmp_path):
    monkeypatch.setattr("detector.drill.schedule.stage_campaigns", lambda *_: [])
    ran = drilled("--json", "--plot", tmp_path / "drill.png", "--out", tmp_path)
    assert ran.code == 0, ran.err
    facts = json.loads(ran.out)
    assert (facts["mean_exposure"], facts["kinds"], facts["campaigns"]) == (None, [], [])
    assert "no campaign could be staged" in ran.err
    assert check(pl.read_parquet(tmp_path / "drill.parquet"), DRILL_RESULTS, "drill").is_empty()
