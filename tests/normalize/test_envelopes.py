"""Entries in what shippers and services wrap them in: one mechanism, whatever the inner format."""

import gzip
import json

import pytest

from detector import registry
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.format_detection import detect
from detector.normalize.reader_state import ReaderState
from detector.readers import plain_text
from detector.readers.log_input import LocalFile

TRAIL = {
    "eventVersion": "1.10",
    "userIdentity": {"type": "IAMUser", "userName": "pedro"},
    "eventSource": "s3.amazonaws.com",
    "eventTime": "2024-02-06T08:00:01Z",
    "eventName": "GetObject",
    "awsRegion": "eu-west-3",
    "requestParameters": {"bucketName": "hr-files"},
    "additionalEventData": {"bytesTransferredOut": 2048.0},
}
UNDATED = {**TRAIL, "eventTime": "x"}
AUDITED = "20240206 08:00:02,db,clerk,10.1.2.3,14,935,QUERY,hr,'select * from person',0,,"
CSVLOG = (
    '2024-02-06 08:00:01.000 UTC,"clerk","hr",701,"10.1.2.3:50701",65c1e.2bd,1,"SELECT",'
    '"2024-02-06 08:00:00 UTC",3/1,0,LOG,00000,"AUDIT: SESSION,1,1,READ,SELECT,TABLE,'
    'public.person,""select *\nfrom person"",<none>,5",,,,,,,,,"psql","client backend",0'
)
RECORD = {
    "log_time": "2024-02-06 08:00:01.500 UTC",
    "user_name": "clerk",
    "database_name": "hr",
    "connection_from": "10.1.2.3:50701",
    "session_id": "65c1e.2bd",
    "command_tag": "SELECT",
    "error_severity": "LOG",
    "sql_state_code": "00000",
    "backend_type": "client backend",
    "application_name": "psql",
}
PGAUDIT = {
    "audit_type": "SESSION",
    "statement_id": "1",
    "substatement_id": "1",
    "class": "READ",
    "command": "SELECT",
    "object_type": "TABLE",
    "object_name": "public.person",
    "statement": 'select "a, b" from person',
    "parameter": "<none>",
    "rows": "7",
}
CNPG = {
    "level": "info",
    "ts": 1707206401.5,
    "logger": "pgaudit",
    "msg": "record",
    "record": {**RECORD, "audit": PGAUDIT},
}
ASIDE = {"level": "info", "ts": 1707206401.5, "msg": "Checkpoint", "logger": "instance-manager"}
GOOGLE = {
    "logName": "projects/p/logs/cloudaudit.googleapis.com%2Fdata_access",
    "timestamp": "2024-02-06T08:00:01.123456789Z",
    "protoPayload": {
        "request": {
            "@type": "type.googleapis.com/google.cloud.sql.audit.v1.PgAuditEntry",
            "auditClass": "READ",
            "auditType": "SESSION",
            "command": "SELECT",
            "database": "hr",
            "databaseSessionId": 2209692,
            "parameter": "[not logged]",
            "statement": "select * from person",
            "statementId": 2,
            "substatementId": 1,
            "user": "clerk",
        }
    },
}
ACTIVITY = {
    "type": "DatabaseActivityMonitoringRecord",
    "databaseActivityEventList": [
        {
            "startTime": "2024-02-06 08:00:01.1+00",
            "logTime": "2024-02-06 08:00:01.2+00",
            "statementId": 6,
            "command": "SELECT",
            "objectName": "public.person",
            "dbUserName": "clerk",
            "sessionId": "65c1e0a1.2bd",
            "rowCount": 10,
            "commandText": "select * from person;",
            "class": "READ",
            "type": "record",
            "exitCode": None,
        }
    ],
}
#: Who ships so, and how an entry lies in it.
SHIPPERS = {
    "filebeat": lambda entry: {"@timestamp": "x", "message": entry},
    "filebeat that keeps it": lambda entry: {"event": {"original": entry}, "message": "y"},
    "fluent bit": lambda entry: {"date": 1.0, "log": f"{entry}\n"},
    "docker": lambda entry: {"log": f"{entry}\n", "stream": "stdout", "time": "x"},
    "elasticsearch's export": lambda entry: {"_index": "a", "_source": {"message": entry}},
    "splunk": lambda entry: {"preview": False, "result": {"_raw": entry}},
    "cloudwatch": lambda entry: {"messageType": "DATA_MESSAGE", "logEvents": [{"message": entry}]},
    "google cloud": lambda entry: {"textPayload": entry, "logName": "x"},
    "journald": lambda entry: {"MESSAGE": entry, "_PID": "1"},
    "twice": lambda entry: {"log": json.dumps({"message": entry})},
}


