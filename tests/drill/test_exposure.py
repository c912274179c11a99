"""The measure, on figures small enough to work out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from detector.drill import exposure


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, 2, day, hour, minute, tzinfo=UTC)


def frame(schema, *rows):
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


SUSPECT = ("burst-1", "account", "ann", at(5, 9), at(20))


def measured(*rings, suspects=(SUSPECT,), rows=(100, 200, 700)):
    taken = frame(
        exposure.RECORDS_TAKEN, *(("burst-1", at(5, 9 + n), count) for n, count in enumerate(rows))
    )
    found = exposure.measure(
        frame(exposure.SUSPECTS, *suspects),
        taken,
        frame(exposure.ALERT_TIMES, *((*ring, True) for ring in rings)),
    )
    return found.row(0, named=True)


def test_an_hour_s_records_are_out_when_the_hour_is_over():
    assert measured(("account", "ann", at(5, 10)))["exposure"] == pytest.approx(0.1)
    assert measured(("account", "ann", at(5, 10, 59)))["exposure"] == pytest.approx(0.1)
    assert measured(("account", "ann", at(5, 11)))["exposure"] == pytest.approx(0.3)


def test_a_campaign_never_found_is_wholly_exposed():
    found = measured()
    assert found["exposure"] == 1
    assert found["first_alert"] is None
    assert found["days"] is None


def test_an_alert_before_the_first_act_finds_nothing():
    assert measured(("account", "ann", at(5, 9)))["first_alert"] is None
    assert measured(("account", "ann", at(4, 12)))["exposure"] == 1


def test_an_alert_long_after_the_last_act_finds_nothing():
    assert measured(("account", "ann", at(21)))["first_alert"] is None


def test_an_alert_on_someone_else_finds_nothing():
    assert measured(("account", "bob", at(5, 10)))["exposure"] == 1
    assert measured(("object", "ann", at(5, 10)))["exposure"] == 1


def test_the_first_of_several_alerts_counts_and_says_on_what_it_was():
    table = ("burst-1", "object", "person", at(5, 9), at(20))
    found = measured(
        ("account", "ann", at(5, 12)), ("object", "person", at(5, 10)), suspects=(SUSPECT, table)
    )
    assert (found["found_by"], found["exposure"]) == ("object", pytest.approx(0.1))
    assert found["days"] == pytest.approx(1 / 24)


def test_what_was_taken_without_a_count_has_no_exposure_once_found():
    assert measured(("account", "ann", at(5, 10)), rows=(0, 0))["exposure"] is None
    assert measured(rows=(0, 0))["exposure"] == 1


def test_kinds_weigh_the_same_however_many_were_staged():
    campaigns = pl.DataFrame(
        {
            "kind": ["fold", "fold", "burst"],
            "first_alert": [at(5), None, at(6)],
            "days": [2.0, None, 1.0],
            "exposure": [0.2, 1.0, 0.4],
        }
    )
    assert exposure.summarize_by_kind(campaigns).rows() == [
        ("fold", 2, 1, 2.0, pytest.approx(0.6)),
        ("burst", 1, 1, 1.0, 0.4),
    ]
