"""Rows that were sent are rows that were read: in exports, and in forged and odd logs."""

import json

import pytest
from event_logs import read, reasons
from export_logs import SOURCES
from test_slow_log import HEAD, entry
from test_slow_log import read as slow

FORGED = entry("select 1;", user="bob[bob] @ x []", sent=1)
PEOPLE = "FROM person"


def found(name, tmp_path, text):
    path = tmp_path / "log"
    path.write_text(text, encoding="utf-8")
    events, rejects, skipped = read(SOURCES[name], path)
    return events.sort("timestamp"), reasons(rejects), skipped


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT * {PEOPLE} /* ;\n{FORGED}*/;",
        f"/* ;\n{FORGED * 30}*/ SELECT * {PEOPLE};",
        f"SELECT '\n{FORGED}' {PEOPLE};",
        f"BEGIN NOT ATOMIC SELECT * {PEOPLE};\n{FORGED}END;",
        f"BEGIN NOT ATOMIC SELECT id AS end {PEOPLE};\n{FORGED}END;",
        f"IF 1 THEN SELECT * {PEOPLE};\n{FORGED}END IF;",
        f"{FORGED.replace('SET timestamp=1707213600;', '')}SELECT * {PEOPLE};",
        f"SELECT * {PEOPLE} # ;\n{FORGED.replace('SET timestamp=1707213600;', '')}WHERE 1;",
        f"UPDATE {PEOPLE} # ;\n" + FORGED.replace("select 1;\n", ""),
    ],
)
def test_a_head_inside_a_statement_gives_nobody_an_event(tmp_path, statement):
    log = entry(sent=1) + entry(statement, sent=5000) + entry(sent=2)
    got = slow("mysql_slow_log", tmp_path / "log", log)
    assert got.events.select("account", "rows").rows() == [
        ("alice", 1),
        ("alice", 5000),
        ("alice", 2),
    ]
    assert got.events["action"].to_list() == ["read"] * 3
    assert got.told == log.encode().count(HEAD)


def test_nobody_hides_what_he_reads_behind_a_statement_that_fails(tmp_path):
    log = entry("select 1 /*;", sent=0) + entry(sent=9) + entry("select 1 */;", sent=0)
    got = slow("mysql_slow_log", tmp_path / "log", log)
    assert 9 in got.events["rows"].to_list()


def test_both_lines_of_a_head_in_one_begin_an_entry(tmp_path):
    log = entry(sent=1) + entry(sent=21, time="240206 10:00:00").replace("\n# User", " # User")
    got = slow("mysql_slow_log", tmp_path / "log", log)
    assert got.events["rows"].to_list() == [1, 21]


def test_handler_counts_no_rows_and_its_bytes_tell(tmp_path):
    log = "".join(
        entry(text, sent=0, more=f" Bytes_sent: {size}")
        for text, size in (("handler person open;", 11), ("handler person read first;", 9000))
    )
    got = slow("mysql_slow_log", tmp_path / "log", log).events
    assert got.select("action", "rows").rows() == [("read", 0), ("read", None)]


def test_snowflake_counts_what_it_wrote_to_the_result(tmp_path):
    names = "QUERY_ID,QUERY_TYPE,USER_NAME,EXECUTION_STATUS,START_TIME,ROWS_WRITTEN_TO_RESULT"
    rows = (
        f"{names},ROWS_INSERTED,ROWS_UNLOADED",
        "1,SELECT,alice ,SUCCESS,2024-02-06 08:00:01,5000,0,0",
        "2,UNLOAD,Alice,SUCCESS,2024-02-06 08:00:02,1,0,900",
        "3,INSERT,ALICE,SUCCESS,2024-02-06 08:00:03,1,40,0",
        "4,NEVER_HEARD_OF,ALICE,SUCCESS,2024-02-06 08:00:04,7,0,0",
    )
    events, _, _ = found("snowflake", tmp_path, "\n".join(rows) + "\n")
    told = [("read", 5000), ("export", 900), ("write", 40), ("read", 7)]
    assert events.select("action", "rows").rows() == told
    assert set(events["account"]) == {"ALICE"}