def read(tmp_path, lines, data=None):
    path = tmp_path / "log"
    path.write_bytes(
        data if data is not None else "".join(json.dumps(line) + "\n" for line in lines).encode()
    )
    ((_, source),), _ = detect([LocalFile(path)], registry.sources(), Settings())
    batches = list(source.read(LocalFile(path), Settings(), ReaderState()))
    events = [row for batch in batches for row in batch.events.iter_rows(named=True)]
    rejects = [row for batch in batches for row in batch.rejects.select("line", "reason").rows()]
    return source.name, events, rejects, sum(batch.skipped for batch in batches)


@pytest.mark.parametrize("shipper", SHIPPERS)
@pytest.mark.parametrize(
    ("entry", "name", "account"),
    [
        (json.dumps(TRAIL), "cloudtrail_s3", "pedro"),
        (AUDITED, "mariadb_server_audit", "clerk"),
        (CSVLOG, "postgresql_csvlog", "clerk"),
        (json.dumps(CNPG), "postgresql_jsonlog", "clerk"),
        (json.dumps(ACTIVITY), "aws_activity_streams", "clerk"),
    ],
)
def test_an_entry_is_read_whoever_shipped_it(tmp_path, shipper, entry, name, account):
    source, events, rejects, _ = read(tmp_path, [SHIPPERS[shipper](entry)])
    assert source == name
    assert [event["account"] for event in events] == [account]
    assert [event["action"] for event in events] == ["read"]
    assert not rejects


def test_an_object_may_lie_there_as_it_is(tmp_path):
    source, events, _, _ = read(tmp_path, [{"detail-type": "AWS API Call", "detail": TRAIL}])
    assert (source, events[0]["bytes"]) == ("cloudtrail_s3", 2048)


def test_a_stream_in_its_envelope_is_no_encrypted_one(tmp_path):
    whole = {"type": "DatabaseActivityMonitoringRecords", "databaseActivityEvents": ACTIVITY}
    source, events, _, _ = read(tmp_path, [whole])
    assert (source, events[0]["rows"]) == ("aws_activity_streams", 10)
    with pytest.raises(InputError, match="still encrypted"):
        read(tmp_path, [{**whole, "databaseActivityEvents": "AYADeLs="}])


def test_rejects_have_the_lines_of_the_file(tmp_path):
    lines = [{"message": json.dumps(entry)} for entry in (TRAIL, UNDATED, TRAIL, UNDATED)]
    _, events, rejects, _ = read(tmp_path, lines)
    assert [line for line, _ in rejects] == [2, 4]
    assert len(events) == 2


def test_rejects_of_a_document_have_the_lines_of_the_file(tmp_path):
    document = json.dumps({"Records": [TRAIL, UNDATED, TRAIL, UNDATED]}, indent=1).encode()
    _, events, rejects, _ = read(tmp_path, [], document)
    starts = [n for n, line in enumerate(document.split(b"\n"), 1) if line == b"  {"]
    assert [line for line, _ in rejects] == [starts[1], starts[3]]
    assert len(events) == 2


def test_several_entries_of_one_line_are_all_read(tmp_path):
    whole = {"logEvents": [{"message": AUDITED}, {"message": "junk"}, {"message": AUDITED}]}
    one_behind_the_other = (json.dumps(whole) * 3).encode()
    _, events, rejects, _ = read(tmp_path, [], one_behind_the_other)
    assert len(events) == 6
    assert len(rejects) == 3


