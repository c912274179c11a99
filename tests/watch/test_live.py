"""An alert while the day runs, and that the end of the day takes nothing back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from small_office import SCORED
from watched import Clock, Kit, append, as_lines, counted, of_batch, of_watch, statements

from detector.alerts.alert import Alert
from detector.core.settings import Settings
from detector.delivery.outbox.store import Outbox
from detector.detection import batch
from detector.detection.day_state import PartialDay
from detector.model.model import Model
from detector.model.scoring import LOOKBACK_DAYS
from detector.watch import intraday_scoring
from detector.watch.health import MIN_EVENTS, Health
from detector.watch.log_position import Log
from detector.watch.open_days import merge_base
from detector.watch.watcher import Watcher

DAY = SCORED[9]
#: All entities of the kinds that are scored while the day runs.
ALL = {"account": None, "group": None}


def at(day: date, hour: float) -> float:
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)).timestamp()


@pytest.fixture
def today(tmp_path, office_model: Model) -> Kit:
    (tmp_path / "logs").mkdir()
    return Kit(tmp_path, office_model, Settings(), Clock(at(DAY, 14)))


def ready(watcher: Watcher) -> None:
    while not watcher.run_cycle().is_idle:
        pass
    watcher.scorer.intraday.score(watcher.ledger_view, DAY, watcher.wall_clock(), wait=True)


def theft_of(office_log: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The log up to 14:00 of DAY without agent07, their export, and the rest of the day."""
    noon = datetime.fromtimestamp(at(DAY, 14), UTC)
    mine = (pl.col("account") == "agent07") & (pl.col("timestamp").dt.date() == DAY)
    day = office_log.filter(~mine, pl.col("timestamp").dt.date() <= DAY)
    past, later = day.filter(pl.col("timestamp") < noon), day.filter(pl.col("timestamp") >= noon)
    theft = past.tail(1).with_columns(
        timestamp=pl.lit(noon + timedelta(minutes=5)).cast(past.schema["timestamp"]),
        account=pl.lit("agent07"), action=pl.lit("export"), object=pl.lit("person"),
        rows=pl.lit(400_000, pl.Int64),
    )  # fmt: skip
    return past, theft, later


def test_a_theft_rings_while_the_day_runs_and_batch_raises_the_same(
    today: Kit, office_log: pl.DataFrame
) -> None:
    past, theft, later = theft_of(office_log)
    log = today.logs / "audit.ndjson"
    append(log, as_lines(past))
    with today.watching() as watcher:
        ready(watcher)
        append(log, as_lines(theft))
        today.clock.now = at(DAY, 14.2)
        rang = list(watcher.run_cycle().alerts)
        alert = one_of(rang, "agent07")
        assert (alert["date"], alert["rows"]) == (DAY.isoformat(), 400_000)
        assert alert["raised"] == f"{DAY}T14:12:00Z"
        assert alert["new_objects"] is not None
        append(log, as_lines(later))
        watcher.finish()
    wanted, found = of_batch(today, [log]), of_watch(today)
    assert found.scores.drop("alert_id").equals(wanted.scores.drop("alert_id"))
    told = [told_in(outcome.alerts) for outcome in (wanted, found)]
    assert told[0] <= told[1]
    assert alert in watcher.alerts


def audited(time: datetime, session: int, rows: int) -> bytes:
    """A read in SQL Server's audit on Azure, which has an entry for each table of a statement."""
    entry = {
        "event_time": f"{time:%Y-%m-%d %H:%M:%S.%f}", "action_id": "SL", "succeeded": "true",
        "server_principal_name": "agent07", "session_id": session, "client_ip": "10.0.0.7",
        "schema_name": "dbo", "object_name": "person", "statement": "select * from person",
        "response_rows": rows, "sequence_number": 1, "application_name": "front",
    }  # fmt: skip
    return json.dumps(entry).encode() + b"\n"


