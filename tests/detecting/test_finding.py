"""What is found, what is left alone, and what is said about it."""

import json
from datetime import date

import polars as pl
import pytest

from detector import registry, schema
from detector.alerts import alert
from detector.errors import NotEnoughHistory
from detector.forests import scoring
from detector.forests.training import train
from detector.settings import Settings


@pytest.fixture(scope="module")
def scored(robbed, model, scored_days):
    return scoring.score(
        robbed.hours, robbed.touched, scored_days, model, None, Settings(), registry.families()
    )


@pytest.fixture(scope="module")
def alerts(scored, model):
    return alert.alerts(alert.raised(scored), model, registry.families())


def test_bulk_reading_is_found_within_the_hours_of_its_first_day(alerts, scored_days):
    own = [found for found in alerts if found["entity"] == "agent00"]
    assert own[0]["date"] == scored_days[0].isoformat()
    assert own[0]["time"] < f"{scored_days[0]}T06:00:00Z"


def test_each_day_of_the_theft_alerts_once(alerts, scored_days):
    own = [found["date"] for found in alerts if found["entity"] == "agent00"]
    assert own == [day.isoformat() for day in scored_days]


def test_the_reasons_name_figures_and_the_new_address(alerts):
    first = next(found for found in alerts if found["entity"] == "agent00")
    assert first["new_client_addresses"] == ["185.12.4.7"]
    text = "; ".join(first["reasons"])
    assert f"read {first['rows']:,} records" in text
    assert "185.12.4.7" in text
    assert json.loads(json.dumps(first)) == first


def test_a_new_address_is_new_only_once(scored):
    thief = (
        scored.filter(pl.col("account") == "agent00")
        .group_by("day")
        .agg(pl.col("new_addresses").max())
    )
    assert thief.sort("day")["new_addresses"].to_list() == [1] + [0] * (len(thief) - 1)


def test_an_alert_has_the_same_id_whenever_it_is_scored():
    day = date(2024, 2, 6)
    assert alert.alert_id("account", "a", day) == alert.alert_id("account", "a", day)
    assert alert.alert_id("account", "a", day) != alert.alert_id("account", "b", day)
    assert alert.alert_id("account", "a", day) != alert.alert_id("client_address", "a", day)


def test_scores_keep_their_schema_and_all_rows_read(scored, model, robbed, scored_days):
    ringing = alert.alerts(alert.raised(scored), model, registry.families())
    scores = schema.check(alert.scores(scored, ringing), schema.SCORES, "scores")
    read = robbed.hours.filter(pl.col("hour").dt.date().is_in(scored_days))
    assert scores["rows"].sum() == read["rows"].sum()
    assert scores["alert_id"].drop_nulls().to_list().sort() == [a["id"] for a in ringing].sort()
    assert scores["alert_id"].drop_nulls().len() == len(ringing)
    assert scores["surprise"].is_finite().all()


def test_days_with_few_records_never_alert(scored):
    assert scored.filter("alarming")["rows"].min() >= Settings().minimum_records


def test_names_of_accounts_do_not_matter(events, fold, model, scored_days):
    renamed = events(1, "agent00").with_columns(pl.concat_str(pl.lit("x"), "account"))
    known = {
        "accounts": model.learned.accounts.with_columns(pl.concat_str(pl.lit("x"), "account")),
        "known": model.learned.known.with_columns(pl.concat_str(pl.lit("x"), "account")),
    }
    from dataclasses import replace

    other = replace(model, learned=replace(model.learned, **known))

    def score(office, which):
        return scoring.score(
            office.hours, office.touched, scored_days[:3], which, None, Settings(),
            registry.families(),
        )["surprise"]  # fmt: skip

    assert score(fold(renamed), other).equals(score(fold(events(1, "agent00")), model))


def test_the_threshold_follows_the_budget(honest, scored_days):
    past = honest.before(scored_days[0])
    thresholds = [
        train(
            past.hours, past.touched, None, Settings(alerts_per_day=budget), registry.families()
        ).threshold
        for budget in (0.2, 1.0, 5.0)
    ]
    assert thresholds[0] > thresholds[1] > thresholds[2]


def test_the_future_of_the_log_does_not_move_the_threshold(robbed, model, scored_days):
    past = robbed.before(scored_days[0])
    again = train(past.hours, past.touched, None, Settings(), registry.families())
    assert again.threshold == model.threshold


def test_too_short_a_history_is_refused_in_one_line(honest):
    short = honest.before(date(2024, 1, 8))
    with pytest.raises(NotEnoughHistory, match="7 days with data: too few") as refused:
        train(short.hours, short.touched, None, Settings(), registry.families())
    assert "\n" not in str(refused.value)


def test_an_unlisted_account_is_held_against_everyone(events, fold, model, scored_days):
    newcomer = events(1, "agent00").with_columns(
        account=pl.when(pl.col("account") == "agent00").then(pl.lit("nobody")).otherwise("account")
    )
    office = fold(newcomer.filter(pl.col("timestamp").dt.date() >= scored_days[0]))
    scored = scoring.score(
        office.hours, office.touched, scored_days[:1], model, None, Settings(),
        registry.families(),
    )  # fmt: skip
    assert scored.filter(pl.col("account") == "nobody")["alarming"].any()