def test_what_the_operator_says_of_itself_is_no_access(tmp_path):
    source, events, rejects, skipped = read(tmp_path, [*[ASIDE] * 8, CNPG, ASIDE])
    assert source == "postgresql_jsonlog"
    assert (len(events), len(rejects), skipped) == (1, 0, 9)
    assert events[0]["rows"] == 7
    assert events[0]["client_address"] == "10.1.2.3"
    assert events[0]["object"] == "public.person"


def test_google_clouds_entries_are_pgaudits(tmp_path):
    source, events, rejects, _ = read(tmp_path, [GOOGLE])
    assert source == "postgresql_jsonlog"
    assert (events[0]["account"], events[0]["rows"]) == ("clerk", None)
    assert events[0]["timestamp"].microsecond == 123456
    assert not rejects


def test_a_line_without_an_entry_is_rejected(tmp_path):
    good = {"message": AUDITED}
    _, events, rejects, _ = read(tmp_path, [good, {"message": ""}, {"other": 1}, good, good])
    assert [line for line, _ in rejects] == [2, 3]
    assert len(events) == 3


def test_a_line_break_in_an_entry_forges_no_other(tmp_path):
    forged = AUDITED + "\n" + AUDITED.replace("clerk", "boss")
    _, events, rejects, _ = read(tmp_path, [{"log": forged}] * 3)
    assert {event["account"] for event in events} <= {"clerk"}
    assert len(events) + len(rejects) == 3


def test_a_statement_in_a_text_log_opens_no_envelope(tmp_path):
    inner = json.dumps({"message": AUDITED.replace("clerk", "boss")}).replace('"', '""""')
    text = CSVLOG.replace("from person", "\n".join([inner] * 30))
    source, events, _, _ = read(tmp_path, [], f"{text}\n".encode())
    assert source == "postgresql_csvlog"
    assert {event["account"] for event in events} == {"clerk"}


def test_an_applications_own_log_stays_what_it_is(tmp_path):
    line = {"timestamp": "2024-02-06T08:00:01Z", "account": "bob", "message": "hello", "rows": 3}
    source, events, _, _ = read(tmp_path, [line])
    assert (source, events[0]["rows"]) == ("ndjson", 3)


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"message":' + b"[" * 100_000,
        b'{"message":' + b'{"message":' * 5_000 + b"1" + b"}" * 5_001,
        b'{"message": "{\\"t\\": ' + b"9" * 5_000 + b'}"}',
        b'{"message": "\\ud800"}\n{"log": null}',
        b'{"logEvents": [[[[]]], null, {"message": 5}]}',
    ],
)
def test_no_envelope_raises(tmp_path, hostile):
    path = tmp_path / "log"
    line = json.dumps({"message": AUDITED}).encode() + b"\n"
    for data in (hostile, line * 30 + hostile):
        path.write_bytes(data)
        plain_text.head(LocalFile(path))
        list(plain_text.chunks(LocalFile(path)))


def test_a_packed_one_in_utf_16_is_read_too(tmp_path):
    text = json.dumps({"message": AUDITED}) + "\n"
    assert read(tmp_path, [], gzip.compress(text.encode("utf-16")))[1]


@pytest.mark.parametrize("shipper", SHIPPERS)
def test_a_growing_one_is_followed_as_it_is_read(tmp_path, shipper):
    line = json.dumps(SHIPPERS[shipper](AUDITED)).encode() + b"\n"
    source = registry.sources()["mariadb_server_audit"]
    assert source.can_follow(line)
    assert source.follow_reader.cut(line * 2 + line[:20]) == 2 * len(line)
    path = tmp_path / "piece"
    path.write_bytes(line * 2)
    batches = list(source.follow_reader.read(LocalFile(path), Settings(), ReaderState()))
    assert sum(batch.events.height for batch in batches) == 2


def test_utf_16_is_read_once_complete():
    assert not registry.sources()["csv"].can_follow("timestamp,account\n".encode("utf-16"))
