"""Campaigns in a ledger's own tables, scored as the real log would be."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl
import pytest

from detector import registry
from detector.alerts.episode_history import EpisodeHistory
from detector.campaigns import kinds
from detector.core.errors import NotEnoughHistory
from detector.core.schema import DRILL_RESULTS, check
from detector.detection.batch import MAX_ACCOUNTS, score_by_week
from detector.detection.pipeline import Pipeline
from detector.drill import run, schedule
from detector.drill.exposure import ALERT_TIMES, HOUR
from detector.drill.window import DEFAULT_DAYS, MIN_DAYS, day_range
from detector.ledger.store import Ledger
from detector.model.scoring import LOOKBACK_DAYS

START = date(2024, 1, 1)


@pytest.fixture(scope="session")
def staged(stage, model):
    return schedule.stage_campaigns(stage.population(model), 5, 2)


def of_kind(staged, kind):
    return next(each for each in staged if schedule.campaign_kind(each.name) == kind)


def days(count):
    return [START + timedelta(days=n) for n in range(count)]


def test_the_stage_is_six_weeks_where_the_ledger_has_them():
    first, last = day_range(days(LOOKBACK_DAYS + 100), None)
    assert (last - first).days + 1 == DEFAULT_DAYS
    assert last == days(LOOKBACK_DAYS + 100)[-1]


def test_the_stage_is_what_follows_the_history_where_there_is_less():
    first, _ = day_range(days(LOOKBACK_DAYS + 20), None)
    assert first == START + timedelta(days=LOOKBACK_DAYS)


def test_a_ledger_too_short_is_refused_with_what_it_would_need():
    with pytest.raises(NotEnoughHistory, match=f"at least {LOOKBACK_DAYS + MIN_DAYS} days"):
        day_range(days(LOOKBACK_DAYS + MIN_DAYS - 1), None)
    with pytest.raises(NotEnoughHistory, match="ask for --days 20 or fewer"):
        day_range(days(LOOKBACK_DAYS + 20), 21)
    with pytest.raises(NotEnoughHistory, match="no day"):
        day_range([], None)


def test_campaigns_are_cast_up_to_what_was_asked_even_where_accounts_are_few(staged):
    names = [each.name for each in staged]
    assert len(set(names)) == len(names)
    assert {"burst-1", "burst-2", "fold-1", "fold-2", "poisoned-2"} <= set(names)
    assert all(int(name.rsplit("-", 1)[1]) <= 2 for name in names)


def test_no_account_steals_for_two_campaigns_of_a_round(staged):
    rounds = schedule.rounds(staged, 50)
    assert sorted(each.name for some in rounds for each in some) == sorted(
        each.name for each in staged
    )
    for some in rounds:
        busy = [name for each in some for name in schedule.thieves(each)]
        assert len(busy) == len(set(busy))
        assert len(busy) <= 50 * schedule.MAX_THIEF_SHARE or len(some) == 1


def test_one_round_is_enough_where_accounts_are_many(staged):
    apart = {frozenset(schedule.thieves(each)): each for each in staged[:1]}
    assert len(schedule.rounds(list(apart.values()), 10_000)) == 1


def test_a_flood_of_pages_is_found_and_what_nobody_touched_is_quiet(stage, model, staged):
    flood = of_kind(staged, "flat_month")
    rings = run.alert_times(stage.with_campaigns([flood]), [flood], model, registry.families())
    found = run.outcomes([flood], rings, stage).row(0, named=True)
    assert found["first_alert"] is not None
    assert found["exposure"] < 0.2
    assert found["records"] == flood.rows["rows"].sum()
    assert found["first_act"] == flood.rows["hour"].min()


@pytest.mark.slow
def test_the_drill_scores_as_the_batch_does(place, stage, model):
    """With nobody staged, in portions of its own: the alerts that ``detector score`` raises."""
    book = Ledger.open(place / "ledger", model.settings.timezone)
    pipeline = Pipeline(
        model, stage.directory, stage.settings, registry.families(),
        history=EpisodeHistory(adapts_threshold=False),
    )  # fmt: skip
    batch = [
        (
            alert["entity_kind"], alert["entity"], datetime.fromisoformat(alert["time"]),
            alert["activity"] == "create",
        )
        for some in score_by_week(pipeline, book, stage.days, MAX_ACCOUNTS)
        for alert in some.alerts
        if alert["activity"] != "close"
    ]  # fmt: skip
    rings = run.alert_times(stage, [], model, registry.families())
    assert len(batch) > 3
    assert sorted(rings.rows()) == sorted(batch)


def test_the_same_seed_gives_the_same_figures_and_another_one_others(stage, model):
    def campaigns(seed):
        cast = schedule.stage_campaigns(stage.population(model), seed, 1)
        return {each.name: each.rows for each in cast}

    one, again, other = campaigns(3), campaigns(3), campaigns(4)
    assert one.keys() == again.keys()
    assert all(one[name].equals(again[name]) for name in one)
    assert any(not one[name].equals(other[name]) for name in one.keys() & other.keys())


def test_what_a_campaign_did_before_the_stage_is_learned_but_not_counted(stage, model, staged):
    poisoned = of_kind(staged, "poisoned")
    before = poisoned.rows["day"] < stage.first
    assert before.any()
    robbed = stage.with_campaigns([poisoned])
    (who,) = schedule.thieves(poisoned)
    level = model.baselines.levels.filter(pl.col("entity") == who)["rows_centre"].item()
    raised = run._stage_baselines(robbed, [poisoned], model).levels.filter(pl.col("entity") == who)
    assert raised["rows_centre"].item() > level
    found = run.outcomes([poisoned], pl.DataFrame(schema=dict(ALERT_TIMES)), stage).row(
        0, named=True
    )
    assert found["records"] == poisoned.rows.filter(~before)["rows"].sum()
    assert found["exposure"] == 1


def test_nothing_is_learned_anew_where_the_model_never_saw_the_stage(stage, model, staged):
    flood = of_kind(staged, "flat_month")
    assert run._stage_baselines(stage.with_campaigns([flood]), [flood], model) is model.baselines


def test_days_of_the_stage_that_the_model_was_trained_on_are_forgotten(stage, model, staged):
    flood = of_kind(staged, "flat_month")
    trained = replace(model, last_day=stage.last)
    learned = run._stage_baselines(stage.with_campaigns([flood]), [flood], trained)
    assert learned is not model.baselines
    assert learned.levels.equals(model.baselines.levels)


def test_an_alert_counts_on_the_campaign_s_entities_alone(stage, staged):
    flood = of_kind(staged, "flat_month")
    (who,) = schedule.thieves(flood)
    late = flood.rows["hour"].min() + 2 * HOUR

    def found(*rings):
        frame = pl.DataFrame(
            [(*ring, True) for ring in rings], schema=dict(ALERT_TIMES), orient="row"
        )
        return run.outcomes([flood], frame, stage).row(0, named=True)

    assert found(("account", who, late))["found_by"] == "account"
    assert found(("account", f"not {who}", late))["found_by"] is None


def test_alerts_on_whom_a_campaign_touched_are_not_called_benign(stage, model, staged):
    crowd = of_kind(staged, "crowd_address")
    kind, address = crowd.targets[0]
    (someone, *_rest) = sorted(schedule.thieves(crowd))
    people = stage.peer_groups(model)
    group = people.filter(pl.col("account") == someone)["group"].item()
    (table,) = crowd.rows["object"].drop_nulls().unique().sort().head(1)
    time = crowd.rows["hour"].max()
    rings = [
        (kind, address, time, True),
        ("account", someone, time, True),
        ("group", group, time, True),
        ("object", table, time, True),
        ("account", "somebody else", time, True),
        ("account", "somebody else", time + HOUR, False),  # an update, no alert of its own
    ]
    frame = pl.DataFrame(rings, schema=dict(ALERT_TIMES), orient="row")
    assert run.benign_alerts(frame, [crowd], people)["entity"].to_list() == ["somebody else"]


@pytest.mark.slow
def test_the_whole_drill_has_a_row_for_each_campaign_in_the_order_of_kinds(stage, model):
    told = []
    found = run.drill(
        stage, model, registry.families(), 1, 5, lambda share, words: told.append((share, words))
    )
    check(found.campaigns, DRILL_RESULTS, "drill")
    order = [kind.name for kind in kinds.KINDS]
    mine = found.campaigns["kind"].to_list()
    assert mine == sorted(mine, key=order.index)
    assert found.campaigns["exposure"].is_between(0, 1).all()
    assert found.rounds > 1
    check(found.chance_campaigns, DRILL_RESULTS, "by chance")
    assert found.chance_campaigns["campaign"].equals(found.campaigns["campaign"])
    assert found.chance_campaigns["exposure"].mean() > found.campaigns["exposure"].mean() + 0.2
    honest = run.alert_times(stage, [], model, registry.families())
    begun = honest.filter("begins_episode").height
    assert 0 < begun <= honest.height
    assert found.honest_alerts_per_day == begun / len(stage.days)
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
