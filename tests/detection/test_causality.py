"""No number sees the future, and what is said of a day does not depend on what else is scored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from small_office import (
    CUT,
    FAMILIES,
    FOREIGN,
    JOB,
    NAMES,
    SCORED,
    Office,
    agent,
    days,
    joined,
    moved,
    pages,
)

from detector.alerts.alert import Alert
from detector.detection.batch import MAX_ACCOUNTS, score_by_week
from detector.features import feature_table
from detector.features.aggregates import ENTITY_KINDS
from detector.model import scoring, threshold

FEATURES = [feature for family in FAMILIES for feature in family.features]
KEYS = ["entity_kind", "entity", "hour"]
#: Scores up to this moment must stay, whatever happens after it.
MOMENT = datetime(SCORED[7].year, SCORED[7].month, SCORED[7].day, 12, tzinfo=UTC)

#: Where one agent sits on the moment's day, and nobody before.
PLACE = "10.77.0.5"


def _ends(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("timestamp") < MOMENT)


def _plundered(events: pl.DataFrame) -> pl.DataFrame:
    """Later, an agent, a stranger and the job's account take all they can, from the new place."""
    loot = pages(7, SCORED[7:12], 3000, seed=8).filter(pl.col("timestamp") >= MOMENT)
    loot = loot.with_columns(client_address=pl.lit(PLACE))
    return joined(
        events,
        loot,
        loot.with_columns(account=pl.lit("stranger")),
        loot.with_columns(account=pl.lit(JOB), object=pl.lit("secret.archive")),
    )


def _moved(events: pl.DataFrame) -> pl.DataFrame:
    """Later, everyone sits elsewhere, uses other programs and reads ten times as much."""
    past = _ends(events)
    later = events.filter(pl.col("timestamp") >= MOMENT).with_columns(
        client_address=pl.concat_str(pl.lit("172.16.0."), pl.col("client_address").str.slice(-1)),
        application=pl.lit("back"),
        object=pl.concat_str(pl.lit("new."), "object"),
        rows=pl.col("rows") * 10,
    )
    return joined(past, later)


FUTURES = {"the log ends": _ends, "a theft": _plundered, "a move": _moved}


@pytest.fixture(scope="module")
def log(robbed_log):
    """The robbed office's, in which one more agent sits at a new place on the moment's day."""
    return moved(robbed_log, 24, MOMENT.date(), PLACE)


@pytest.fixture(scope="module")
def until_moment(log, model):
    scored = Office.of(log).score(model, SCORED)
    found = scored.filter(pl.col("hour") + timedelta(hours=1) <= MOMENT)
    at_work = found.filter(pl.col("entity") == agent(24), pl.col("day") == MOMENT.date())
    assert at_work["new_networks"].max() > 0
    return found


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name == "a theft" else [pytest.mark.slow])
        for name in FUTURES
    ],
)
def otherwise(request, log, model):
    """The same log up to the moment, scored with another future."""
    office = Office.of(FUTURES[request.param](log))
    scored = office.score(model, SCORED)
    return scored.filter(pl.col("hour") + timedelta(hours=1) <= MOMENT)


@pytest.mark.parametrize("kind", ENTITY_KINDS)
def test_no_feature_of_any_kind_of_entity_sees_the_future(kind, until_moment, otherwise):
    told = until_moment.filter(pl.col("entity_kind") == kind)
    again = otherwise.filter(pl.col("entity_kind") == kind)
    assert len(told) > 10
    assert told.select(KEYS).equals(again.select(KEYS))
    changed = [name for name in NAMES if not told[name].equals(again[name], null_equal=True)]
    assert not changed, f"{kind}: these see the future: {changed}"


def test_no_score_and_no_alert_sees_the_future(until_moment, otherwise):
    columns = [*KEYS, "surprise", "alarming", "rows", "rows_usual", "new_addresses_names"]
    assert until_moment.select(columns).equals(otherwise.select(columns), null_equal=True)
    assert until_moment["alarming"].any()


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_every_feature_has_unit_meaning_and_a_sentence_for_any_row(feature, scored):
    assert feature.unit
    assert feature.meaning
    for kind in ENTITY_KINDS:
        own = scored.filter(pl.col("entity_kind") == kind)
        for row in own.sample(min(20, len(own)), seed=1).iter_rows(named=True):
            words = feature.describe(row)
            assert words
            assert "None" not in words
            assert "nan" not in words


