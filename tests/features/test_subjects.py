"""Reading the same files all day is work; reading as many different people's is not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import opened_files as agency
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opened_files import CUT, ROAMER, ROAMS, SCORED, STEADY
from polars.testing import assert_frame_equal
from properties import examples
from small_office import CUT as CUT_OF_OFFICE
from small_office import FAMILIES, FEW, Office
from small_office import SCORED as SCORED_OF_OFFICE

from detector.campaigns import ledger_rows
from detector.core import schema
from detector.core.schema import SUBJECT, TOUCHED_VALUES
from detector.features import baseline_training, distinct_subjects
from detector.features import feature_table as tables
from detector.features.aggregates import ACCOUNT
from detector.features.distinct_subjects import MONTH_DAYS, MonthHistory
from detector.features.feature import available_families
from detector.features.history import gather
from detector.features.incremental import RunningDay
from detector.ledger import distinct_sketch
from detector.ledger.aggregate import touched_values
from detector.model import store
from detector.model.training import train
from detector.model.training_data import TrainingData

RARE = ["subjects_vs_own", "month_subjects_vs_own"]
KEYS = ["entity_kind", "entity", "hour"]
FIGURES = [*KEYS, *RARE, "surprise"]


@pytest.fixture(scope="module")
def files() -> Office:
    return Office.of(agency.log())


@pytest.fixture(scope="module")
def trained(files):
    return files.before(CUT).model()


@pytest.fixture(scope="module")
def found(files, trained):
    return files.score(trained, SCORED)


@pytest.mark.slow
def test_who_opens_other_people_s_files_alerts_within_hours_and_the_reason_says_how_many(
    files, trained, found
):
    alerts = [each for each in files.alerts(found, trained) if each["entity"] == ROAMER]
    assert alerts[0]["time"] <= f"{ROAMS}T10:00:00Z"
    (said,) = re.findall(r"read the files of ([\d,]+) different people", str(alerts[0]["reasons"]))
    assert int(said.replace(",", "")) > 5 * agency.FILES
    assert re.search(r"people( in four weeks)?; [345]\d expected", str(alerts[0]["reasons"]))
    assert alerts[0]["features"]["subjects_vs_own"]["surprise"] > 5


@pytest.mark.slow
def test_who_opens_as_many_files_of_the_same_people_does_not_alert(files, trained, found):
    assert STEADY not in {each["entity"] for each in files.alerts(found, trained)}
    ends = found.filter(pl.col("entity").is_in([STEADY, ROAMER]), pl.col("day") == ROAMS)
    last = ends.sort("hour").group_by("entity").last()
    rows, people = (dict(last.select("entity", name).iter_rows()) for name in ("rows", "subjects"))
    assert rows[STEADY] == pytest.approx(rows[ROAMER], rel=0.1)
    assert people[STEADY] == agency.FILES
    assert people[ROAMER] == pytest.approx(4000, rel=0.15)


@pytest.mark.slow
def test_only_accounts_have_the_features(files, trained):
    table = tables.build_table(
        files.hours, files.touched, SCORED, trained.baselines, None, files.settings, FAMILIES
    )
    other = table.filter(pl.col("entity_kind") != ACCOUNT)
    assert len(other) >= 10
    assert other.select(RARE).null_count().row(0) == (len(other), len(other))


@pytest.mark.slow
def test_no_count_sees_what_comes_after_its_hour(trained, found):
    moment = datetime(ROAMS.year, ROAMS.month, ROAMS.day, 11, tzinfo=UTC)
    past = agency.log().filter(pl.col("timestamp") < moment)
    cut = Office.of(past).score(trained, [day for day in SCORED if day <= ROAMS])
    until = pl.col("hour") + timedelta(hours=1) <= moment
    told, again = found.filter(until).select(FIGURES), cut.filter(until).select(FIGURES)
    assert told.filter(pl.col("entity") == ROAMER)["subjects_vs_own"].max() > 5
    assert told.equals(again, null_equal=True)


@pytest.mark.slow
def test_a_day_is_judged_alike_whatever_else_is_scored(files, trained, found):
    some = SCORED[8:12]
    apart = pl.concat([files.score(trained, [day]) for day in some]).sort(KEYS)
    together = found.filter(pl.col("day").is_in(some)).sort(KEYS)
    assert apart.select(FIGURES).equals(together.select(FIGURES), null_equal=True)


@pytest.mark.slow
@pytest.mark.parametrize("day", [ROAMS, ROAMS + timedelta(days=1)])
def test_a_day_that_runs_is_counted_as_when_it_is_over(files, trained, day):
    until = files.before(day + timedelta(days=1))
    halves = [
        (until.hours.filter(some), until.touched.filter(some))
        for some in (pl.col("account") < "f", pl.col("account") >= "f")
    ]
    past = gather(halves, day, trained.baselines, None, files.settings)
    today = RunningDay.from_past(past, FAMILIES)
    now = until.since(day)
    each, new = today.hourly(now.hours, now.touched), today.new_values(now.touched)
    live = today.table(each, new, {ACCOUNT: None}, ends=False)
    whole = tables.build_table(
        until.hours, until.touched, [day], trained.baselines, None, files.settings, FAMILIES
    ).filter(pl.col("entity_kind") == ACCOUNT)
    columns = [*KEYS, "subjects", "month_subjects", *RARE]
    assert live.select(columns).sort(KEYS).equals(whole.select(columns).sort(KEYS))
    assert live["month_subjects"].max() > distinct_sketch.K


@pytest.mark.slow
def test_a_model_keeps_what_it_learned_of_them(trained, found, files, tmp_path):
    store.save(trained, tmp_path / "model", FAMILIES)
    again = store.load(tmp_path / "model", FAMILIES)
    assert set(RARE) <= set(again.kind_models[ACCOUNT].ensemble.feature_names)
    scored = files.score(again, SCORED[9:10])
    wanted = found.filter(pl.col("day") == SCORED[9])
    assert scored.select(FIGURES).equals(wanted.select(FIGURES), null_equal=True)


@pytest.mark.slow
def test_a_model_of_a_log_without_subjects_is_made_as_if_there_were_no_such_features(
    honest_log, model_of_few
):
    model, office = model_of_few, Office.of(honest_log.filter(FEW))
    past = office.before(CUT_OF_OFFICE)
    without = replace(
        TrainingData(past.hours, past.touched, None, past.settings, FAMILIES),
        families=available_families(FAMILIES, ()),
    )
    same = train(without)
    assert same.threshold == model.threshold
    assert (
        same.kind_models[ACCOUNT].ensemble.feature_names
        == model.kind_models[ACCOUNT].ensemble.feature_names
    )
    assert not set(RARE) & set(model.kind_models[ACCOUNT].ensemble.feature_names)
    assert_frame_equal(same.baselines.levels, model.baselines.levels, check_exact=True)
    assert not [name for name in model.baselines.levels.columns if SUBJECT in name]
    scored = office.score(model, SCORED_OF_OFFICE)
    assert scored.select(RARE).null_count().row(0) == (len(scored), len(scored))
    assert not any(scored[f"{name}_surprise"].max() for name in RARE)


@pytest.mark.slow
def test_a_model_that_knows_no_subjects_judges_a_log_with_them_as_one_without(files):
    bare = Office(files.hours, files.touched.filter(pl.col("dimension") != SUBJECT), files.settings)
    model = bare.before(CUT).model()
    columns = [*KEYS, "surprise", "alarming", "rows"]
    scores = [office.score(model, SCORED[8:10]).select(columns) for office in (files, bare)]
    assert scores[0].equals(scores[1])


def test_shards_some_of_which_have_no_subjects_teach_what_all_at_once_do(files):
    counsellors = pl.col("account").str.starts_with("counsellor")
    past = files.before(CUT)
    some = past.touched.filter(counsellors | (pl.col("dimension") != SUBJECT))
    parts = [(past.hours.filter(each), some.filter(each)) for each in (counsellors, ~counsellors)]
    whole = baseline_training.train_baselines(past.hours, some, None, past.settings)
    shards = baseline_training.train_shards(lambda: iter(parts), None, past.settings)
    for name in ("levels", "peers"):
        assert_frame_equal(getattr(shards, name), getattr(whole, name), check_exact=True)
    assert whole.levels["subjects_centre"].is_finite().any()


def test_a_theft_that_is_staged_reads_as_many_people_as_records(files):
    hour = datetime(ROAMS.year, ROAMS.month, ROAMS.day, 8, tzinfo=UTC)
    base = {
        "day": ROAMS, "hour": hour, "action": "read", "client_address": None, "application": None,
        "object": "file", "statements": 300, "log_rows": 300.0, "largest": 3, "bytes": 0,
        "minutes": 1, "known": True,
    }  # fmt: skip
    acts = pl.DataFrame(
        [
            base | {"account": "counsellor00", "rows": 300},
            base | {"account": "counsellor01", "rows": 90_000},
            base | {"account": "counsellor02", "rows": 500, "known": False},
            base | {"account": "svc.database", "rows": 500},
        ],
        schema=dict(ledger_rows.CAMPAIGN_ROWS),
    )
    day = files.before(ROAMS + timedelta(days=1)).since(ROAMS)
    counted = [
        dict(
            distinct_subjects
            .add_counts(hours.select("account", "hour").unique().with_columns(day=ROAMS), touched)
            .group_by("account").agg(pl.col("subjects").sum()).iter_rows()
        )
        for hours, touched in (
            (day.hours, day.touched), ledger_rows.add_campaign(day.hours, day.touched, acts),
        )
    ]  # fmt: skip
    more = {name: number - counted[0].get(name, 0) for name, number in counted[1].items()}
    assert more["counsellor00"] == 300
    assert more["counsellor01"] == pytest.approx(90_000, rel=5 / np.sqrt(distinct_sketch.K - 2))
    assert more["counsellor02"] == more["counsellor03"] == more["svc.database"] == 0


reads = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 23), st.integers(0, 25)), min_size=1, max_size=120
)


def _read(some: list[tuple[int, int, int]]) -> pl.DataFrame:
    """TOUCHED of one account's (day, hour, subject)."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    blank = dict.fromkeys(schema.EVENTS) | {"account": "ann", "action": "read", "success": True}
    hashes = agency.hashed(np.arange(26))
    rows = [
        blank | {"timestamp": start + timedelta(days=day, hours=hour), SUBJECT: hashes[whose]}
        for day, hour, whose in some
    ]
    return touched_values(pl.DataFrame(rows, schema=dict(schema.EVENTS), orient="row"), "UTC")


