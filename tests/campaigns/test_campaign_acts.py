"""A staged campaign is one more part of the log: its acts are what its events would have been."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from small_office import CUT, LATER, Office, directory

from detector.campaigns import kinds, ledger_rows
from detector.campaigns.population import build_population
from detector.core import schema
from detector.features.peer_groups import assign_groups
from detector.ledger.aggregate import (
    MIN_LIST_ROWS,
    hourly_sums,
    merge_touched_values,
    touched_values,
)

ZONE = "Europe/Paris"
names = st.one_of(st.none(), st.sampled_from(["a", "b", "\x1b[2J", "é"]))
statements = st.fixed_dictionaries(
    {
        "timestamp": st.datetimes(datetime(2024, 3, 30), datetime(2024, 4, 1)).map(  # noqa: DTZ001
            lambda moment: moment.replace(tzinfo=UTC)
        ),
        "account": st.sampled_from(["ann", "bob", "cyd"]),
        "client_address": names,
        "application": names,
        "object": names,
        "action": st.sampled_from(["read", "export"]),
        "rows": st.one_of(st.none(), st.integers(0, 10**6)),
    }
).map(lambda row: row | {"bytes": row["rows"] and 680 * row["rows"]})
logs = st.lists(statements, max_size=25).map(
    lambda rows: pl.DataFrame(
        [dict.fromkeys(schema.EVENTS) | {"success": True} | row for row in rows],
        schema=dict(schema.EVENTS),
        orient="row",
    )
)


def _acts(events: pl.DataFrame) -> pl.DataFrame:
    """One act for each event."""
    known = pl.col("rows").is_not_null()
    log_rows = pl.col("rows").fill_null(0).cast(pl.Float64).log1p()
    listed = pl.col("rows").fill_null(0) >= MIN_LIST_ROWS
    return events.select(
        "account",
        pl.col("timestamp").dt.truncate("1h").dt.convert_time_zone(ZONE).dt.date().alias("day"),
        pl.col("timestamp").dt.truncate("1h").alias("hour"),
        "action",
        "client_address",
        "application",
        "object",
        pl.lit(1, pl.Int64).alias("statements"),
        pl.col("rows").fill_null(0),
        log_rows.alias("log_rows"),
        listed.cast(pl.Int64).alias("lists"),
        pl.when(listed).then(log_rows).otherwise(0.0).alias("log_list_rows"),
        pl.col("rows").fill_null(0).alias("largest"),
        pl.col("bytes").fill_null(0),
        pl.lit(2, pl.Int64).pow(pl.col("timestamp").dt.minute()).alias("minutes"),
        known.alias("known"),
    )


def _folded(events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return hourly_sums(events), merge_touched_values(touched_values(events, ZONE))


@given(logs, logs)
@hypothesis_settings(max_examples=60)
def test_acts_added_are_events_folded(honest, stolen):
    hours, touched = ledger_rows.add_campaign(*_folded(honest), _acts(stolen))
    all_hours, all_touched = _folded(pl.concat([honest, stolen]))
    assert hours.equals(all_hours.sort("hour", "account", "action"))
    keys = ["day", "account", "dimension", "value"]
    assert touched.equals(all_touched.sort(keys))


@given(logs)
@hypothesis_settings(max_examples=20)
def test_no_acts_change_nothing(honest):
    hours, touched = _folded(honest)
    same = ledger_rows.add_campaign(
        hours, touched, pl.DataFrame(schema=dict(ledger_rows.CAMPAIGN_ROWS))
    )
    assert same[0].equals(hours.sort("hour", "account", "action"))
    assert same[1].equals(touched.sort("day", "account", "dimension", "value"))


@pytest.fixture(scope="module")
def stage(honest):
    people = directory()
    return build_population(
        honest.hours,
        honest.touched,
        assign_groups(honest.hours["account"], people),
        {"svc.nightly"},
        CUT,
        LATER[-1],
        honest.settings.timezone,
    )


@pytest.fixture(scope="module")
def staged(stage):
    return kinds.build_campaigns(stage, 3, 1)


def test_campaigns_act_on_the_stage_and_take_records(stage, staged):
    assert {each.name.rsplit("-", 1)[0] for each in staged} > {"burst", "fold", "ramp", "mimic"}
    for each in staged:
        frame = schema.check(each.rows, ledger_rows.CAMPAIGN_ROWS, each.name)
        begins = date(2024, 1, 1) if each.name.startswith("poisoned") else stage.first
        assert frame["day"].is_between(begins, stage.last).all(), each.name
        assert (frame["statements"] >= 0).all()
        assert (frame["rows"] >= 0).all()
        assert np.isfinite(frame["log_rows"].to_numpy()).all()
        days = frame["hour"].dt.convert_time_zone(stage.timezone).dt.date()
        assert (days == frame["day"]).all()
        assert set(frame["account"]) <= set(stage.baselines["account"])


def test_two_campaigns_never_share_an_account(staged):
    taken = [name for each in staged for name in each.rows["account"].unique()]
    assert len(taken) == len(set(taken))


def test_the_same_seed_stages_the_same_campaigns(stage, staged):
    again = kinds.build_campaigns(stage, 3, 1)
    assert [each.name for each in again] == [each.name for each in staged]
    assert all(a.rows.equals(b.rows) for a, b in zip(again, staged, strict=True))
    other = kinds.build_campaigns(stage, 4, 1)
    assert not all(a.rows.equals(b.rows) for a, b in zip(other, staged, strict=False))


def test_where_nobody_fits_a_kind_is_left_out(stage):
    """A log without tables, without services, and with nobody but three people."""
    bare = replace(stage, objects=stage.objects.clear())
    names = {each.name for each in kinds.build_campaigns(bare, 3, 1)}
    assert {"service_abuse-1", "crowd_table-1"}.isdisjoint(names)
    assert {"burst-1", "crowd_address-1", "new_tables-1"} <= names
    three = stage.baselines.filter(~pl.col("service")).head(3)
    few = {each.name for each in kinds.build_campaigns(replace(stage, baselines=three), 3, 1)}
    assert few
    assert not any(name.startswith(("crowd", "service", "newcomer")) for name in few)
    assert kinds.build_campaigns(replace(stage, baselines=three.clear()), 3, 1) == []


def test_services_are_cast_for_the_abuse_of_services_alone(stage):
    half = pl.col("account").str.ends_with("1") | pl.col("account").str.ends_with("3")
    mixed = replace(stage, baselines=stage.baselines.with_columns(service=half))
    services = set(mixed.baselines.filter("service")["account"])
    cast = {
        each.name: {name for kind, name in each.targets if kind == "account"}
        for each in kinds.build_campaigns(mixed, 3, 1)
    }
    assert cast.pop("service_abuse-1") <= services
    assert len(cast) > 10
    assert all(names.isdisjoint(services) for names in cast.values()), cast


def test_honest_people_stay_as_they_were(honest, staged):
    acts = pl.concat(each.rows for each in staged)
    hours, touched = ledger_rows.add_campaign(honest.hours, honest.touched, acts)
    thieves = acts["account"].unique()
    kept = ~pl.col("account").is_in(thieves.implode())
    keys = ["hour", "account", "action"]
    assert hours.filter(kept).equals(honest.hours.filter(kept).sort(keys))
    assert hours["rows"].sum() == honest.hours["rows"].sum() + acts.filter("known")["rows"].sum()
    assert set(touched["dimension"]) == set(honest.touched["dimension"])


@pytest.mark.slow
def test_a_model_finds_the_loud_campaigns_it_was_not_shown(honest, model, stage):
    """Staged after training, on the real path: ledger, features, judges, threshold."""
    loud = ("burst", "flat_month", "weekend_nights")
    some = tuple(kind for kind in kinds.KINDS if kind.name in loud)
    staged = kinds.build_campaigns(stage, 11, 2, some)
    hours, touched = ledger_rows.add_campaign(
        honest.hours, honest.touched, pl.concat(each.rows for each in staged)
    )
    scored = Office(hours, touched).score(model, LATER)
    ringing = set(scored.filter("alarming")["entity"])
    thieves = {each.name: {name for _, name in each.targets} for each in staged}
    assert len(thieves) == 6
    assert all(names & ringing for names in thieves.values()), thieves