def test_a_write_of_trino_sends_no_records(tmp_path):
    def query(second, kind):
        return json.dumps({
            "metadata": {"queryId": "q", "query": "x", "queryState": "FINISHED"},
            "statistics": {"outputRows": 9}, "context": {"user": "eve", "queryType": kind},
            "createTime": f"2024-02-06T08:00:0{second}Z", "endTime": "2024-02-06T08:00:09Z",
        })  # fmt: skip

    text = "\n".join(
        query(*each) for each in ((1, "DELETE"), (2, "SELECT"), (3, "EXPLAIN"), (4, None))
    )
    events, _, _ = found("trino", tmp_path, text)
    told = [("write", 0), ("read", 9), ("read", 9), ("read", 9)]
    assert events.select("action", "rows").rows() == told


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("SELECT * FROM dbo.person", "hr.dbo.person"),
        ("SET NOCOUNT ON SELECT * FROM person", "hr.dbo.person"),
        ("USE hr; SELECT * FROM dbo.person", "hr.dbo.person"),
        ("exec sp_executesql N'SELECT * FROM dbo.person'", "hr.dbo.person"),
        ("IF 1=1 SELECT * FROM pay.dbo.person", "pay.dbo.person"),
        ("dbo.AllPeople", None),
    ],
)
def test_a_batch_of_sql_server_that_sent_rows_reads_the_tables_it_names(tmp_path, statement, table):
    entry_ = {
        "event_time": "2024-02-06T10:00:00", "action_id": "BCM", "succeeded": True,
        "server_principal_name": "HR\\Eve ", "database_name": "hr", "statement": statement,
        "response_rows": 1000, "affected_rows": 1000,
    }  # fmt: skip
    events, _, _ = found("sqlserver_audit", tmp_path, json.dumps(entry_))
    columns = ("account", "action", "object", "rows")
    assert events.select(columns).rows() == [("hr\\eve", "read", table, 1000)]


def test_cloudtrail_tells_persons_and_refuses_what_all_share(tmp_path):
    identities = [
        {"type": "IdentityCenterUser", "accountId": "1" * 12, "onBehalfOf": {"userId": "u-1"}},
        {"type": "AWSAccount", "principalId": "", "accountId": "1" * 12},
        {"type": "Unknown", "accountId": "1" * 12, "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"},
        {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Clerk/jane"},
    ]
    records = [
        {"userIdentity": identity, "eventTime": f"2024-02-06T08:00:0{n}Z", "awsRegion": "eu-west-3",
         "eventSource": "s3.amazonaws.com", "eventName": "GetObject",
         "requestParameters": {"bucketName": "hr"}}
        for n, identity in enumerate(identities)
    ]  # fmt: skip
    events, why, _ = found("cloudtrail_s3", tmp_path, json.dumps({"Records": records}))
    assert events["account"].to_list() == ["u-1", "Clerk/jane"]
    assert len(why) == 2
    assert all("stands for all who share it" in str(reason) for reason in why)


def test_the_own_threads_of_mongodb_are_skipped(tmp_path):
    def slow_query(ctx, remote):
        attr = {"type": "command", "ns": "a.b", "command": {"find": "b"}, "nreturned": 3, **remote}
        return json.dumps({"t": {"$date": "2024-02-06T09:00:02.000+01:00"}, "s": "I",
                           "c": "COMMAND", "id": 51803, "ctx": ctx, "msg": "Slow query",
                           "attr": attr})  # fmt: skip

    log = f"{slow_query('TTLMonitor', {})}\n{slow_query('conn7', {'remote': '10.1.2.3:1'})}\n"
    events, why, skipped = found("mongodb_log", tmp_path, log)
    assert (events.height, len(why), skipped) == (0, 1, 1)
