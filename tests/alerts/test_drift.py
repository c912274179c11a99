"""Alerts are held against the budget on days that the model has not seen, and on no others."""

from datetime import date, timedelta

import pytest

from detector.alerts.alert_rate import Rate

TRAINED_UNTIL = date(2024, 2, 29)


def days(first, count):
    return [date.fromisoformat(first) + timedelta(days=n) for n in range(count)]


def alerts(on, count=1, kind="account", activity="create"):
    return [
        {"activity": activity, "entity_kind": kind, "date": day.isoformat()}
        for day in on
        for _ in range(count)
    ]


def rate(found, scored, per_day=1.0):
    return Rate.from_alerts(found, scored, TRAINED_UNTIL, per_day)


SEEN, UNSEEN = days("2024-02-01", 29), days("2024-03-01", 10)


def test_days_of_training_dilute_nothing():
    whole = rate(alerts(UNSEEN), SEEN + UNSEEN)
    assert whole == rate(alerts(UNSEEN), UNSEEN)
    assert whole.alerts_per_day == 1.0
    assert whole.drift_warning() == ""


def test_alerts_within_training_do_not_count():
    assert rate(alerts(SEEN, 3) + alerts(UNSEEN), SEEN + UNSEEN).alerts == len(UNSEEN)


def test_the_last_day_of_training_is_seen_and_the_next_is_not():
    edge = [TRAINED_UNTIL, TRAINED_UNTIL + timedelta(days=1)]
    assert rate(alerts(edge), edge) == Rate(alerts=1, days=1, budget_per_day=1.0)


def test_a_log_that_fell_silent_is_no_alert_of_the_budget():
    assert rate(alerts(UNSEEN, kind="log"), UNSEEN).alerts == 0


def test_news_of_an_episode_is_no_alert_of_the_budget():
    assert rate(alerts(UNSEEN, activity="update"), UNSEEN).alerts == 0


def test_without_an_unseen_day_the_rate_is_not_known():
    found = rate(alerts(SEEN), SEEN)
    assert found.alerts_per_day is None
    assert found.to_dict()["alerts_a_day"] is None
    assert "not known" in found.to_text()
    assert found.drift_warning() == ""


@pytest.mark.parametrize(("each", "words"), [(3, "train again if they are benign"), (1, "")])
def test_drift_is_said_of_unseen_days(each, words):
    # Over all 39 days it would be 0.77 a day, or 0.26, of one that was promised.
    told = rate(alerts(UNSEEN, each), SEEN + UNSEEN).drift_warning()
    assert (words in told) if words else not told


def test_too_few_alerts_are_told_by_unseen_days_alone():
    assert "too high" in rate([], SEEN + UNSEEN).drift_warning()
    assert rate([], SEEN + UNSEEN[:4]).drift_warning() == ""
