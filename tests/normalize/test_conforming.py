from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pytest

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.categorical import canonical_action
from detector.normalize.events import ColumnTypeError, normalize
from detector.normalize.sql_fingerprint import fingerprint
from detector.readers import column_names

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def one(settings=None, names=None, **cells):
    """(events as dicts, rejects as (row, reason)) of columns of cells."""
    settings = settings or Settings()
    cells = {"timestamp": ["2024-02-06T10:00:00Z"], "account": ["bob"], **cells}
    length = max(map(len, cells.values()))
    table = pa.table({k: v if len(v) == length else list(v) * length for k, v in cells.items()})
    found = {name: column_names.ColumnOrigin((names or {}).get(name, name)) for name in cells}
    result = normalize(table, found, settings, NOW)
    events = result.events.with_columns(pl.col(pl.Categorical).cast(pl.String))
    return events.to_dicts(), list(result.rejects.iter_rows())


SAME = datetime(2024, 2, 6, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-06T10:00:00Z",
        "2024-02-06 10:00:00+00:00",
        "2024-02-06T11:00:00.000+0100",
        "2024-02-06 11:00:00+01",
        "2024-02-06 10:00:00 UTC",
        "2024-02-06t10:00:00,000z",
        "2024-02-06 10:00",
        "06/Feb/2024:11:00:00 +0100",
        " 2024-02-06T10:00:00.000000000Z ",
        "1707213600",
        "1707213600.0",
        "1707213600000",
        "1707213600000000",
        "1707213600000000000",
    ],
)
def test_every_usual_way_to_write_a_time_is_understood_alone_and_among_others(text):
    assert one(timestamp=[text])[0][0]["timestamp"] == SAME
    mixed, _ = one(timestamp=[text, "2024-02-06T10:00:00Z", "2024-02-06 10:00:00", "1707213600"])
    assert [event["timestamp"] for event in mixed] == [SAME] * 4


@pytest.mark.parametrize("number", [1707213600, 1707213600000, 1707213600000000, 1707213600.0])
def test_numbers_are_epochs_by_their_size(number):
    assert one(timestamp=[number])[0][0]["timestamp"] == SAME


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no timestamp"),
        ("yesterday", "timestamp not understood"),
        ("2024-13-41T00:00:00Z", "timestamp not understood"),
        ("0", "timestamp before 1990, before any database log"),
        ("1970-01-01T00:00:00Z", "timestamp before 1990, before any database log"),
        ("2024-06-04T00:00:00Z", "timestamp more than 2 days in the future"),
        ("9" * 14, "timestamp more than 2 days in the future"),
        ("9" * 40, "timestamp not understood"),
        ("1e300", "timestamp not understood"),
    ],
)
def test_a_time_that_cannot_be_meant_is_rejected_and_its_neighbours_are_kept(text, reason):
    events, rejects = one(timestamp=["2024-02-06T10:00:00Z", text, "2024-02-06T10:00:00Z"])
    assert len(events) == 2
    assert [(row, told.split(", such as")[0]) for row, told in rejects] == [
        (1, reason.split(", such as")[0])
    ]


def test_times_without_zone_are_local_to_the_log():
    paris = Settings(log_timezone="Europe/Paris")
    times = ["2024-02-06 11:00:00", "2024-03-31 02:30:00", "2023-10-29 02:30:00"]
    events, rejects = one(paris, timestamp=times)
    assert [event["timestamp"] for event in events] == [
        SAME,
        datetime(2023, 10, 29, 0, 30, tzinfo=UTC),  # the earlier of two
    ]
    assert rejects[0][0] == 1
    assert "clocks were put forward" in rejects[0][1]
    mixed, _ = one(paris, timestamp=["2024-02-06 11:00:00", "2024-02-06T10:00:00Z"])
    assert [event["timestamp"] for event in mixed] == [SAME, SAME]


@pytest.mark.parametrize("account", [None, "", "  ", "-", "NULL"])
def test_without_an_account_there_is_no_event(account):
    assert one(account=["bob", account])[1] == [(1, "no account")]


@pytest.mark.parametrize(
    ("rows", "kept", "reason"),
    [
        ("12", 12, None),
        (" 12 ", 12, None),
        ("12.0", 12, None),
        ("1e3", 1000, None),
        ("", None, None),
        ("NULL", None, None),
        ("nan", None, None),
        (None, None, None),
        (float("nan"), None, None),
        (12.0, 12, None),
        ("-1", None, "rows is negative"),
        (-1, None, "rows is negative"),
        (1.5, None, "rows is not a whole number"),
        ("1.5", None, "rows is not a whole number"),
        ("many", None, "rows is not a number"),
        ("1,5", None, "rows is not a whole number"),
        ("1,234", None, "rows is not a number"),
        ("1 234", 1234, None),
        (2**62, None, "rows is beyond belief"),
        ("9" * 25, None, "rows is beyond belief"),
        (float("inf"), None, "rows is beyond belief"),
    ],
)
def test_row_counts_are_whole_or_unknown_or_rejected(rows, kept, reason):
    events, rejects = one(rows=[rows])
    assert rejects == ([(0, reason)] if reason else [])
    if not reason:
        assert events[0]["rows"] == kept


