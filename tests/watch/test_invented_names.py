"""Twenty thousand invented names cost little, and what they read is counted and told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from small_office import SCORED
from watched import FAMILIES, Clock, Kit, append, as_lines, in_order, of_batch, of_watch

from detector import registry
from detector.core.settings import Settings
from detector.detection import new_accounts
from detector.detection.batch import score_by_week
from detector.detection.new_accounts import Folding
from detector.detection.pipeline import Pipeline
from detector.features.peer_groups import OTHERS
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.model.model import Model
from detector.readers.log_input import LocalFile
from detector.watch.health import Health
from detector.watch.service import raise_health_alerts

DAY = SCORED[9]
NAMES = 20_000
JUDGED = 50
RULES = Settings(health={"new_accounts_judged": JUDGED})


def invented(names: int, rows: int = 1, day: int = 9) -> pl.DataFrame:
    """A statement by each name."""
    start = datetime.combine(SCORED[day], datetime.min.time(), UTC)
    return pl.DataFrame(
        {
            "timestamp": [start + timedelta(hours=8, seconds=n % 7200) for n in range(names)],
            "account": [f"eve{n:06}" for n in range(names)],
            "client_address": "203.0.113.9",
            "application": "front",
            "object": "person",
            "action": "read",
            "rows": [rows] * names,
            "success": True,
        }
    ).with_columns(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")), pl.col("rows").cast(pl.Int64)
    )


def log(office_log: pl.DataFrame, *more: pl.DataFrame) -> pl.DataFrame:
    past = office_log.filter(pl.col("timestamp").dt.date() <= DAY)
    return pl.concat([past, *more], how="diagonal").sort("timestamp")


@pytest.fixture
def kit(tmp_path, office_model: Model) -> Kit:
    (tmp_path / "logs").mkdir()
    return Kit(tmp_path, office_model, RULES, Clock())


def test_batch_and_watch_fold_alike_and_what_they_read_fires(kit: Kit, office_log: pl.DataFrame):
    loud = invented(1, 90_000).with_columns(account=pl.lit("zoe"))
    events = log(office_log, invented(NAMES), loud)
    path = kit.logs / "audit.ndjson"
    append(path, as_lines(events))
    batch = of_batch(kit, [path])
    names = set(batch.scores.filter(entity_kind="account")["entity"])
    folded = batch.scores.filter(pl.col("entity") == OTHERS, pl.col("date") == DAY)
    assert len([name for name in names if name.startswith("eve")]) == JUDGED - 1
    assert "zoe" in names  # the loudest stay themselves
    assert folded["rows"].sum() == NAMES - (JUDGED - 1)
    (alert,) = [each for each in batch.alerts if each["entity"] == OTHERS]
    assert alert["rows"] >= 10_000  # by the hour in which it fires
    assert "accounts that nobody knows" in alert["reasons"][0]
    health = Health(0, "m")
    with kit.watching() as watcher:
        watcher.finish()
        assert watcher.scorer.folded == {DAY: NAMES + 1 - JUDGED}
        (told,) = [
            a for a in raise_health_alerts(watcher, health, 0.0) if "judged as one" in str(a)
        ]
        assert f"{NAMES + 1 - JUDGED:,} accounts of {DAY}" in told["reasons"][0]
        assert [each.what for each in health.conditions.current].count("folded") == 1
    watched = of_watch(kit)
    alerts = [each for each in watched.alerts if each["entity_kind"] != "log"]
    replace(watched, alerts=in_order(alerts)).demand(batch)


def test_the_day_that_runs_folds_too(kit: Kit, office_log: pl.DataFrame):
    noon = datetime.combine(DAY, datetime.min.time(), UTC) + timedelta(hours=14)
    today = replace(kit, clock=Clock(noon.timestamp()))
    past = log(office_log).filter(pl.col("timestamp") < noon)
    path = today.logs / "audit.ndjson"
    append(path, as_lines(past))
    append(path, as_lines(invented(2_000)))
    with today.watching() as watcher:
        while not watcher.run_cycle().is_idle:
            pass
        watcher.scorer.intraday.score(watcher.ledger_view, DAY, watcher.wall_clock(), wait=True)
        ready = watcher.scorer.intraday.context
        assert ready is not None
        assert OTHERS in ready.today.members
        assert watcher.scorer.intraday.folded == 2_000 - JUDGED
        assert sum(name.startswith("eve") for name in ready.today.members) == JUDGED
        later = pl.lit(noon + timedelta(minutes=1))
        append(path, as_lines(invented(2_000, 60).with_columns(timestamp=later)))
        rang = list(watcher.run_cycle().alerts)
    assert max(each["rows"] for each in rang if each["entity"] == OTHERS) == 61 * (2_000 - JUDGED)


def taken(kit: Kit, office_log: pl.DataFrame, *more: pl.DataFrame) -> tuple[Pipeline, Ledger]:
    path = kit.logs / "audit.ndjson"
    append(path, as_lines(log(office_log, *more)))
    ledger = Ledger.open(kit.folder / "ledger", "UTC")
    ingest([(LocalFile(path), registry.sources()["ndjson"])], ledger, RULES, lambda *_: None)
    return Pipeline(kit.model, None, RULES, FAMILIES), ledger


def test_who_is_folded_does_not_depend_on_which_days_are_asked_for(
    kit: Kit, office_log: pl.DataFrame
):
    few = office_log.filter(pl.col("account") < "agent09")
    judging, ledger = taken(kit, few, invented(100, day=8), invented(200, day=9))
    together = list(score_by_week(judging, ledger, SCORED[7:10], 6000))
    apart = [part for day in SCORED[7:10] for part in score_by_week(judging, ledger, [day], 6000)]
    folded = {day: part.folded for part in together for day in part.days}
    assert folded == {part.days[0]: part.folded for part in apart}
    # Of the hundred of a day before half are judged, and half of those new on this one.
    assert [folded[day] for day in SCORED[7:10]] == [0, 50, 100]
    scores = [pl.concat(part.scores for part in parts) for parts in (together, apart)]
    assert scores[0].equals(scores[1], null_equal=True)


def test_whom_model_or_directory_know_is_never_folded(kit: Kit, office_log: pl.DataFrame):
    judging, ledger = taken(kit, office_log, invented(100))
    people = pl.DataFrame({"account": [f"eve{n:06}" for n in range(60)]})
    assert not new_accounts.choose_folding(replace(judging, directory=people), ledger, DAY)
    folding = new_accounts.choose_folding(replace(judging, directory=people[:40]), ledger, DAY)
    assert len(folding) == 10
    assert not set(people[:40]["account"]) & set(folding.names)
    assert not {"agent00", "agent07"} & set(folding.names)


def test_a_name_that_is_folded_is_one_of_the_others():
    names = pl.Series("account", ["a", OTHERS])
    assert Folding(names).fold_names(["a", "b"]) == {"b", OTHERS}
    assert Folding(names).fold_names(["b"]) == {"b"}
    assert len(Folding(names)) == 1
    assert not new_accounts.NO_FOLDING