def test_the_end_of_a_day_is_the_last_hour_of_the_day_as_it_ran(robbed, model, scored):
    """Models are trained on ends of days and judge every hour: both must mean the same."""
    ends = feature_table.build_table(
        robbed.hours, robbed.touched, SCORED, model.baselines, None, robbed.settings, FAMILIES,
        ends=True,
    )  # fmt: skip
    last = scored.group_by("entity_kind", "entity", "day", maintain_order=True).last()
    assert last.select(ends.columns).sort(KEYS).equals(ends.sort(KEYS), null_equal=True)


def test_one_day_at_a_time_gives_the_same_scores_as_all_at_once(robbed, model, scored):
    some = SCORED[4:8]
    apart = pl.concat([robbed.score(model, [day]) for day in some]).sort(KEYS).drop("alarming")
    together = scored.filter(pl.col("day").is_in(some)).sort(KEYS).drop("alarming")
    assert apart.equals(together, null_equal=True)


@pytest.mark.slow
def test_three_weeks_at_once_are_their_single_days(robbed_log, model):
    """Scores, alerts and ids, read from the ledger as ``detector score`` reads it."""
    some = days(SCORED[0] - timedelta(days=7), 21)
    few = Office.of(robbed_log.filter(pl.col("account") < "agent12"))
    together = list(score_by_week(few.pipeline(model), few.tables(), some, MAX_ACCOUNTS))
    pipeline = few.pipeline(model)
    apart = [
        part for day in some for part in score_by_week(pipeline, few.tables(), [day], MAX_ACCOUNTS)
    ]
    assert_same_results(together, apart)


def assert_same_results(together, apart):
    """Scores and alerts, of which there are some."""
    scores = [pl.concat([part.scores for part in parts]) for parts in (together, apart)]
    assert scores[0].equals(scores[1], null_equal=True)
    alerts = [[found for part in parts for found in part.alerts] for parts in (together, apart)]
    assert alerts[0] == alerts[1]
    assert len(alerts[0]) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("many", [1, 7])
def test_a_day_of_many_accounts_is_scored_some_after_the_others_as_all_at_once(
    robbed_log, model, many
):
    """Scores and whole alerts, of accounts, groups, addresses and tables."""
    some = [SCORED[0], *SCORED[7:9]]
    few = robbed_log.filter(pl.col("account") < ("agent48" if many > 1 else "agent24"))
    office = Office.of(few)
    together = list(score_by_week(office.pipeline(model), office.tables(), some, MAX_ACCOUNTS))
    apart = list(score_by_week(office.pipeline(model), office.tables(), some, many))
    assert [part.days for part in apart] == [[day] for day in some]
    assert_same_results(together, apart)


@pytest.mark.slow
def test_scores_do_not_depend_on_the_order_of_the_log(robbed_log, model, scored):
    shuffled = Office.of(robbed_log.sample(fraction=1, shuffle=True, seed=7))
    assert shuffled.score(model, SCORED).equals(scored, null_equal=True)


def test_scores_need_only_the_lookback(robbed, model):
    """So the cost of one more day does not grow with the history."""
    day = SCORED[-1]
    recent = robbed.since(day - timedelta(days=scoring.LOOKBACK_DAYS))
    columns = [*KEYS, *NAMES, "surprise", "alarming"]
    needed, all_there = recent.score(model, [day]), robbed.score(model, [day])
    assert needed.select(columns).equals(all_there.select(columns), null_equal=True)


@pytest.mark.slow
def test_the_week_in_which_a_run_may_have_begun_is_scored_whole_within_the_lookback(robbed, model):
    """Its first day needs its own weeks before it, too."""
    begins = SCORED[-1] - timedelta(days=threshold.EPISODE_DAYS)
    recent = robbed.since(SCORED[-1] - timedelta(days=scoring.LOOKBACK_DAYS))
    needed, all_there = recent.score(model, [begins]), robbed.score(model, [begins])
    columns = [*KEYS, *NAMES, "surprise"]
    assert needed.select(columns).equals(all_there.select(columns), null_equal=True)


def test_a_day_without_any_log_before_it_is_scored(robbed, model):
    """A new ledger: the week before, in which runs begin, is not there."""
    alone = robbed.since(CUT).before(CUT + timedelta(days=1))
    assert alone.score(model, [CUT]).filter("alarming")["entity"].is_in(["agent00"]).any()


@pytest.mark.slow
def test_an_alert_once_raised_is_never_rewritten(robbed_log, model):
    """Scored again each day over all that is known by then, as a daily run with overlap would."""
    before: list[Alert] = []
    for known in range(2, 11, 2):
        log = robbed_log.filter(pl.col("timestamp").dt.date() <= SCORED[known - 1])
        office = Office.of(log)
        alerts = office.alerts(office.score(model, SCORED[:known]), model)
        assert alerts[: len(before)] == before
        before = alerts
    assert any(found["entity"] == "agent00" for found in before)
    assert FOREIGN in str(before)
