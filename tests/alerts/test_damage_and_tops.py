"""What is out, at what pace, when a table is gone, how severe that is, and what was touched."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from alerts_made_up import DAY, model, row

from detector.alerts.evidence import Evidence
from detector.alerts.impact import days_until_empty, pace
from detector.core import schema
from detector.core.settings import Settings
from detector.detection import results
from detector.features.novelty import DIMENSION_NAMES

HUNDRED = 4.6151  # log1p of 100
GROUPS = pl.DataFrame({"account": ["ann", "bob", "eve"], "group": ["site", "site", "office"]})
LEVELS = pl.DataFrame(
    {
        "entity_kind": ["account", "group", "client_address"],
        "entity": ["eve", "site", "vpn"],
        "rows_centre": [HUNDRED] * 3,
        "rows_off_centre": [0.0] * 3,
        "rows_spread": [0.5] * 3,
    }
)
MODEL = model(LEVELS, GROUPS)


def hours(*reads):
    """HOURS: (account, days after DAY, rows), and a write each, which takes nothing out."""
    frame = pl.DataFrame(
        [
            {
                "hour": datetime(DAY.year, DAY.month, DAY.day, 10, tzinfo=UTC) + timedelta(days=on),
                "account": account,
                "action": action,
                "rows": rows,
                "statements": 1,
            }
            for account, on, rows in reads
            for action in ("read", "write")
        ]
    )
    return pl.concat([schema.empty(schema.HOURLY_SUMS), frame], how="diagonal_relaxed")


def touched(*values):
    """TOUCHED: (account, days after DAY, dimension, value, rows, hour)."""
    frame = pl.DataFrame(
        [
            {
                "day": DAY + timedelta(days=on),
                "account": account,
                "dimension": dimension,
                "value": value,
                "statements": 1,
                "rows": rows,
                "first_hour": datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC)
                + timedelta(days=on),
            }
            for account, on, dimension, value, rows, hour in values
        ]
    )
    return pl.concat([schema.empty(schema.TOUCHED_VALUES), frame], how="diagonal_relaxed")


def context(read, used, settings=None, **figures):
    ringing = row(**figures)
    made = Evidence.gather(pl.DataFrame([ringing]), read, used, None, MODEL, settings or Settings())
    return made, ringing


NOTHING = touched(("nobody", -30, "object", "x", 1, 1))


def test_out_is_what_lies_above_the_usual_day():
    made, ringing = context(hours(("eve", 0, 99_000)), NOTHING)
    # 1,000 by the alert's hour; the 99,000 of the whole day are not known then.
    assert made.records_out(ringing).records == pytest.approx(900)
    assert made.records_out(ringing).since == DAY


def test_odd_days_of_the_week_before_count_from_the_first():
    # 5 February 2024 is a Monday.
    reads = hours(("eve", -10, 9_999), ("eve", -4, 600), ("eve", -3, 120), ("eve", -2, 50))
    made, ringing = context(reads, NOTHING)
    out = made.records_out(ringing)
    assert out.since == date(2024, 2, 1)
    # Thursday 500 above, Friday 20; Saturday's usual is nothing, so all 50.
    assert out.records == pytest.approx(900 + 500 + 20 + 50, abs=1)


def test_work_on_usual_days_is_not_taken_for_theft_by_an_alert_on_an_idle_one():
    saturday = {"day": DAY + timedelta(days=5), "rows_usual": 0.0, "rows_centre": 0.0}
    reads = hours(*(("eve", on, 110) for on in range(5)))
    made, ringing = context(reads, NOTHING, **saturday)
    assert (made.records_out(ringing).since, made.records_out(ringing).records) == (
        ringing["day"],
        1000.0,
    )


def test_a_newcomer_is_held_against_what_is_expected_of_it():
    reads = hours(("new", -3, 600), ("new", -4, 110))
    made, ringing = context(reads, NOTHING, entity="new")
    assert made.records_out(ringing).since == date(2024, 2, 2)
    assert made.records_out(ringing).records == pytest.approx(900 + 500, abs=1)


def test_what_comes_after_an_alert_changes_nothing_about_what_is_out():
    before = [("eve", -3, 600), ("eve", 0, 1000)]
    made, ringing = context(hours(*before), NOTHING)
    later, _ = context(hours(*before, ("eve", 0, 5), ("eve", 1, 10**6)), NOTHING)
    assert made.records_out(ringing) == later.records_out(ringing)


def test_a_group_is_expected_to_read_its_level_for_each_head():
    reads = hours(("ann", -3, 1000), ("bob", -3, 1000), ("ann", -4, 110), ("bob", -4, 100))
    made, ringing = context(reads, NOTHING, entity_kind="group", entity="site")
    assert made.records_out(ringing).since == date(2024, 2, 2)
    # Of the day before, without the busiest member, as of the alert's own day.
    assert made.records_out(ringing).records == pytest.approx(
        1000 - 200 + (2000 - 1000) - 200, abs=1
    )


def test_an_address_counts_without_its_largest_account():
    used = touched(
        ("ann", -3, "client_address", "vpn", 700, 9), ("bob", -3, "client_address", "vpn", 9000, 9)
    )
    made, ringing = context(
        hours(("ann", 0, 1)), used, entity_kind="client_address", entity="vpn", others=None
    )
    assert made.records_out(ringing).since == date(2024, 2, 2)
    assert made.records_out(ringing).records == pytest.approx(900 + 600, abs=1)


def test_pace_is_over_hours_at_work_or_else_over_the_day():
    assert pace(row()) == 250
    assert pace(row(hours=None, slot=23)) == pytest.approx(1000 / 24)
    assert pace(row(hours=0.0, rows=0.0)) == 0


def test_a_table_is_gone_when_its_rest_is_read_day_and_night():
    assert days_until_empty(48_000, 24_000, 100) == 10
    assert days_until_empty(1_000, 2_000, 100) == 0
    assert days_until_empty(None, 0, 100) is None
    assert days_until_empty(1_000, 0, 0) is None


def test_the_size_is_that_of_the_table_read_most():
    used = touched(
        ("eve", 0, "object", "public.note", 10, 9), ("eve", 0, "object", "public.person", 900, 9)
    )
    sized = Settings(tables={"public.person": 60_900})
    made, ringing = context(hours(("eve", 0, 1)), used, sized)
    assert made.table_size(ringing) == 60_900
    (words,) = made.forecast(ringing)
    assert words == (
        "900 records above the usual are out since 2024-02-05; at 250 records an hour, "
        "day and night, all 60,900 of public.person would be gone in 10 days"
    )
    (words,) = made.forecast({**ringing, "entity_kind": "object", "entity": "public.person"})
    assert words.startswith("at least 900 records above the usual")
    other, _ = context(hours(("eve", 0, 1)), used, Settings(tables={"public.note": 5}))
    assert other.table_size(ringing) is None
    assert other.forecast(ringing) == []
    far, _ = context(hours(("eve", 0, 1)), used, Settings(tables={"public.person": 10**9}))
    assert far.forecast(ringing) == []


def test_sensitive_is_what_was_touched_or_the_table_itself():
    used = touched(("eve", 0, "object", "public.person", 900, 9))
    rules = Settings(sensitive=("public.person",))
    made, ringing = context(hours(("eve", 0, 1)), used, rules)
    assert made.is_sensitive(ringing)
    assert made.is_sensitive(row(entity_kind="object", entity="public.person"))
    assert not made.is_sensitive(row(entity_kind="object", entity="public.note"))
    assert not Evidence(Settings(sensitive=("public.note",))).is_sensitive(ringing)


def names(context, ringing, dimension):
    return [each["name"] for each in context.top_values(ringing).get(dimension, [])]


def test_tops_are_the_largest_of_the_day_known_by_the_alert_s_hour():
    used = touched(
        *(("eve", 0, "object", f"t{n}", n, 9) for n in range(8)),
        ("eve", 0, "object", "later", 10**6, 12),
        ("eve", -1, "object", "yesterday", 10**6, 9),
        ("bob", 0, "object", "of bob", 10**6, 9),
        ("eve", 0, "client_address", "10.0.0.1", 5, 11),
    )
    made, ringing = context(hours(("eve", 0, 1)), used)
    assert names(made, ringing, "object") == ["t7", "t6", "t5", "t4", "t3"]
    assert made.top_values(ringing)["client_address"] == [
        {"name": "10.0.0.1", "statements": 1, "rows": 5}
    ]
    assert names(made, ringing, "account") == []


def test_an_address_and_a_group_name_the_accounts_behind_them():
    used = touched(
        ("ann", 0, "client_address", "vpn", 5, 9),
        ("bob", 0, "client_address", "vpn", 9, 9),
        ("eve", 0, "client_address", "other", 99, 9),
        ("ann", 0, "object", "public.person", 5, 9),
        ("ann", 0, "object", "public.note", 5, 9),
    )
    read = hours(("ann", 0, 1), ("bob", 0, 1), ("eve", 0, 1))
    made, vpn = context(read, used, entity_kind="client_address", entity="vpn")
    assert names(made, vpn, "account") == ["bob", "ann"]
    made, site = context(read, used, entity_kind="group", entity="site")
    # A join names two tables and is counted once.
    assert made.top_values(site)["account"] == [
        {"name": "bob", "statements": 1, "rows": 9},
        {"name": "ann", "statements": 1, "rows": 5},
    ]
    assert names(made, site, "object") == ["public.note", "public.person"]
    assert names(made, site, "client_address") == ["vpn"]


def test_no_alerts_need_no_context():
    nothing = pl.DataFrame([row()]).clear()
    assert (
        Evidence.gather(nothing, hours(("eve", 0, 1)), NOTHING, None, MODEL, Settings()).prior_weeks
        == {}
    )


def test_what_is_new_in_an_alert_is_what_was_by_its_hour():
    """All of the day so far, each once sorted, and nothing of later."""
    rows = [
        {"entity_kind": "account", "entity": "eve", "day": DAY,
         "hour": datetime(DAY.year, DAY.month, DAY.day, at, tzinfo=UTC),
         **{f"new_{what}_names": [name] for what in DIMENSION_NAMES.values()}}
        for at, name in ((9, "late"), (10, "early"), (11, "after"))
    ]  # fmt: skip
    ((_, ringing, _),) = results._rows_by_entity_day(pl.DataFrame(rows))
    assert ringing["hour"].hour == 10
    assert all(
        ringing[f"new_{what}_names"] == ["early", "late"] for what in DIMENSION_NAMES.values()
    )