@pytest.mark.parametrize(
    ("word", "canonical"),
    [
        ("SELECT", "read"),
        ("Query", "read"),
        ("insert 0 1", "write"),
        ("MERGE", "write"),
        ("pg_dump", "export"),
        ("COPY TO", "export"),
        ("ALTER TABLE", "schema"),
        ("user_login", "other"),
        ("Logon", "login"),
        ("export", "export"),
        ("???", "other"),
        ("", "other"),
    ],
)
def test_action_words(word, canonical):
    assert canonical_action(word) == canonical
    assert one(action=[word])[0][0]["action"] == canonical


def test_without_an_action_column_all_is_read_and_an_empty_action_is_other():
    assert one()[0][0]["action"] == "read"
    assert one(action=["read", None])[0][1]["action"] == "other"


@pytest.mark.parametrize(
    ("name", "value", "success"),
    [
        ("event.outcome", "failure", False),
        ("event.outcome", "SUCCESS", True),
        ("event.outcome", "unknown", True),
        ("success", None, True),
        ("success", False, False),
        ("status_id", 1, True),
        ("status_id", 2, False),
        ("status_id", 99, True),
        ("retcode", 0, True),
        ("retcode", 1045, False),
    ],
)
def test_success_in_the_words_of_each_log(name, value, success):
    assert one(names={"success": name}, success=[value])[0][0]["success"] is success


def test_text_is_trimmed_and_nothing_is_null():
    event = one(account=[" bob "], object=[" public.person"], client_address=["-"])[0][0]
    assert (event["account"], event["object"], event["client_address"]) == (
        "bob",
        "public.person",
        None,
    )


def test_ecs_durations_are_nanoseconds():
    event = one(names={"duration_ms": "event.duration"}, duration_ms=[2_500_000])[0][0]
    assert event["duration_ms"] == pytest.approx(2.5)


def test_statement_texts_are_hashed_and_fingerprints_stay():
    text = "SELECT * FROM person WHERE ssn = '1840699123456'"
    events, _ = one(statement=[text, "00AB12CD34EF5678", None])
    assert events[0]["statement"] == fingerprint(pl.Series([text])).item()
    assert [event["statement"] for event in events[1:]] == ["00AB12CD34EF5678", None]
    hashed = one(names={"statement": "query"}, statement=["00AB12CD34EF5678"])[0][0]["statement"]
    assert hashed != "00AB12CD34EF5678"


def test_fingerprints_see_what_a_statement_does_and_not_to_whom():
    same = [
        "SELECT * FROM person WHERE id = 5 AND name = 'O''Hara'",
        "select *  from person\n where id = 123456 and name = 'x -- y';",
        "select * from person where id = 0xff and name = $1",
    ]
    assert fingerprint(pl.Series(same)).n_unique() == 1
    lists = ["select 1 from t2 where id in (1, 2,3)", "select 1 from t2 where id in (9)"]
    assert fingerprint(pl.Series(lists)).n_unique() == 1
    assert fingerprint(pl.Series(["select a from t1", "select a from t2"])).n_unique() == 2


def test_a_fingerprint_is_the_same_in_every_release():
    # Kept in ledgers: were it to change, every statement would be new on the day of an upgrade.
    assert fingerprint(pl.Series(["SELECT name FROM person WHERE id = 7"])).item() == FIXED


FIXED = "c1a2cb5a9ccab1c2"


def test_a_column_of_the_wrong_type_names_itself():
    with pytest.raises(ColumnTypeError) as error:
        one(rows=[[1, 2]])
    assert error.value.column == "rows"
    with pytest.raises(ColumnTypeError):
        one(timestamp=[True])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            [
                "@timestamp",
                "user.name",
                "source.ip",
                "event.action",
                "event.outcome",
                "destination.bytes",
            ],
            {
                "timestamp": "@timestamp",
                "account": "user.name",
                "client_address": "source.ip",
                "action": "event.action",
                "success": "event.outcome",
                "bytes": "destination.bytes",
            },
        ),
        (
            [
                "time",
                "actor.user.name",
                "src_endpoint.ip",
                "table.name",
                "query_info.bytes",
                "status_id",
            ],
            {
                "timestamp": "time",
                "account": "actor.user.name",
                "client_address": "src_endpoint.ip",
                "object": "table.name",
                "bytes": "query_info.bytes",
                "success": "status_id",
            },
        ),
        (
            ["TS", "User_Name", "Remote_Addr", "Rows_Sent"],
            {
                "timestamp": "TS",
                "account": "User_Name",
                "client_address": "Remote_Addr",
                "rows": "Rows_Sent",
            },
        ),
        (
            ["time", "timestamp", "user", "account"],
            {"timestamp": "timestamp", "account": "account"},
        ),
    ],
)
def test_common_names_are_understood(names, expected):
    found = column_names.find(names, Settings())
    assert {name: mapped.name for name, mapped in found.items()} == expected


def test_settings_win_over_names_in_common_use(tmp_path):
    found = column_names.find(["ts", "user", "Agent"], Settings(columns={"account": "agent"}))
    assert found["account"].name == "Agent"
    with pytest.raises(InputError, match="did you mean 'user'") as error:
        column_names.require(
            ["ts", "user"], Settings(columns={"account": "usr"}), tmp_path / "agents.csv"
        )
    assert "agents.csv" in str(error.value)
    with pytest.raises(InputError, match=r"no column for 'account'.*'usr'.*\[columns\] account"):
        column_names.require(["ts", "usr"], Settings(), tmp_path / "agents.csv")