@given(reads)
@hypothesis_settings(max_examples=examples(60))
def test_each_hour_counts_those_of_its_day_so_far_and_of_the_four_weeks_it_ends(some):
    start = date(2024, 1, 1)
    hours = _active(some)
    counted = distinct_subjects.add_counts(hours, _read(some)).sort("hour")
    so_far = counted.with_columns(pl.col("subjects", "month_subjects").cum_sum().over("day"))
    for moment, day, today, month in so_far.select(
        "hour", "day", "subjects", "month_subjects"
    ).iter_rows():
        at, clock = (day - start).days, moment.hour
        assert today == len({who for d, h, who in some if d == at and h <= clock})
        assert month == len(
            {who for d, h, who in some if at - MONTH_DAYS < d and (d, h) <= (at, clock)}
        )


def _active(some: list[tuple[int, int, int]]) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    hours = sorted({start + timedelta(days=day, hours=hour) for day, hour, _ in some})
    return pl.DataFrame(
        {"account": "ann", "hour": hours}, schema={"account": pl.String, "hour": schema.TIMESTAMP}
    ).with_columns(day=pl.col("hour").dt.date())


@pytest.mark.parametrize("kept", [4, 12, distinct_sketch.K])
def test_a_day_that_runs_is_counted_alike_with_its_past_prepared(kept, monkeypatch):
    monkeypatch.setattr(distinct_sketch, "K", kept)
    monkeypatch.setattr(distinct_subjects, "K", kept)
    random = np.random.default_rng(kept)
    for last in random.integers(20, 40, 30).tolist():
        some = [*zip(random.integers(0, last + 1, 80), random.integers(0, 24, 80),
                     random.integers(0, 26, 80), strict=True), (last, 3, 1)]  # fmt: skip
        some = [tuple(map(int, each)) for each in some]
        table, hours = _read(some), _active(some)
        day = date(2024, 1, 1) + timedelta(days=last)
        now = pl.col("day") == day
        past = MonthHistory.from_touched(table, day)
        found = distinct_subjects.add_counts(hours.filter(now), table.filter(now), past)
        wanted = distinct_subjects.add_counts(hours, table).filter(now)
        assert found.sort("hour").equals(wanted.sort("hour"))
        assert table.schema == dict(TOUCHED_VALUES)
