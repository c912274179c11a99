"""How long lists are: looks at single records say nothing of it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from small_office import CUT, SCORED, Office, agent

from detector.core import schema
from detector.core.settings import Settings
from detector.features import aggregates
from detector.features.aggregate_columns import HOURLY_COLUMNS
from detector.features.aggregates import MEAN_LENGTH, log_scale
from detector.ledger.aggregate import hourly_sums, touched_values

SETTINGS = Settings()
lists = st.lists(st.integers(2, 10_000), max_size=8)
looks = st.lists(st.integers(0, 1), max_size=8)


def _length(rows: list[int]) -> float:
    base = dict.fromkeys(schema.EVENTS) | {"account": "ann", "action": "read", "success": True}
    moment = datetime(2024, 2, 6, 8, tzinfo=UTC)
    log = pl.DataFrame(
        [base | {"timestamp": moment, "rows": number} for number in rows],
        schema=dict(schema.EVENTS),
        orient="row",
    )
    hourly = aggregates.hourly_by_account(hourly_sums(log), touched_values(log, "UTC"), SETTINGS)
    totals = {name: hourly[name].fill_null(float("nan")).to_numpy() for name in HOURLY_COLUMNS}
    return float(log_scale(totals)[MEAN_LENGTH][0])


@given(lists.filter(len), looks)
@hypothesis_settings(max_examples=60)
def test_the_length_is_that_of_the_lists_alone(long, single):
    expected = np.log1p(np.array(long, dtype=np.float64)).mean()
    assert abs(_length([*long, *single]) - expected) < 1e-6


@given(looks.filter(len))
@hypothesis_settings(max_examples=20)
def test_without_a_list_nothing_is_said_of_their_length(single):
    assert np.isnan(_length(single))


def test_a_day_without_lists_neither_adds_to_a_running_sum_nor_forgives(honest_log, model):
    long, short = SCORED[:4], SCORED[4]
    mine = pl.col("account") == agent(3)
    day = pl.col("timestamp").dt.date()
    log = honest_log.with_columns(
        pl.when(mine & day.is_in(long))
        .then(pl.col("rows") * 500)
        .when(mine & (day == short))
        .then(pl.lit(1))
        .otherwise("rows")
        .alias("rows")
    )
    scored = Office.of(log).score(model, SCORED[:5]).filter(pl.col("entity") == agent(3))
    sums = dict(scored.sort("hour").group_by("day").agg(pl.col("length_slow").last()).iter_rows())
    assert sums[short] == sums[long[-1]] > 1
    assert CUT in sums


def test_the_length_so_far_never_falls_within_a_day(scored):
    """What a few lists show by noon, the evening must not take back: it may have rung."""
    so_far = scored.sort("hour").select(
        fell=pl.col("length_log").diff().over("entity_kind", "entity", "day") < -1e-9
    )
    assert so_far["fell"].is_not_null().sum() > 1000
    assert not so_far["fell"].any()
