"""An episode is one alert, then updates and an end, however its days are scored."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from alerts_made_up import DAY, made, model, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples

from detector.alerts import episode_store, ongoing
from detector.alerts.alert import alert_id
from detector.alerts.episode_history import EpisodeHistory
from detector.alerts.episodes import MAX_UPDATES, UPDATE_LIMIT_NOTICE, EpisodeDay, Row
from detector.alerts.evidence import Evidence
from detector.alerts.impact import RecordsOut
from detector.alerts.severity import SEVERITY_ORDER, Bounds
from detector.core.errors import LedgerError
from detector.core.settings import Settings
from detector.ledger import episodes as store
from detector.model.threshold import CRITICAL_MARGIN, EPISODE_DAYS

BAR = 2.0
BOUNDS = Bounds(1_000, 10_000, 100_000)
CONTEXT = Evidence(bounds=BOUNDS)
LEVELS = pl.DataFrame(schema={"entity_kind": pl.String, "rows_centre": pl.Float64})
MODEL = model(LEVELS, pl.DataFrame({"account": ["eve"], "group": ["site"]}))
Alert = dict[str, Any]


def at(day: int, hour: int, rows: float, surprise: float = 2.5, **other: Any) -> dict[str, Any]:
    """The day so far of an account whose usual day has 100 records, at the end of an hour."""
    on = DAY + timedelta(days=day)
    figures = {
        "day": on, "hour": datetime(on.year, on.month, on.day, hour, tzinfo=UTC), "rows": rows,
        "surprise": surprise, "covered": False, "anomalous": surprise >= BAR, "group": "site",
        "new_objects_names": [], "new_addresses_names": [], "hours": 1_000_000.0,
    }  # fmt: skip
    return row(**{**figures, **other})


def make(told: Row, context: Evidence) -> Alert:
    """The alert of a row, with what the tests ask of it."""
    own = alert_id(told["entity_kind"], told["entity"], told["day"])
    out: RecordsOut = context.records_out(told)
    made_up = made(told["entity"], kind=told["entity_kind"])
    return {
        **made_up, "id": own, "alert": own, "began": _time(told), "triggers": [], "incident": own,
        "time": _time(told), "date": str(told["day"]), "since": str(out.since), "group": "site",
        "severity": context.severity(told, BAR), "records_out": round(out.records),
        "rows": told["rows"], "surprise": told["surprise"],
    }  # fmt: skip


def _time(told: Row) -> str:
    moment = told["hour"] + timedelta(hours=1)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def score(
    memory: EpisodeHistory, rows: Sequence[Row], days: Sequence[date], **more: Any
) -> list[Alert]:
    """What ``days`` say, as ``told`` and ``batch`` ask for it."""
    memory.discard_days(days)
    found: list[Alert] = []
    for day in days:
        for entity in sorted({each["entity"] for each in rows}):
            mine = [each for each in rows if (each["entity"], each["day"]) == (entity, day)]
            if not any(each["anomalous"] for each in mine):
                continue
            before = memory.state_before("account", entity, day)
            asked = EpisodeDay(CONTEXT, BAR, make, more.get("holds"), before)
            told = asked.messages([each for each in mine if each["anomalous"]], mine[-1])
            found += told.alerts
            if told.state is not None:
                memory.record_state(told.state, told.alerts)
    return memory.join_messages([*found, *memory.close_messages(days)], days)


def scored(*rows: Row, until: int = 0, **more: Any) -> list[Alert]:
    last = max(each["day"] for each in rows)
    days = [DAY + timedelta(days=n) for n in range((last - DAY).days + 1 + until)]
    return score(EpisodeHistory(bounds=BOUNDS), rows, days, **more)


def said(alerts: Sequence[Alert]) -> list[tuple[str, str, list[str], str]]:
    return [(each["time"][8:13], each["activity"], each["triggers"], each["severity"])
            for each in alerts]  # fmt: skip


def test_what_a_theft_takes_after_its_alert_is_told_within_the_hour() -> None:
    alerts = scored(
        at(0, 9, 1_507), at(1, 10, 1_000_100), at(2, 11, 10_000_100), at(3, 3, 30_000_100),
        at(3, 4, 90_000_100),
    )  # fmt: skip
    assert said(alerts) == [
        ("05T10", "create", [], "medium"),
        ("06T11", "update", ["severity critical", "1,000,000 records out"], "critical"),
        ("07T12", "update", ["10,000,000 records out"], "critical"),
        ("08T05", "update", ["100,000,000 records out"], "critical"),
    ]
    assert alerts[2]["records_out"] == 1_407 + 1_000_000 + 10_000_000
    assert {each["alert"] for each in alerts} == {alerts[0]["id"]}
    assert {each["incident"] for each in alerts} == {alerts[0]["id"]}
    assert len({each["id"] for each in alerts}) == 4
    assert all(each["began"] == alerts[0]["time"] for each in alerts)
    assert "update of the alert of" in alerts[1]["reasons"][0]


def test_the_severity_of_an_episode_never_falls() -> None:
    alerts = scored(at(0, 9, 200_000), at(1, 9, 300, surprise=9.0))
    assert [each["severity"] for each in alerts] == ["critical", "critical"]


def test_a_much_higher_surprise_and_what_is_new_are_told_once() -> None:
    new = {"new_objects_names": ["public.person"]}
    alerts = scored(
        at(0, 9, 200), at(1, 9, 200, **new), at(2, 9, 200, **new), at(3, 9, 200, surprise=4.8),
        at(4, 9, 200, surprise=4.9),
    )  # fmt: skip
    assert [each["triggers"] for each in alerts] == [
        [], ["new: object public.person"], ["surprise 4"],
    ]  # fmt: skip


def test_two_updates_of_a_day_for_its_surprise_have_ids_of_their_own() -> None:
    """Much worse than the first, and then far above the threshold: 3 of both, rounded down."""
    alerts = scored(
        at(0, 9, 200, 2.0), at(0, 10, 201, 3.1), at(0, 11, 202, BAR + CRITICAL_MARGIN + 0.1)
    )
    assert [each["triggers"] for each in alerts] == [[], ["surprise 3"], ["surprise 3.6"]]
    assert len({each["id"] for each in alerts}) == 3


def test_updates_of_a_day_are_bounded_and_severity_wins() -> None:
    new = [at(0, n, 200 + n, new_addresses_names=[f"10.0.0.{n}"]) for n in range(12)]
    climb = [at(0, 12, 2_000), at(0, 13, 20_000), at(0, 14, 200_000), at(0, 15, 20_000_000)]
    alerts = scored(*new, *climb)
    updates = [each for each in alerts if each["activity"] == "update"]
    assert len(updates) == MAX_UPDATES
    assert updates[-1]["severity"] == "critical"
    assert [each["severity"] for each in updates] == ["low", "low", "medium", "high", "critical"]
    assert UPDATE_LIMIT_NOTICE in updates[-1]["reasons"]
    assert UPDATE_LIMIT_NOTICE in updates[1]["reasons"]
    # What found no room is told on the next day.
    later = scored(*new, *climb, at(1, 9, 300))
    assert later[-1]["date"] == str(DAY + timedelta(days=1))
    assert later[-1]["triggers"] == ["10,000,000 records out"]


def test_an_episode_ends_once_no_day_was_anomalous_for_a_week() -> None:
    alerts = scored(at(0, 9, 200), at(2, 9, 1_300, surprise=2.4), until=EPISODE_DAYS + 3)
    assert [each["activity"] for each in alerts] == ["create", "update", "close"]
    end = alerts[-1]
    assert end["date"] == str(DAY + timedelta(days=2 + EPISODE_DAYS + 1))
    assert end["records_out"] == 100 + 1_200
    assert end["severity"] == "medium"
    assert end["alert"] == alerts[0]["id"]
    again = scored(at(0, 9, 200), at(EPISODE_DAYS + 1, 9, 200))
    assert [each["activity"] for each in again] == ["create", "close", "create"]


def test_a_loud_day_that_was_never_scored_silences_nothing() -> None:
    memory = EpisodeHistory()
    rows = [at(0, 9, 5_000, surprise=9.0), at(1, 9, 200)]
    (alert,) = score(memory, rows, [DAY + timedelta(days=1)])
    assert alert["activity"] == "create"


def test_what_is_expected_is_suppressed_until_it_grows() -> None:
    rows = [at(day, 9, 100 + 10 ** (day + 1), covered=True) for day in range(4)]
    alerts = scored(*rows, holds=lambda alert: alert["records_out"] < 1_000)
    assert [(each["activity"], each["date"][8:]) for each in alerts] == [
        ("create", "07"), ("update", "08"),
    ]  # fmt: skip
    assert alerts[0]["records_out"] == 10 + 100 + 1_000
    # A verdict on the alert of an episode: what it covers is neither told nor counted.
    known = [at(0, 9, 200), *(at(day, 9, 10**5, covered=True) for day in (1, 2))]
    assert len(scored(*known, holds=lambda _: True)) == 1


def test_another_account_of_the_incident_is_told_of_its_first() -> None:
    memory = EpisodeHistory(bounds=BOUNDS)
    score(memory, [at(0, 9, 300)], [DAY])
    group = {**made("site", kind="group", day=0), "began": "", "triggers": [], "incident": "?"}
    group["top_accounts"] = [{"name": "eve", "statements": 1, "rows": 1}]
    memory.join_messages([group], [DAY])
    day = DAY + timedelta(days=1)
    alerts = score(memory, [at(1, 9, 300, entity="bob")], [day])
    assert [(each["entity"], each["triggers"]) for each in alerts] == [
        ("bob", []), ("eve", ["joined by account bob"]),
    ]  # fmt: skip
    assert alerts[0]["incident"] == alerts[1]["incident"] == alert_id("account", "eve", DAY)


histories = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]),
        st.integers(0, 20),
        st.integers(0, 7),
        st.sampled_from([1.0, 2.2, 3.0, 4.9]),
        st.sampled_from([[], ["t1"], ["t2", "t1"]]),
    ),
    max_size=25,
)


@given(histories, st.lists(st.integers(1, 20), max_size=4))
@settings(
    max_examples=examples(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_days_scored_together_or_apart_or_twice_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, history: list[Any], cuts: list[int]
) -> None:
    of: dict[tuple[str, int], dict[str, Any]] = {}
    for name, day, power, surprise, new in history:
        of[name, day] = at(day, 9, 100 + 10**power, surprise, entity=name, new_objects_names=new)
    rows = [of[key] for key in sorted(of)]
    days = [DAY + timedelta(days=n) for n in range(21 + EPISODE_DAYS + 2)]
    # A week at a time, as batch does: the longest that holds no end of what it began.
    weeks = [days[start : start + EPISODE_DAYS] for start in range(0, len(days), EPISODE_DAYS)]
    memory = EpisodeHistory()
    whole = [alert for some in weeks for alert in score(memory, rows, some)]
    ledger = tmp_path_factory.mktemp("ledger")
    apart = [alert for day in days for alert in _kept(ledger, rows, [day])]
    assert apart == whole
    places = sorted({0, *cuts})
    for start in places:  # again, from some day on
        again = [alert for day in days[start:] for alert in _kept(ledger, rows, [day])]
        scored_on = {str(day) for day in days[start:]}
        assert again == [alert for alert in whole if alert["date"] in scored_on]
    counted = [each for each in whole if each["activity"] == "update"]
    for name in ("ann", "bob"):
        a_day = [each["date"] for each in counted if each["entity"] == name]
        assert all(a_day.count(day) <= MAX_UPDATES for day in a_day)
    worst: dict[str, int] = {}
    for each in whole:
        place = SEVERITY_ORDER.index(each["severity"])
        assert place >= worst.get(each["alert"], 0)
        worst[each["alert"]] = place


def _kept(ledger: Path, rows: Sequence[Row], days: Sequence[date]) -> list[Alert]:
    """One run of ``score``: what it knows of before is what others kept."""
    with store.exclusive_lock(ledger):
        memory = episode_store.load(ledger, min(days), MODEL, Settings())
        found = score(memory, rows, days)
        episode_store.save(ledger, memory)
    return found


def test_what_was_raised_is_kept_for_its_owner_alone_and_goes_on(tmp_path: Path) -> None:
    rows = [at(0, 9, 300), at(1, 9, 100_200)]
    _kept(tmp_path, rows[:1], [DAY])
    assert os.stat(tmp_path / store.FILE_NAME).st_mode & 0o777 == 0o600  # noqa: PTH116
    _kept(tmp_path, rows, [DAY + timedelta(days=1)])
    memory = episode_store.load(tmp_path, None, MODEL, Settings())
    (standing,) = memory.open_episodes(DAY + timedelta(days=3))
    told = ongoing.to_dict(standing, memory.last_message(standing))
    assert told["records_out"] == 200 + 100_100
    assert told["last_day"] == str(DAY + timedelta(days=1))
    assert "eve" in ongoing.to_text(told)
    assert memory.open_episodes(DAY + timedelta(days=2 + EPISODE_DAYS)) == []


@pytest.mark.parametrize("table", ["standings", "messages"])
def test_what_was_altered_on_disk_is_refused(tmp_path: Path, table: str) -> None:
    _kept(tmp_path, [at(0, 9, 300)], [DAY])
    with sqlite3.connect(tmp_path / store.FILE_NAME) as rows:
        rows.execute(f"UPDATE {table} SET body = replace(body, 'eve', 'bob')")  # noqa: S608
    with pytest.raises(LedgerError, match="was altered"):
        episode_store.load(tmp_path, DAY, MODEL, Settings())


@pytest.mark.parametrize("data", [b"no database", b"SQLite format 3\0" + b"x" * 4096])
def test_a_damaged_file_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / store.FILE_NAME).write_bytes(data)
    with pytest.raises(LedgerError, match=r"move it and episodes\.made away") as refused:
        episode_store.load(tmp_path, DAY, MODEL, Settings())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("how", ["deleted", "emptied", "made anew"])
def test_a_file_that_was_emptied_is_missed(tmp_path: Path, how: str) -> None:
    _kept(tmp_path, [at(0, 9, 300)], [DAY])
    file = tmp_path / store.FILE_NAME
    file.unlink() if how != "emptied" else file.write_bytes(b"")
    if how == "made anew":
        with sqlite3.connect(file) as rows:
            rows.execute("CREATE TABLE other (a)")
    before = file.read_bytes() if file.exists() else None
    with pytest.raises(LedgerError, match="emptied or deleted"):
        episode_store.load(tmp_path, DAY, MODEL, Settings())
    with pytest.raises(LedgerError, match="emptied or deleted"):
        store.save(tmp_path, [DAY], [], [])
    assert (file.read_bytes() if file.exists() else None) == before
    file.unlink(missing_ok=True)
    (tmp_path / store.MARK).unlink()
    assert [each["activity"] for each in _kept(tmp_path, [at(0, 9, 300)], [DAY])] == ["create"]


def test_a_run_that_was_killed_while_it_kept_begins_anew(tmp_path: Path) -> None:
    (tmp_path / store.FILE_NAME).touch()
    assert [each["activity"] for each in _kept(tmp_path, [at(0, 9, 300)], [DAY])] == ["create"]


def test_another_run_waits_and_then_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.1)
    with store.exclusive_lock(tmp_path), pytest.raises(LedgerError, match="another detector"), \
            store.exclusive_lock(tmp_path):  # fmt: skip
        pass
