"""The CSV of known incidents: what it may say, and what is refused with its line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from detector.core import schema
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.known_incidents import load

PARIS = Settings(log_timezone="Europe/Paris")


def incidents(tmp_path, text, settings=PARIS):
    path = tmp_path / "incidents.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return schema.check(load(path, settings), schema.INCIDENTS, "incidents")


def test_account_start_and_end_are_enough_and_each_row_is_an_incident(tmp_path):
    text = "account,start,end\nann,2024-02-06 08:00,2024-02-06 18:00\nbob,2024-02-07,2024-02-08\n"
    frame = incidents(tmp_path, text)
    assert frame.select("campaign", "entity_kind", "entity", "kind", "records").rows() == [
        ("line 2", "account", "ann", None, None),
        ("line 3", "account", "bob", None, None),
    ]


def test_a_time_without_a_zone_is_of_the_log_s_and_one_with_a_zone_is_its_own(tmp_path):
    text = (
        "account,start,end\nann,2024-02-06T08:00:00,2024-02-06 18:00:00Z\n"
        "bob,2024-02-06T08:00:00+05:00,2024-02-06 18:00:00\n"
    )
    frame = incidents(tmp_path, text)
    assert frame["start"].to_list() == [
        datetime(2024, 2, 6, 7, tzinfo=UTC),
        datetime(2024, 2, 6, 3, tzinfo=UTC),
    ]
    assert frame["end"].to_list() == [
        datetime(2024, 2, 6, 18, tzinfo=UTC),
        datetime(2024, 2, 6, 17, tzinfo=UTC),
    ]


def test_days_last_from_their_first_to_their_last_moment(tmp_path):
    frame = incidents(tmp_path, "account,start,end\nann,2024-02-06,2024-02-06\n")
    assert frame["start"].item() == datetime(2024, 2, 5, 23, tzinfo=UTC)
    assert frame["end"].item() == datetime(2024, 2, 6, 23, tzinfo=UTC)


def test_entities_campaigns_kinds_and_records_are_kept(tmp_path):
    text = (
        "Campaign;Kind;Entity_Kind;Entity;Start;End;Records\n"
        "c-1;crowd;client_address;192.0.2.1;2024-02-06;2024-02-09;4000\n"
        "c-1;crowd;;ann;2024-02-06;2024-02-09;\n"
    )
    assert incidents(tmp_path, text).select(
        "campaign", "kind", "entity_kind", "entity", "records"
    ).rows() == [
        ("c-1", "crowd", "client_address", "192.0.2.1", 4000),
        ("c-1", "crowd", "account", "ann", None),
    ]


GOOD = "2024-02-06,2024-02-07"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty; it starts with: account,start,end"),
        ("account,start,end\n", "names no incident"),
        (f"accounts,start,end\nann,{GOOD}\n", "no column 'account'; rename 'accounts'"),
        (f"account,begin,end\nann,{GOOD}\n", "no column 'start'; its columns are"),
        ("account,start,end\nann,2024-02-06\n", "line 2: has 2 columns where the header has 3"),
        (f"account,start,end\n\n,{GOOD}\n", "line 3: names no account"),
        ("account,start,end\nann,soon,2024-02-06\n", "line 2: start 'soon': timestamp not"),
        ("account,start,end\nann,2024-02-06,\n", "line 2: end '': .*write it as 2024-02-06"),
        (
            f"account,start,end\nbob,{GOOD}\nann,2024-02-06 12:00,2024-02-06 11:00\n",
            "line 3: ends '2024-02-06 11:00' before it starts",
        ),
        (f"entity_kind,entity,start,end\nrobot,x,{GOOD}\n", "line 2: entity_kind 'robot' is not"),
        (f"entity_kind,entity,start,end\nobject,,{GOOD}\n", "line 2: names no object"),
        (f"account,start,end,records\nann,{GOOD},many\n", "line 2: records 'many' is no number"),
        (f'account,start,end\n"ann,{GOOD}\n', "is no CSV"),
        (b"account,start,end\nb\xff,x,y\n", "line 2: is not valid UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line_in_one_line(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as error:
        incidents(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "incidents.csv"))
    assert "\n" not in str(error.value)


def test_a_local_time_that_does_not_exist_is_told(tmp_path):
    text = "account,start,end\nann,2024-03-31 02:30:00,2024-04-01\n"
    with pytest.raises(InputError, match=r"line 2: start '2024-03-31 02:30:00': .*not exist"):
        incidents(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.csv", PARIS)
