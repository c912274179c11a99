"""Verdicts in later alerts of the same incident, and the days of a theft they lead to."""

from __future__ import annotations

import itertools
from datetime import timedelta

import numpy as np
import pytest
from verdicts_made_up import DAY, FAMILIES, alert, verdict

from detector.alerts.incidents import join
from detector.triage.history import VerdictHistory
from detector.triage.propagation import MAX_VERDICTS, propagate_verdicts
from detector.triage.records import FollowUp


def named(*names):
    return [{"name": name, "statements": 1, "rows": 100} for name in names]


def stood(alerts, *records):
    told, followings = propagate_verdicts(join(list(alerts))[0], VerdictHistory(records), FAMILIES)
    return {each["id"]: [own["alert"] for own in each["verdicts"]] for each in told}, followings


def test_a_verdict_stands_in_later_alerts_of_the_run_with_all_its_keys():
    first, later, other = alert(), alert(day=2), alert("bob", day=2)
    told, _ = propagate_verdicts(
        join([first, later, other])[0], VerdictHistory((verdict("expected", first),)), FAMILIES
    )
    assert {each["entity"]: each["verdicts"] for each in told[1:]} == {
        "eve": [
            {
                "alert": first["id"],
                "verdict": "expected",
                "reason": "audit",
                "by": "ann",
                "until": "2024-03-06",
            }
        ],
        "bob": [],
    }
    assert told[0]["verdicts"] == []


def test_it_stands_in_alerts_of_another_run_too():
    first = alert()
    told, _ = stood([alert(day=14), alert("bob")], verdict("benign", first))
    assert told == {alert(day=14)["id"]: [first["id"]], alert("bob")["id"]: []}
    told, _ = stood([alert(day=15)], verdict("benign", first))
    assert told == {alert(day=15)["id"]: []}


def test_it_goes_from_an_account_to_its_address_and_on():
    eve = alert(top_client_addresses=named("vpn"))
    vpn = alert("vpn", 1, "client_address", top_accounts=named("eve", "bob"))
    bob = alert("bob", 5, top_client_addresses=named("vpn"))
    told, followings = stood([vpn, bob], verdict("confirmed", eve))
    assert told == {vpn["id"]: [eve["id"]], bob["id"]: [eve["id"]]}
    # In a third run, the second is known by what was noted of it alone.
    told, more = stood([bob], verdict("confirmed", eve), *followings[:1])
    assert told == {bob["id"]: [eve["id"]]}
    assert [(each.subject.alert, each.confirmed_alerts) for each in more] == [
        (bob["id"], (eve["id"],))
    ]


def test_what_is_noted_once_is_not_noted_again():
    records = (verdict("confirmed", alert()),)
    _, followings = stood([alert(), alert(day=1)], *records)
    assert [(each.subject.alert, each.confirmed_alerts) for each in followings] == [
        (alert(day=1)["id"], (alert()["id"],))
    ]
    assert stood([alert(), alert(day=1)], *records, *followings)[1] == []
    assert stood([alert(), alert(day=1)], verdict("benign", alert()))[1] == []


def test_of_many_verdicts_the_latest_stand():
    records = [verdict("benign", alert(day=-n)) for n in range(12)]
    told, _ = stood([alert(day=1)], *records)
    assert told[alert(day=1)["id"]] == [alert(day=-n)["id"] for n in range(12)][-MAX_VERDICTS:]


def crowd(seed):
    rng = np.random.default_rng(seed)
    for day, who in itertools.product(range(0, 30, 3), range(6)):
        if rng.random() < 0.4:
            yield alert(
                f"a{who}", day, group=f"g{who % 2}",
                top_client_addresses=named(f"ip{rng.integers(3)}"),
                top_objects=named(f"t{rng.integers(2)}"),
            )  # fmt: skip
        kind, name = (("client_address", "ip"), ("object", "t"), ("group", "g"))[who % 3]
        if rng.random() < 0.2:
            yield alert(
                f"{name}{who % 2}", day, kind, top_accounts=named(f"a{who}", "a1"), group="all"
            )


@pytest.mark.parametrize("seed", range(5))
def test_runs_of_one_day_each_say_nothing_that_one_run_of_all_days_does_not(seed):
    """They may say less: that an earlier alert ties two together is known within its run only."""
    alerts = list(crowd(seed))
    records = [verdict("confirmed", alerts[0]), verdict("confirmed", alerts[3])]
    whole, followings = stood(alerts, *records)
    apart, noted = {}, list(records)
    for _, day in itertools.groupby(sorted(alerts, key=lambda each: each["date"]),
                                    key=lambda each: each["date"]):  # fmt: skip
        told, more = stood(day, *noted)
        apart |= told
        noted += more
    assert all(set(apart[own]) <= set(whole[own]) for own in whole)
    assert sum(map(len, apart.values())) > 0.2 * sum(map(len, whole.values())) > 0
    assert {each.subject.alert for each in noted[2:]} <= {each.subject.alert for each in followings}


@pytest.mark.parametrize("seed", range(5))
def test_told_twice_it_is_the_same(seed):
    alerts = list(crowd(seed))
    records = [verdict("confirmed", alerts[0]), verdict("benign", alerts[3])]
    told, followings = stood(alerts, *records)
    assert stood(alerts, *records, *followings) == (told, [])


def on(*days):
    return [("account", "eve", DAY + timedelta(days=n)) for n in days]


def test_the_days_of_a_confirmed_theft_run_from_the_first_odd_one():
    since = str(DAY - timedelta(days=2))
    confirmed = verdict("confirmed", alert(since=since))
    assert VerdictHistory((confirmed,)).confirmed_days() == on(-2, -1, 0)
    assert VerdictHistory((verdict("benign", alert(since=since)),)).confirmed_days() == []
    assert VerdictHistory((verdict("expected", alert(since=since)),)).confirmed_days() == []
    assert VerdictHistory((confirmed, verdict("benign", alert()))).confirmed_days() == []


def test_a_theft_that_went_on_after_its_alert_has_more_days():
    assert VerdictHistory((verdict("confirmed", alert(), until=2),)).confirmed_days() == on(0, 1, 2)
    assert VerdictHistory((verdict("confirmed", alert(), until=0),)).confirmed_days() == on(0)


def test_days_of_later_alerts_count_unless_they_were_judged_themselves():
    first, later = alert(), alert(day=3, since=str(DAY + timedelta(days=2)))
    confirmed = verdict("confirmed", first)
    _, followings = stood([first, later], confirmed)
    assert VerdictHistory((confirmed, *followings)).confirmed_days() == on(0, 2, 3)
    assert VerdictHistory(
        (confirmed, *followings, verdict("benign", later))
    ).confirmed_days() == on(0)
    # And they no longer count when the theft turns out to be none.
    assert VerdictHistory((confirmed, *followings, verdict("benign", first))).confirmed_days() == []


def test_a_following_names_what_it_follows():
    _, (following,) = stood([alert(day=1)], verdict("confirmed", alert()))
    assert isinstance(following, FollowUp)
    assert following.confirmed_alerts == (alert()["id"],)
