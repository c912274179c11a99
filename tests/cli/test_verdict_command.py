"""Verdicts by the command: given, heeded by score, and heeded by train."""

from __future__ import annotations

import json
import os
import pwd
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.cli.app import run
from detector.delivery.outbox.store import Outbox
from detector.triage import store
from detector.triage.records import make_verdict
from detector.triage.subjects import Subject

TOP = Path(__file__).parents[2]
AGENCY = TOP / "data" / "sample" / "agency"
THIEF = "partner.robert"
HOSTILE = 'two\nlines \x1b[2J\x07 \u202e "}{" \u2028'


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Three days of the sample's theft."""
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    day = pl.col("timestamp").dt.convert_time_zone("Europe/Paris").dt.date().cast(pl.String)
    whole = pl.read_parquet(AGENCY / "2024-02a.parquet")
    whole.filter(day.is_in(["2024-02-05", "2024-02-06", "2024-02-07"])).write_parquet(path)
    return path


def scoring(log):
    return [
        "score", log, "--model", TOP / "models" / "agency",
        "--directory", AGENCY / "directory.csv", "--format", "native",
    ]  # fmt: skip


@pytest.fixture
def score(log, detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *more: detector(*scoring(log), *more)


@pytest.fixture(scope="module")
def once(log, tmp_path_factory):
    """What a first score leaves behind."""
    place = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("sys.argv", ["detector", *map(str, scoring(log))])
        with pytest.raises(SystemExit) as stop:
            run()
    assert not stop.value.code
    return place


@pytest.fixture
def scored(once, score, tmp_path):
    """Scores again, where a first score is done."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return score


def lines(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def of(entity, path="out/alerts.ndjson"):
    """The first alert of the entity's episode; updates follow it."""
    (found,) = [
        each for each in lines(path) if each["entity"] == entity and each["activity"] == "create"
    ]
    return found


def expect(path, **other):
    """A verdict of the day before the theft, by which what the thief does is expected."""
    day = date(2024, 2, 4)
    families = tuple(family.name for family in registry.families())
    made = {
        "alert": "a1", "incident": "a1", "time": "2024-02-04T10:00:00Z", "day": day, "since": day,
        "entity_kind": "account", "entity": THIEF, "families": families, "rows": 10**9,
        "records_out": 10**9, "unknown_rows_statements": 0, "names": (),
    }  # fmt: skip
    now = datetime(2024, 2, 4, 12, tzinfo=UTC)
    until = day + timedelta(days=90)
    verdict = make_verdict(Subject(**{**made, **other}), "expected", "migration", "ann", now, until)
    store.append(Path(path), [verdict])


def allow(path, entity=THIEF, rows=10**9, until="2024-12-31"):
    reasons = json.dumps([family.name for family in registry.families()])
    Path(path).write_text(
        f'[[expected]]\nentity_kind = "account"\nentity = "{entity}"\nreason = {reasons}\n'
        f'until = {until}\nby = "bob"\nwhy = "move \\u001b[2J"\nrows = {rows}\n',
        encoding="utf-8",
    )


def test_what_is_expected_is_held_back_counted_and_sent_nowhere(score, tmp_path):
    sink = ("--sink", f"file://{tmp_path}/siem.ndjson#format=native")
    score("--out", "before")
    rung = of(THIEF, "before/alerts.ndjson")
    assert lines("before/held.ndjson") == []
    expect("verdicts.ndjson")
    ran = score("--json", *sink)
    # The first alert of its episode, and the updates of it.
    assert " suppressed, in out/held.ndjson:" in ran.err
    assert f" of account {THIEF}, expected by ann, until 2024-05-04 (migration)" in ran.err
    held = of(THIEF, "out/held.ndjson")
    assert {key: value for key, value in held.items() if key != "held"} == rung
    assert held["held"]["by"] == "ann"
    assert held["held"]["until"] == "2024-05-04"
    assert json.loads(ran.out)["held"] == lines("out/held.ndjson")
    others = [each for each in lines("before/alerts.ndjson") if each["entity"] != THIEF]
    names = [each["entity"] for each in others]
    assert [each["entity"] for each in lines("out/alerts.ndjson")] == names
    assert [each["entity"] for each in lines("siem.ndjson")] == names
    ids = set(pl.read_parquet("out/scores.parquet")["alert_id"].drop_nulls())
    assert ids == {each["alert"] for each in others}


def test_it_comes_through_when_it_grows_and_says_over_whose_word(score):
    expect("verdicts.ndjson", rows=6_100)
    score()
    alert = of(THIEF)
    assert alert["rows"] > 2 * 6_100
    assert "migration), but for less" in alert["reasons"][-1]
    assert "more than 2 times 6,100" in alert["reasons"][-1]
    Path("detector.toml").write_text("expected_growth = 10\n", encoding="utf-8")
    score()
    assert of(THIEF)["time"] > alert["time"]


def test_records_out_bound_what_is_held_back_too(score):
    expect("verdicts.ndjson", records_out=1_000)
    score()
    assert "more than 2 times 1,000" in of(THIEF)["reasons"][-1]
    assert lines("out/held.ndjson") == []


def test_the_allow_list_works_the_same_by_setting_or_flag(score):
    allow("expected.toml")
    ran = score("--allow-list", "expected.toml")
    assert f" of account {THIEF}, expected by the allow-list, bob, until 2024-12-31" in ran.err
    assert "\x1b" not in ran.err
    assert of(THIEF, "out/held.ndjson")["held"]["alert"] is None
    Path("detector.toml").write_text('allow_list = "expected.toml"\n', encoding="utf-8")
    score()
    assert of(THIEF, "out/held.ndjson")
    allow("expected.toml", until="2024-02-04")
    ran = score()
    assert of(THIEF)
    assert "1 entry has expired in expected.toml" in ran.err
    # What is no longer held back is no longer in the file.
    assert lines("out/held.ndjson") == []


def test_a_confirmed_theft_of_one_on_the_list_is_warned_of(scored, detector):
    detector("verdict", of(THIEF)["id"], "confirmed", "--reason", "case")
    allow("expected.toml")
    ran = scored("--allow-list", "expected.toml")
    assert f"the allow-list expects alerts of account {THIEF}, of which an alert was" in ran.err


def test_a_held_alert_can_be_judged_and_confirming_it_ends_the_expectation(score, detector):
    expect("verdicts.ndjson")
    score()
    held = of(THIEF, "out/held.ndjson")["id"]
    assert detector("verdict", held, "confirmed", "--reason", "it was a theft").code == 0
    score()
    assert of(THIEF)["id"] == held


@pytest.mark.parametrize(
    "shape", ["native", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ocsf", "ecs"))]
)
def test_an_alert_is_found_in_each_format_and_its_verdict_stands_in_later_ones(
    shape, scored, detector
):
    alerts = lines("out/alerts.ndjson")
    scored("--format", shape)
    first = next(each for each in alerts if each["entity"] == THIEF)
    ran = detector("verdict", first["id"], "benign", "--reason", "a move", "--by", "eva", "--json")
    assert ran.code == 0
    told = {
        "alert": first["id"], "verdict": "benign", "reason": "a move", "by": "eva", "until": None
    }  # fmt: skip
    assert json.loads(ran.out) == told
    (kept,) = store.load(Path("verdicts.ndjson")).records
    assert (kept.subject.entity, kept.subject.rows) == (THIEF, first["rows"])
    scored()
    for alert in lines("out/alerts.ndjson"):
        later = first["id"] in alert["related"]
        assert alert["verdicts"] == ([told] if later else [])
    assert any(alert["verdicts"] for alert in lines("out/alerts.ndjson"))


def test_an_alert_that_only_the_outbox_has_is_found(score, detector, tmp_path):
    score("--sink", f"file://{tmp_path}/siem.ndjson")
    first = of(THIEF)["id"]
    Path("out/alerts.ndjson").unlink()
    assert detector("verdict", first, "benign", "--reason", "a move").code == 0
    with Outbox.open(tmp_path / "outbox") as box, box.transaction() as rows:
        rows.execute("DELETE FROM deliveries")
        rows.execute("DELETE FROM alerts")
    assert detector("verdict", first, "benign", "--reason", "a move").code == 1


@pytest.mark.usefixtures("scored")
def test_an_unknown_alert_is_one_clear_line(detector, tmp_path):
    ran = detector("verdict", "\x1b[2Jnope", "benign", "--reason", "x")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "no alert" in ran.err
    assert "nope" in ran.err
    assert "\x1b" not in ran.err
    assert "out/alerts.ndjson" in ran.err
    assert "--out" in ran.err
    assert not (tmp_path / "verdicts.ndjson").exists()
    Path("out/alerts.ndjson").write_text('{"id": "x"}\n', encoding="utf-8")
    ran = detector("verdict", "x", "benign", "--reason", "x")
    assert (ran.code, ran.err) == (
        1,
        "detector: out/alerts.ndjson: line 1 is no alert; it must be as detector score wrote it\n",
    )


def test_hostile_reasons_reach_no_terminal_and_stand_whole_in_later_alerts(scored, detector):
    first = of(THIEF)["id"]
    ran = detector("verdict", first, "confirmed", "--reason", HOSTILE, "--by", f"eva {HOSTILE}")
    assert ran.code == 0
    assert not any(char in ran.err for char in "\x1b\x07\u202e\u2028")
    scored()
    told = [each for alert in lines("out/alerts.ndjson") for each in alert["verdicts"]]
    assert told
    assert {each["reason"] for each in told} == {HOSTILE.strip()}
    assert Path("out/alerts.ndjson").read_bytes().isascii()


@pytest.mark.usefixtures("scored")
def test_the_author_is_the_system_s_user_whatever_the_environment_says(detector, monkeypatch):
    for name in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "mallory")
    detector("verdict", of(THIEF)["id"], "benign", "--reason", "x")
    (kept,) = store.load(Path("verdicts.ndjson")).records
    assert kept.author == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["expected", "--reason", "x"], "--until: is missing"),
        (["expected", "--reason", "x", "--until", "2024-02-05"], "no later than the alert itself"),
        (["expected", "--reason", "x", "--until", "2199-01-01"], "366 days ahead"),
        (["benign", "--reason", "x", "--until", "2024-03-01"], "has no meaning for benign"),
        (["benign", "--reason", " "], "--reason: is empty"),
        (["benign", "--reason", "x", "--by", " "], "--by: is empty"),
        (["benign"], "--reason"),
        (["fine", "--reason", "x"], "fine"),
        (["expected", "--reason", "x", "--until", "soon"], "soon"),
    ],
)
@pytest.mark.usefixtures("scored")
def test_wrong_usage_is_told_and_nothing_is_kept(words, said, detector, tmp_path):
    ran = detector("verdict", of(THIEF)["id"], *words)
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "verdicts.ndjson").exists()