@pytest.mark.slow
def test_a_theft_rings_while_its_log_still_holds_it_back(
    today: Kit, office_log: pl.DataFrame
) -> None:
    past, _, later = theft_of(office_log)
    begun = datetime.fromtimestamp(at(DAY, 14), UTC)
    log, audit = today.logs / "audit.ndjson", today.logs / "sqlserver.ndjson"
    append(log, as_lines(past))
    append(audit, audited(begun, 1, 3) + audited(begun + timedelta(seconds=61), 2, 3))
    with today.watching(settle=1e9) as watcher:
        ready(watcher)
        before = counted(watcher)
        append(audit, audited(begun + timedelta(minutes=5), 3, 400_000))
        today.clock.now = at(DAY, 14.2)
        alert = one_of(watcher.run_cycle().alerts, "agent07")
        assert alert["rows"] == 400_006
        # What was held back before counts, and that does not yet.
        assert counted(watcher) == before + 1
        assert held_back(watcher) == 1
        append(audit, audited(begun + timedelta(minutes=5, seconds=1), 3, 400_000))
        today.clock.now += 60
        assert not watcher.run_cycle().alerts
        append(audit, audited(begun + timedelta(minutes=8), 4, 1))
        append(log, as_lines(later))
        today.clock.now += 60
        assert not [each for each in watcher.run_cycle().alerts if each["entity"] == "agent07"]
    os.utime(audit, (0, 0))  # by the clock of the test it is not being written
    with today.watching() as watcher:
        watcher.finish()
    wanted, found = of_batch(today, [log, audit]), of_watch(today)
    assert found.hours.equals(wanted.hours)
    assert found.scores.drop("alert_id").equals(wanted.scores.drop("alert_id"))
    assert told_in(wanted.alerts) <= told_in(found.alerts)


@pytest.mark.slow
def test_the_last_statement_of_a_silent_postgresql_rings(
    today: Kit, office_log: pl.DataFrame
) -> None:
    append(today.logs / "audit.ndjson", as_lines(theft_of(office_log)[0]))
    row = (
        f'{DAY} 14:05:00.000 UTC,"agent07","hr",7,"10.0.0.7:5000",7.1,1,"SELECT",{DAY} 14:00:00 UTC'
        ',3/1,0,LOG,00000,"AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.person,,<none>,400000"'
        ',,,,,,,,,"psql","client backend",,0\n'
    )
    with today.watching(settle=1e9) as watcher:
        ready(watcher)
        before = counted(watcher)
        append(today.logs / "postgresql.csv", row.encode())
        today.clock.now = at(DAY, 14.2)
        assert one_of(watcher.run_cycle().alerts, "agent07")["rows"] == 400_000
        assert counted(watcher) == before


def told_in(alerts: Sequence[Alert]) -> set[tuple[str, str, str]]:
    """What was told of each alert on each day: while it runs, in more messages than after it."""
    return {
        (each["alert"], each["date"], words)
        for each in alerts
        for words in (each["triggers"] or ["create"])
    }


def one_of(alerts: Sequence[Alert], entity: str) -> Alert:
    (found,) = (each for each in alerts if each["entity"] == entity)
    return found


def held_back(watcher: Watcher) -> int:
    """Statements of the day that a log holds back."""
    watcher.scorer.pending._scored_day = None
    tables = watcher.scorer.pending.tables_for(DAY, watcher.wall_clock() + 60)
    return 0 if tables is None else statements(tables[0])


@pytest.mark.slow
def test_who_comes_back_after_six_weeks_is_scored(today: Kit, office_log: pl.DataFrame) -> None:
    """Their last day lies before what is usual of a day, and within what says which runs began."""
    past, theft, _ = theft_of(office_log)
    long_ago = datetime.fromtimestamp(at(DAY - timedelta(days=LOOKBACK_DAYS - 3), 14), UTC)
    once = theft.with_columns(
        timestamp=pl.lit(long_ago).cast(past.schema["timestamp"]), rows=pl.lit(1, pl.Int64)
    )
    log = today.logs / "audit.ndjson"
    append(log, as_lines(pl.concat([once, past.filter(pl.col("account") != "agent07")])))
    rang: set[str] = set()
    with today.watching() as watcher:
        ready(watcher)
        append(log, as_lines(theft))
        deadline = time.monotonic() + 60
        while "agent07" not in rang and time.monotonic() < deadline:
            today.clock.now += intraday_scoring.PREPARE_SECONDS
            rang |= {each["entity"] for each in watcher.run_cycle().alerts}
    assert "agent07" in rang


