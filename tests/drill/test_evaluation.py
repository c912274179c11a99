"""Scores beside known incidents, on figures small enough to work out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from detector.core.schema import INCIDENTS, SCORES
from detector.drill.evaluation import evaluate


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, 2, day, hour, minute, tzinfo=UTC)


def scores(*rows):
    """(entity_kind, entity, end of the hour, rows, alert) as SCORES."""
    full = [
        ((time - timedelta(hours=1)).date(), time, kind, entity, 1.0, count, 1.0, alert)
        for kind, entity, time, count, alert in rows
    ]
    return pl.DataFrame(full, schema=dict(SCORES), orient="row")


def incidents(*rows):
    return pl.DataFrame(rows, schema=dict(INCIDENTS), orient="row")


def own(entity, start, end, campaign="one", kind="account"):
    return (campaign, "theft", kind, entity, start, end, None)


ANN = [
    ("account", "ann", at(5, 9), 500, None),  # before
    ("account", "ann", at(6, 10), 100, None),
    ("account", "ann", at(6, 11), 200, "a"),
    ("account", "ann", at(7, 10), 700, "b"),
    ("account", "ann", at(9, 10), 900, None),  # after
]


def test_exposure_is_of_what_was_read_within_the_incident():
    found = evaluate(scores(*ANN), incidents(own("ann", at(6, 9), at(7, 18))))
    one = found.incidents.row(0, named=True)
    assert one["records"] == 1000
    assert one["exposure"] == pytest.approx(0.3)
    assert (one["first_alert"], one["found_by"]) == (at(6, 11), "account")
    assert one["entities"] == ["account ann"]


def test_precision_is_the_share_of_alerts_on_incidents_and_the_rest_is_benign():
    noise = [("account", "bob", at(6, 12), 5, "c"), ("group", "north", at(6, 12), 5, "d")]
    found = evaluate(scores(*ANN, *noise), incidents(own("ann", at(6, 9), at(7, 18))))
    assert (found.alerts, found.true_positives, found.days) == (4, 2, 4)
    assert found.precision == 0.5


def test_an_alert_outside_the_time_of_the_incident_is_no_hit():
    found = evaluate(scores(*ANN), incidents(own("ann", at(8), at(10))))
    assert found.incidents["exposure"].to_list() == [1.0]
    assert found.true_positives == 0


def test_an_alert_at_the_end_of_the_incident_s_last_hour_is_a_hit():
    found = evaluate(scores(*ANN), incidents(own("ann", at(6, 9), at(6, 10, 30))))
    assert found.incidents["first_alert"].to_list() == [at(6, 11)]
    assert found.incidents["exposure"].to_list() == [1.0]


def test_an_alert_that_falls_on_two_incidents_counts_once():
    known = incidents(own("ann", at(6), at(8), "one"), own("ann", at(6, 5), at(8), "two"))
    found = evaluate(scores(*ANN), known)
    assert found.true_positives == 2
    assert found.alerts == 2


def test_entities_of_one_campaign_are_one_incident_found_by_any_of_them():
    crowd = [
        ("account", "bob", at(6, 10), 100, None),
        ("account", "cyd", at(6, 12), 300, None),
        ("client_address", "192.0.2.1", at(6, 10), 100, "x"),
        ("client_address", "192.0.2.1", at(6, 12), 300, None),
    ]
    known = incidents(
        *(own(name, at(6), at(7), "crowd") for name in ("bob", "cyd")),
        own("192.0.2.1", at(6), at(7), "crowd", "client_address"),
    )
    one = evaluate(scores(*crowd), known).incidents.row(0, named=True)
    assert one["records"] == 400, "the address repeats what its accounts read"
    assert one["exposure"] == pytest.approx(0.25)
    assert one["found_by"] == "client_address"


def test_an_incident_of_a_table_alone_has_the_records_of_the_table():
    table = [("object", "person", at(6, 10), 40, None), ("object", "person", at(6, 11), 60, "x")]
    known = incidents(own("person", at(6), at(7), kind="object"))
    assert evaluate(scores(*table), known).incidents["records"].to_list() == [100]


def test_an_incident_that_was_never_scored_is_missed_and_named():
    found = evaluate(scores(*ANN), incidents(own("zoe", at(6), at(7), "gone")))
    assert found.campaigns_without_scores == ["gone"]
    assert found.incidents["exposure"].to_list() == [1.0]


def test_without_alerts_there_is_no_precision():
    quiet = scores(("account", "ann", at(6, 10), 5, None))
    found = evaluate(quiet, incidents(own("ann", at(6), at(7))))
    assert found.precision is None
    assert found.incidents["exposure"].to_list() == [1.0]