def test_a_damaged_file_stops_all_before_they_begin(score, detector, tmp_path, log):
    (tmp_path / "verdicts.ndjson").write_text('{"format": 1}\n', encoding="utf-8")
    for ran in (
        score(),
        detector("train", log),
        detector("verdict", "x", "benign", "--reason", "x"),
    ):
        assert ran.code == 1
        assert "verdicts.ndjson: line 1 " in ran.err
        assert ran.err.count("\n") == 1
    assert not (tmp_path / "ledger").exists()
    assert not (tmp_path / "out").exists()
    ran = score("--verdicts", tmp_path / "none", "--allow-list", tmp_path / "nowhere")
    assert "no such allow-list" in ran.err
    assert ran.code == 1


def test_later_alerts_of_a_confirmed_theft_are_noted_once(scored, detector):
    alerts = lines("out/alerts.ndjson")
    first = of(THIEF)
    later = [each["id"] for each in alerts if first["id"] in each["related"]]
    ran = detector("verdict", first["id"], "confirmed", "--reason", "case 4711")
    assert f"of {len(later)} later alert" in ran.err
    kept = store.load(Path("verdicts.ndjson"))
    assert [each.subject.alert for each in kept.follow_ups] == later
    assert len(later) > 0
    before = Path("verdicts.ndjson").read_bytes()
    scored()
    scored()
    assert Path("verdicts.ndjson").read_bytes() == before


