"""No feature sees the future, and a day's scores do not depend on what else is scored."""

from datetime import timedelta

import polars as pl
import pytest

from detector import registry
from detector.features import table
from detector.forests import scoring
from detector.settings import Settings

FEATURES = [feature for family in registry.families() for feature in family.features]


@pytest.fixture(scope="module")
def whole(robbed, model, scored_days):
    return table.table(
        robbed.hours,
        robbed.touched,
        scored_days,
        model.learned,
        None,
        Settings(),
        registry.families(),
    )


@pytest.fixture(scope="module")
def cut_short(events, fold, model, scored_days):
    """The same log, ending at noon of the fourth scored day."""
    noon = pl.lit(scored_days[3]).cast(pl.Datetime("us", "UTC")) + timedelta(hours=12)
    office = fold(events(1, "agent00").filter(pl.col("timestamp") < noon))
    return table.table(
        office.hours,
        office.touched,
        scored_days[:4],
        model.learned,
        None,
        Settings(),
        registry.families(),
    )


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_no_feature_changes_when_later_events_arrive(feature, whole, cut_short):
    both = cut_short.select("account", "hour", feature.name).join(
        whole.select("account", "hour", later=feature.name), on=["account", "hour"]
    )
    assert len(both) == len(cut_short)
    assert len(both) > 100
    assert both[feature.name].equals(both["later"], null_equal=True)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_every_feature_has_unit_meaning_and_a_sentence_for_any_row(feature, whole):
    assert feature.unit
    assert feature.meaning
    for row in whole.sample(50, seed=1).iter_rows(named=True):
        words = feature.says(row)
        assert words
        assert "None" not in words
        assert "nan" not in words


def test_one_day_at_a_time_gives_the_same_scores_as_all_at_once(robbed, model, scored_days):
    def score(days):
        return scoring.score(
            robbed.hours, robbed.touched, days, model, None, Settings(), registry.families()
        ).sort("account", "hour")

    together = score(scored_days)
    apart = pl.concat([score([day]) for day in scored_days]).sort("account", "hour")
    assert apart["surprise"].equals(together["surprise"])


def test_scores_do_not_depend_on_the_order_of_the_log(events, fold, model, scored_days):
    shuffled = fold(events(1, "agent00").sample(fraction=1, shuffle=True, seed=7))
    straight = fold(events(1, "agent00"))

    def score(office):
        return scoring.score(
            office.hours, office.touched, scored_days, model, None, Settings(), registry.families()
        ).sort("account", "hour")

    assert score(shuffled)["surprise"].equals(score(straight)["surprise"])


def test_scores_need_only_the_lookback(robbed, model, scored_days):
    """So the cost of one more day does not grow with the history."""
    day = scored_days[-1]
    since = day - timedelta(days=table.LOOKBACK)

    def score(hours, touched):
        return scoring.score(
            hours, touched, [day], model, None, Settings(), registry.families()
        ).sort("account", "hour")

    recent = score(
        robbed.hours.filter(pl.col("hour").dt.date() >= since),
        robbed.touched.filter(pl.col("day") >= since),
    )
    assert recent["surprise"].equals(score(robbed.hours, robbed.touched)["surprise"])