@pytest.mark.slow
def test_who_is_being_prepared_for_is_not_prepared_for_again(
    today: Kit, office_log: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes long, and for as long there are two of what lies before the day."""
    prepared: list[date] = []

    really = intraday_scoring.prepare

    def prepare(*asked: Any) -> object:
        prepared.append(asked[2])
        return really(*asked)

    monkeypatch.setattr(intraday_scoring, "prepare", prepare)
    past, theft, _ = theft_of(office_log)
    stranger = as_lines(theft.with_columns(account=pl.lit("stranger"), rows=pl.lit(1, pl.Int64)))
    log = today.logs / "audit.ndjson"
    append(log, as_lines(past))
    with today.watching() as watcher:
        ready(watcher)
        for _ in range(3):  # noted, prepared for, and once more meanwhile
            append(log, stranger)
            watcher.run_cycle()
            today.clock.now += intraday_scoring.PREPARE_SECONDS
        assert watcher.scorer.intraday.is_preparing
        watcher.scorer.intraday.score(watcher.ledger_view, DAY, watcher.wall_clock(), wait=True)
        assert "stranger" in watcher.scorer.intraday.context.today.members
        for _ in range(3):
            append(log, stranger)
            today.clock.now += intraday_scoring.PREPARE_SECONDS
            watcher.run_cycle()
        assert not watcher.scorer.intraday.is_preparing
    assert prepared == [DAY, DAY]


@pytest.mark.slow
def test_events_and_the_alert_they_raise_go_to_disk_together_or_not_at_all(
    today: Kit, office_log: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, theft, _ = theft_of(office_log)
    log = today.logs / "audit.ndjson"
    append(log, as_lines(past))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with today.watching() as watcher:
        ready(watcher)
        before = on_disk(watcher)
        append(log, as_lines(theft))
        monkeypatch.setattr(Outbox, "insert", killed)
        with pytest.raises(KeyboardInterrupt):
            watcher.run_cycle()
    monkeypatch.undo()
    with today.watching() as watcher:
        assert on_disk(watcher) == before
        watcher.scorer.intraday.score(watcher.ledger_view, DAY, watcher.wall_clock(), wait=True)
        transactions: list[str] = []
        watcher.state._connection.set_trace_callback(transactions.append)
        rang = watcher.run_cycle().alerts
        assert "agent07" in {each["entity"] for each in rang}
        assert sum(words.startswith("BEGIN") for words in transactions) == 1
        positions, events, ids = on_disk(watcher)
        assert positions == {1: log.stat().st_size}
        assert events == past.height + 1
        assert {alert["id"] for alert in watcher.alerts} == ids


def on_disk(watcher: Watcher) -> tuple[dict[int, int], int, set[str]]:
    """Positions, events of open days, and alerts."""
    state = watcher.state
    events = sum(int(each.hours["statements"].sum()) for each in state.sums())
    return {each.id: each.position for each in state.logs()}, events, state.outbox().ids()


@pytest.mark.slow
def test_the_day_so_far_is_scored_as_batch_scores_its_last_hours(
    today: Kit, office_log: pl.DataFrame
) -> None:
    noon = datetime.fromtimestamp(at(DAY, 14), UTC)
    before = office_log.filter(pl.col("timestamp") < noon)
    mixed = before.filter(pl.col("timestamp").dt.date() == DAY).sample(
        fraction=1.0, shuffle=True, seed=4
    )
    log = today.logs / "a.ndjson"
    append(log, as_lines(before.filter(pl.col("timestamp").dt.date() < DAY)))
    append(log, as_lines(mixed.head(40)))
    with today.watching() as watcher:
        ready(watcher)
        for start in range(40, mixed.height, mixed.height // 7):
            append(log, as_lines(mixed.slice(start, mixed.height // 7)))
            watcher.run_cycle()
        watcher.scorer.intraday.score(
            watcher.ledger_view, DAY, watcher.wall_clock() + 60, wait=True
        )
        running = watcher.scorer.intraday._partial_day
        whole = PartialDay.from_day(
            running.today,
            watcher.scorer.intraday._day_tables(watcher.open_days, DAY, running.today.members),
        )
        keys = ["entity", "day", "slot"]
        assert running.hourly.sort(keys).equals(whole.hourly.sort(keys))
        keys = ["account", "hour", "dimension", "value"]
        assert running.new_values.sort(keys).equals(whole.new_values.sort(keys))
        mine = watcher.scorer.pipeline.scorer.score_table(
            running.today.table(running.hourly, running.new_values, ALL)
        )
        whole = watcher.scorer.pipeline.scorer.score(
            watcher.ledger_view.hours(SCORED[0], DAY),
            watcher.ledger_view.touched(
                SCORED[0], DAY, ("object", "client_address", "application")
            ),
            [DAY],
        )
    kinds = pl.col("entity_kind").is_in(["account", "group"])
    last = whole.filter(kinds).sort("hour").group_by("entity_kind", "entity").last()
    columns = mine.columns
    order = ["entity_kind", "entity"]
    assert mine.select(columns).sort(order).equals(last.select(columns).sort(order))


@pytest.mark.slow
def test_what_lies_before_the_day_is_the_same_in_shards_and_as_batch_has_it(
    today: Kit, office_log: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = office_log.filter(pl.col("timestamp").dt.date() <= DAY)
    append(today.logs / "a.ndjson", as_lines(before))
    with today.watching() as watcher:
        ready(watcher)
        pipeline = watcher.scorer.pipeline
        prepared = intraday_scoring.prepare(pipeline, watcher.ledger_view, DAY)
        whole, base = prepared.ready, prepared.base
        monkeypatch.setattr(intraday_scoring, "SHARD_ACCOUNTS", 7)
        parts = intraday_scoring.prepare(pipeline, watcher.ledger_view, DAY).ready
        dimensions = ("object", "client_address", "application")
    day = base[0].clear(), base[1].clear()
    assert all(
        mine.equals(other)
        for mine, other in zip(whole.week.unpack(), parts.week.unpack(), strict=True)
    )
    mine, theirs = [
        PartialDay.from_day(
            each.today,
            merge_base(day, watcher.open_days.parts[DAY], dimensions, pl.lit(value=True)),
        )
        for each in (whole, parts)
    ]
    tables = [
        each.today.table(each.hourly, each.new_values, ALL, ends=False).sort(
            "entity_kind", "entity", "hour"
        )
        for each in (mine, theirs)
    ]
    assert tables[0].height
    assert tables[0].equals(tables[1])


@pytest.mark.slow
def test_a_day_that_is_over_is_scored_in_shards_as_in_batch(
    today: Kit, office_log: pl.DataFrame
) -> None:
    append(today.logs / "a.ndjson", as_lines(pl.concat(theft_of(office_log))))
    with today.watching() as watcher:
        ready(watcher)
        days = [SCORED[4], DAY]
        asked = watcher.scorer.pipeline, watcher.ledger_view, days
        whole = {
            day: part
            for part in batch.score_by_week(*asked, batch.MAX_ACCOUNTS)
            for day in part.days
        }
        parts = {part.days[0]: part for part in batch.score_by_week(*asked, 10)}
    assert list(parts) == days
    assert whole[DAY].days == days
    assert {alert["entity"] for alert in whole[DAY].alerts} >= {"agent07"}
    both = pl.concat(parts[day].scores for day in days)
    assert both.equals(whole[DAY].scores)
    assert [one for day in days for one in parts[day].alerts] == whole[DAY].alerts


def log_of(**more: object) -> Log:
    return Log(1, "audit.log", 1, 1, "ndjson", "growing", **more)


def test_a_log_that_falls_silent_is_told_once_and_again_after_it_spoke() -> None:
    health = Health(600, "m")
    last = datetime(1970, 1, 1, tzinfo=UTC)
    times = [(1, 0.0), (1, 500.0), (1, 700.0), (1, 900.0), (2, 1000.0), (2, 1700.0)]
    told = [
        [alert["reasons"][0] for alert in health.check([log_of(events=n, last=last)], now)]
        for n, now in times
    ]
    assert [len(each) for each in told] == [0, 0, 1, 0, 0, 1]
    assert "no event for 12 minutes" in told[2][0]


def test_a_clock_in_the_future_is_told() -> None:
    health = Health(0, "m")
    ahead = datetime(2024, 3, 9, tzinfo=UTC)
    found = health.check([log_of(events=1, last=ahead)], at(date(2024, 3, 4), 0))
    assert "lie in the future" in found[0]["reasons"][0]


def test_a_log_that_loses_its_row_counts_is_told() -> None:
    health = Health(0, "m")
    health.check([log_of(events=MIN_EVENTS, unknown=0)], 0.0)
    found = health.check([log_of(events=2 * MIN_EVENTS, unknown=MIN_EVENTS)], 5.0)
    assert "lack the number of rows" in found[0]["reasons"][0]


def test_health_goes_out_in_every_format() -> None:
    from detector import registry

    health = Health(0, "m")
    ahead = datetime(2024, 3, 9, tzinfo=UTC)
    (alert,) = health.check([log_of(events=1, last=ahead)], at(date(2024, 3, 4), 0))
    for each in registry.formats().values():
        assert b"\n" not in each.encode(alert)