def office(path):
    """Thirty people for four weeks; eve reads fifty times as much in the last sixteen days."""
    rows = [
        {
            "timestamp": datetime(2024, 1, 1, 9 + n % 8, tzinfo=UTC) + timedelta(days=day),
            "account": name,
            "client_address": f"10.0.0.{at}",
            "object": "person",
            "rows": (10 + (at * 7 + day * 3 + n) % 5) * (50 if name == "eve" and day >= 12 else 1),
        }
        for day in range(28)
        for at, name in enumerate(["eve", *(f"a{k:02}" for k in range(29))])
        for n in range(4)
    ]
    pl.DataFrame(rows).write_parquet(path)


def eve_s_level(model):
    levels = pl.read_parquet(model / "levels.parquet")
    own = levels.filter(pl.col("entity") == "eve", pl.col("entity_kind") == "account")
    return own.select(pl.col("rows_centre").exp() - 1).item()


@pytest.mark.slow
def test_retraining_without_the_confirmed_days_lowers_the_level_and_says_so(
    detector, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    office(tmp_path / "log.parquet")

    def train(name, *more):
        return detector("train", "log.parquet", "--model", tmp_path / name, "--json", *more)

    ran = train("robbed")
    assert ran.code == 0
    assert json.loads(ran.out)["left_out_days"] == 0
    assert "left out" not in ran.err
    day = date(2024, 1, 13)
    subject = Subject(
        "a1", "a1", "2024-01-13T12:00:00Z", day, day, "account", "eve", ("volume",),
        2000, 1900, 0, (),
    )  # fmt: skip
    now = datetime(2024, 2, 1, tzinfo=UTC)
    confirmed = make_verdict(subject, "confirmed", "case", "ann", now, date(2024, 1, 28))
    store.append(Path("benign.ndjson"), [replace(confirmed, verdict="benign", until=None)])
    store.append(Path("verdicts.ndjson"), [confirmed])
    benign = train("benign", "--verdicts", "benign.ndjson")
    assert "left out" not in benign.err
    assert eve_s_level(tmp_path / "benign") == eve_s_level(tmp_path / "robbed")
    ran = train("mended")
    assert "16 days of confirmed thefts left out of what is learned: account eve" in ran.err
    assert json.loads(ran.out)["left_out_days"] == 16
    # Training keeps suspects to their lowest month; without the theft her level is lower still.
    assert eve_s_level(tmp_path / "robbed") > 1.2 * eve_s_level(tmp_path / "mended")
    assert 40 < eve_s_level(tmp_path / "mended") < 60
