"""Alerts from the command to their sinks: score, deliver, sinks test, outbox."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import polars as pl
import pytest

from detector.delivery.outbox.store import Outbox

TOP = Path(__file__).parents[2]
AGENCY = TOP / "data" / "sample" / "agency"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Two days of the sample's theft."""
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    day = pl.col("timestamp").dt.convert_time_zone("Europe/Paris").dt.date().cast(pl.String)
    whole = pl.read_parquet(AGENCY / "2024-02a.parquet")
    whole.filter(day.is_in(["2024-02-05", "2024-02-06"])).write_parquet(path)
    return path


@pytest.fixture
def scored(log, detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def score(*more):
        return detector(
            "score", log, "--model", TOP / "models" / "agency",
            "--directory", AGENCY / "directory.csv", *more,
        )  # fmt: skip

    return score


@pytest.fixture
def nobody():
    """The URL of a port where no one listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"http://127.0.0.1:{gone.getsockname()[1]}/in"


def alerts(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def state(ran):
    return {sink["sink"]: sink for sink in json.loads(ran.out)["sinks"]}


def test_score_without_sinks_makes_no_outbox(scored, tmp_path):
    assert scored().code == 0
    assert not (tmp_path / "outbox").exists()


def test_score_delivers_what_it_found_as_it_wrote_it_and_scoring_again_sends_nothing_twice(
    scored, tmp_path
):
    first = scored("--sink", f"file://{tmp_path}/siem.ndjson")
    assert first.code == 0
    found = alerts(tmp_path / "out" / "alerts.ndjson")
    assert found
    assert alerts(tmp_path / "siem.ndjson") == found
    assert f"{len(found)} alerts delivered" in first.err
    with Outbox.open(tmp_path / "outbox") as box:
        assert set(box.progress()) == {"scored 2024-02-05", "scored 2024-02-06"}
    scored("--sink", f"file://{tmp_path}/siem.ndjson")
    assert alerts(tmp_path / "siem.ndjson") == found


def test_score_exits_with_0_and_says_what_waits(scored, detector, tmp_path, nobody):
    ran = scored("--sink", f"{nobody}#name=soar", "--sink", f"file://{tmp_path}/a.ndjson")
    found = alerts(tmp_path / "out" / "alerts.ndjson")
    assert ran.code == 0
    assert f"soar: 0 alerts delivered, {len(found)} alerts waiting" in ran.err
    assert "Connection refused" in ran.err
    assert len((tmp_path / "a.ndjson").read_text(encoding="utf-8").splitlines()) == len(found)
    left = state(detector("outbox", "list", "--json"))
    assert (left["soar"]["waiting"], left["soar"]["attempts"]) == (len(found), 1)


def test_what_waits_is_delivered_when_the_sink_is_back(scored, detector, tmp_path):
    (tmp_path / "detector.toml").write_text(
        f'[[sinks]]\nname = "soar"\nurl = "file://{tmp_path}/plain/siem.ndjson"\n', encoding="utf-8"
    )
    (tmp_path / "plain").write_text("in the way", encoding="utf-8")
    scored()
    waiting = detector("deliver")
    assert waiting.code == 1
    assert "not everything is delivered" in waiting.err
    (tmp_path / "plain").unlink()
    assert detector("outbox", "retry", "--sink", "soar").code == 0
    done = detector("deliver", "--json")
    assert done.code == 0
    found = alerts(tmp_path / "out" / "alerts.ndjson")
    assert alerts(tmp_path / "plain" / "siem.ndjson") == found
    assert json.loads(done.out)["sinks"][0]["delivered"] == len(found)


def test_the_outbox_stands_beside_the_ledger(scored, tmp_path):
    scored("--sink", f"file://{tmp_path}/a.ndjson", "--ledger", tmp_path / "there" / "ledger")
    assert (tmp_path / "there" / "outbox" / "outbox.sqlite").exists()


def test_sinks_are_no_part_of_the_json_and_json_stays_one_document(scored, tmp_path):
    ran = scored("--sink", f"file://{tmp_path}/a.ndjson", "--json", "--format", "native")
    assert json.loads(ran.out)["alerts"] == alerts(tmp_path / "out" / "alerts.ndjson")


def test_a_sink_that_makes_no_sense_is_told_before_the_work(scored, tmp_path):
    ran = scored("--sink", "gopher://a")
    assert ran.code == 2
    assert ran.err.startswith("detector: --sink: no sink takes 'gopher' URLs")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "ledger").exists()


def test_sinks_test_says_what_happened_in_one_line_each(detector, tmp_path, nobody):
    path = tmp_path / "a.ndjson"
    ran = detector("sinks", "test", "--sink", f"file://{path}#format=native", "--sink", nobody)
    assert ran.code == 1
    assert ran.err.splitlines() == [
        f"file://{path}: test alert delivered",
        f"{nobody.removesuffix('/in')}: not reached: Connection refused",
    ]
    (alert,) = alerts(path)
    assert "test alert" in alert["entity"]
    assert detector("sinks", "test", "--sink", f"file://{path}").code == 0


def test_a_secret_is_never_shown(detector, monkeypatch, nobody):
    monkeypatch.setenv("HOOK", "s3cret")
    ran = detector("sinks", "test", "--sink", f"{nobody}/s3cret#token_env=HOOK")
    assert ran.code == 1
    assert "s3cret" not in ran.err + ran.out


def test_the_test_alert_has_every_key_of_a_real_one(scored, tmp_path):
    from datetime import UTC, datetime

    from detector.delivery.test_alert import build_test_alert

    scored("--format", "native")
    assert set(build_test_alert(datetime.now(UTC))) == set(
        alerts(tmp_path / "out" / "alerts.ndjson")[0]
    )


def test_commands_without_a_sink_or_an_outbox_say_so(detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["deliver"], ["sinks", "test"]):
        ran = detector(*command)
        assert ran.code == 2
        assert "no sink is configured; name one with --sink" in ran.err
    for command in (["outbox", "list"], ["deliver", "--sink", "file:///a/b"]):
        ran = detector(*command)
        assert ran.code == 1
        assert "no outbox here" in ran.err


def test_an_alert_set_aside_is_listed_and_can_be_dropped(scored, detector, tmp_path):
    from receivers.web import Answer, receiving

    with receiving(lambda _: Answer(400, b"no such \x1b[2Jfield")) as receiver:
        scored("--sink", f"{receiver.url}#name=soar&refusals=1")
        count = len(alerts(tmp_path / "out" / "alerts.ndjson"))
    shown = detector("outbox", "list")
    assert "HTTP 400: no such \\x1b[2Jfield" in shown.err
    listed = json.loads(detector("outbox", "list", "--json").out)["set_aside"]
    assert len(listed) == count
    assert {each["sink"] for each in listed} == {"soar"}
    assert detector("outbox", "drop", listed[0]["id"]).code == 0
    assert state(detector("outbox", "list", "--json"))["soar"]["aside"] == count - 1
    assert detector("outbox", "drop").code == 2
    again = detector("deliver", "--sink", f"{receiver.url}#name=soar")
    assert again.code == 1
    assert f"{count - 1} alert" in again.err
