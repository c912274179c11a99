"""What is found, and what is said about it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from small_office import CUT, FEW, FOREIGN, SCORED, Office, joined, pages

from detector.alerts import alert
from detector.core import schema
from detector.core.errors import NotEnoughHistory
from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT
from detector.model.scoring import day_ends

THIEF = (pl.col("entity_kind") == ACCOUNT) & (pl.col("entity") == "agent00")


@pytest.fixture(scope="module")
def alerts(scored, model, robbed):
    return robbed.alerts(scored, model)


@pytest.fixture(scope="module")
def own(alerts):
    return [found for found in alerts if found["entity"] == "agent00"]


def test_bulk_reading_is_found_within_the_hours_of_its_first_day(own):
    assert own[0]["date"] == SCORED[0].isoformat()
    assert own[0]["time"] < f"{SCORED[0]}T06:00:00Z"


def test_the_days_of_a_theft_are_one_run_not_an_alert_a_day(own, scored, model):
    """It stays loud on all days; what it does beyond the first is told by updates."""
    loud = day_ends(scored.filter(THIEF)).filter(pl.col("surprise") >= model.threshold)
    assert len(loud) == len(SCORED)
    assert [found["activity"] for found in own] == ["create"] + ["update"] * (len(own) - 1)
    assert {found["alert"] for found in own} == {own[0]["id"]}


def test_tables_that_climb_for_weeks_do_not_ring_day_after_day(scored, alerts):
    """Their surprise has no ceiling: that of the drained table doubles within the two weeks."""
    loudest = scored.group_by("entity_kind", "entity").agg(pl.col("surprise").max())
    assert loudest.filter(pl.col("entity_kind") == "object")["surprise"].max() > 20
    objects = [each for each in alerts if each["entity_kind"] == "object"]
    begun = Counter(each["entity"] for each in objects if each["activity"] == "create")
    assert set(begun.values()) == {1}
    updates = Counter(each["entity"] for each in objects if each["activity"] == "update")
    assert max(updates.values(), default=0) <= len(SCORED) // 2, updates


def test_what_one_thief_takes_is_not_told_of_its_group_too(scored, own):
    mine = scored.filter(THIEF)["group"].unique().to_list()
    whole = scored.filter(pl.col("entity_kind") == "group", pl.col("entity").is_in(mine))
    assert len(whole)
    assert whole["surprise"].max() < own[0]["surprise"] - 1
    assert whole["rows"].max() < scored.filter(THIEF)["rows"].max() / 10


def test_the_reasons_name_figures_and_the_new_address(own):
    assert own[0]["new_client_addresses"] == [FOREIGN]
    text = "; ".join(own[0]["reasons"])
    assert f"read {own[0]['rows']:,} records" in text
    assert FOREIGN in text
    assert json.loads(json.dumps(own[0])) == own[0]


def test_alerts_of_every_kind_of_entity_can_be_said_and_stored(scored, model, robbed):
    """The first moment of each kind, as if it fired: nothing in an alert is for accounts alone."""
    worth = scored.filter(pl.col("rows") >= Settings().minimum_records)
    some = worth.group_by("entity_kind", maintain_order=True).head(3)
    told = robbed.alerts(some, replace(model, threshold=-1.0))
    assert {found["entity_kind"] for found in told} == {
        "account",
        "client_address",
        "group",
        "object",
    }
    for found in told:
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert not any("None" in words or "nan" in words for words in found["reasons"])


def test_the_table_it_drains_is_an_alert_of_its_own(alerts):
    objects = {found["entity"] for found in alerts if found["entity_kind"] == "object"}
    assert "person" in objects


def test_what_is_said_of_a_table_leaves_its_busiest_account_out(alerts, robbed):
    told = next(found for found in alerts if found["entity"] == "person")
    today = robbed.touched.filter(
        pl.col("value") == "person", pl.col("day") == date.fromisoformat(told["date"])
    )["rows"]
    assert told["rows"] == today.sum() - today.max()
    words = f"{told['rows']:,} records read from it"
    assert told["reasons"][0].startswith(words)
    assert "its busiest account left out" in told["reasons"][0]


def test_a_new_address_is_new_only_once(scored):
    thief = scored.filter(THIEF).group_by("day").agg(pl.col("new_addresses").max())
    assert thief.sort("day")["new_addresses"].to_list() == [1] + [0] * (len(thief) - 1)


def test_an_alert_has_the_same_id_whenever_it_is_scored():
    day = date(2024, 2, 6)
    assert alert.alert_id("account", "a", day) == alert.alert_id("account", "a", day)
    assert alert.alert_id("account", "a", day) != alert.alert_id("account", "b", day)
    assert alert.alert_id("account", "a", day) != alert.alert_id("client_address", "a", day)


def test_scores_keep_their_schema_and_all_rows_read(scored, alerts, robbed):
    scores = schema.check(alert.score_table(scored, alerts), schema.SCORES, "scores")
    read = robbed.hours.filter(pl.col("hour").dt.date().is_in(SCORED))
    of_accounts = scores.filter(pl.col("entity_kind") == ACCOUNT)
    assert of_accounts["rows"].sum() == read["rows"].sum()
    # A table's are those of all its accounts but the largest, which is judged by itself.
    touched = robbed.touched.filter(pl.col("dimension") == "object", pl.col("day").is_in(SCORED))
    but_largest = touched.group_by("day", "value").agg(pl.col("rows").sum() - pl.col("rows").max())
    of_objects = scores.filter(pl.col("entity_kind") == "object")
    assert of_objects["rows"].sum() == but_largest["rows"].sum()
    begun = {found["id"] for found in alerts if found["activity"] == "create"}
    assert set(scores["alert_id"].drop_nulls()) == begun
    assert scores["surprise"].is_finite().all()
    assert (scores["surprise"] >= 0).all()


def test_days_with_few_records_never_alert(scored):
    assert scored.filter("alarming")["rows"].min() >= Settings().minimum_records


@pytest.mark.slow
def test_the_threshold_follows_the_budget_and_nothing_of_the_future(robbed_log, model_of_few):
    """The other model is of a log that holds a theft later on, and of a budget of 5."""
    robbed, model = Office.of(robbed_log.filter(FEW)), model_of_few
    wider = replace(robbed.before(CUT), settings=Settings(alerts_per_day=5.0)).model()
    assert wider.threshold < model.threshold
    assert wider.baselines.levels.equals(model.baselines.levels, null_equal=True)
    assert wider.largest_day_rows == model.largest_day_rows
    for kind, judge in wider.kind_models.items():
        assert judge.joint_calibration == model.kind_models[kind].joint_calibration
        assert judge.final_calibration == model.kind_models[kind].final_calibration


def test_too_short_a_history_is_refused_in_one_line(honest):
    with pytest.raises(NotEnoughHistory, match="7 days with data: too few") as refused:
        honest.before(date(2024, 1, 8)).model()
    assert "\n" not in str(refused.value)


def test_an_unlisted_account_is_held_against_everyone(honest_log, model):
    nobody = pages(0, SCORED[:1], 900).with_columns(account=pl.lit("nobody"))
    scored = Office.of(joined(honest_log, nobody)).score(model, SCORED[:1])
    assert scored.filter(pl.col("entity") == "nobody")["alarming"].any()
