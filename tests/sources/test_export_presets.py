"""Each preset: what its sample says, in every form an export can have, and what it refuses."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from event_logs import read, reasons
from export_logs import (
    DATA,
    FORMS,
    PRESETS,
    SAMPLES,
    SOURCES,
    as_csv,
    as_parquet,
    entries,
    plain,
    sample,
)
from golden_events import golden_export, lines
from polars.testing import assert_frame_equal

from detector.core import schema
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.normalize import format_detection
from detector.normalize.log_report import build_report
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Sample
from detector.readers.log_input import LocalFile

#: Sources whose columns are those of a table, so that they come as CSV and Parquet too.
TABLES = ["snowflake", "redshift", "databricks", "clickhouse", "sqlserver_audit"]
TABLES += ["sqlserver_events", "oracle", "access_log"]
NESTED = ["bigquery", "trino", "ocsf", "ocsf_api_activity", "ecs", "cloudtrail_s3"]
NESTED += ["aws_activity_streams"]
SECRET = "SECRET-4711"


def write(path, data):
    path.write_bytes(data)
    return path


def accepting(path):
    sample_ = Sample(LocalFile(path), path.read_bytes()[: 1 << 16])
    return [
        source.name for source in format_detection.accepting_sources(sample_, SOURCES, Settings())
    ]


@pytest.mark.parametrize(("name", "file"), SAMPLES)
def test_a_sample_is_read_as_its_golden_events_say(name, file):
    events, rejects, skipped = read(SOURCES[name], DATA / name / file)
    found = {"events": lines(events), "skipped": skipped}
    assert found == json.loads(golden_export(name, file).read_text(encoding="utf-8"))
    assert reasons(rejects) == []


@pytest.mark.parametrize(("name", "file"), SAMPLES)
def test_each_sample_is_told_from_all_other_formats(name, file):
    assert accepting(DATA / name / file) == [name]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PRESETS)
def test_every_form_of_json_gives_the_same_events(tmp_path, name, form):
    found = plain(name)
    expected = read(SOURCES[name], write(tmp_path / "lines", FORMS["lines"](found)))
    path = write(tmp_path / "log", FORMS[form](found))
    assert accepting(path) == [name] or form == "lines in gzip"  # which recognise() unpacks
    events, rejects, skipped = read(SOURCES[name], path)
    assert_frame_equal(events, expected[0])
    assert reasons(rejects) == []
    assert skipped == expected[2]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_gives_the_same_events_as_csv_and_as_parquet(tmp_path, name):
    found = plain(name)
    if name == "clickhouse":  # whose CSV and Parquet have types of their own
        found = [{**entry, "result_rows": int(entry["result_rows"])} for entry in found]
    expected = read(SOURCES[name], write(tmp_path / "lines", FORMS["lines"](found)))
    for form in (as_csv, as_parquet):
        path = write(tmp_path / form.__name__, form(found))
        assert accepting(path) == [name]
        events, rejects, skipped = read(SOURCES[name], path)
        assert_frame_equal(events, expected[0])
        assert reasons(rejects) == []
        assert skipped == expected[2]


@pytest.mark.parametrize("name", NESTED)
def test_nested_columns_of_parquet_give_the_same_events(tmp_path, name):
    found = plain(name)
    if name == "cloudtrail_s3":  # one column, one type
        for entry in found:
            entry.pop("responseElements")
    expected = read(SOURCES[name], write(tmp_path / "lines", FORMS["lines"](found)))
    path = write(tmp_path / "log.parquet", as_parquet(found))
    if name in {"ocsf", "cloudtrail_s3", "ecs", "trino", "aws_activity_streams"}:
        assert accepting(path) == [name]
        events, rejects, _ = read(SOURCES[name], path)
        assert_frame_equal(events, expected[0])
        assert reasons(rejects) == []


@pytest.mark.parametrize("name", PRESETS)
def test_no_literal_of_a_statement_is_left(name):
    files = [file for of, file in SAMPLES if of == name]
    if name != "access_log":  # which has no statements
        assert any(SECRET.encode() in sample(name, file) for file in files)
    for file in files:
        events, rejects, _ = read(SOURCES[name], DATA / name / file)
        assert SECRET not in str(events.to_dicts()) + str(rejects.to_dicts())
        prints = events["statement"].drop_nulls()
        assert prints.str.contains("^[0-9a-f]{16}$").all()


@pytest.mark.parametrize("name", PRESETS)
def test_a_file_that_lacks_the_vendor_s_columns_is_refused_in_one_line(tmp_path, name):
    path = write(tmp_path / "log", b'{"timestamp": "2024-02-06T10:00:00Z", "account": "bob"}\n')
    assert accepting(path) == ["ndjson"]
    with pytest.raises(InputError, match=r"lacks '|is not ") as error:
        read(SOURCES[name], path)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="neither CSV with a header, JSON nor Parquet"):
        read(SOURCES[name], write(tmp_path / "none", b"\x00"))


@pytest.mark.parametrize("name", PRESETS)
def test_a_broken_line_costs_itself_and_no_neighbour(tmp_path, name):
    good = FORMS["lines"](plain(name)).splitlines(keepends=True)
    expected = read(SOURCES[name], write(tmp_path / "good", b"".join(good)))
    bad = [b'{"a": \n', b"[]\n", b'"text"\n', b"\xff\n", b"{}{}\n"]
    mixed = [
        each
        for line, broken in zip(good, (bad * 3)[: len(good)], strict=True)
        for each in (line, broken)
    ]
    events, rejects, skipped = read(SOURCES[name], write(tmp_path / "mixed", b"".join(mixed)))
    assert_frame_equal(events, expected[0], check_row_order=False)
    assert [line for line, _ in reasons(rejects)] == list(range(2, 2 * len(good) + 1, 2))
    assert skipped == expected[2]


@pytest.mark.parametrize("name", ["oracle", "cloudtrail_s3", "elasticsearch_audit"])
def test_a_log_without_counts_is_told_so_and_never_shows_zero(name):
    file = next(file for of, file in SAMPLES if of == name)
    path = DATA / name / file
    events, _, _ = read(SOURCES[name], path)
    assert events["rows"].null_count() == len(events)
    told = build_report([(LocalFile(path), SOURCES[name])], Settings())
    assert any("no row counts" in said for said in told.warnings())
    assert "unknown" in told.files[0].mapping["rows"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_mapping_says_of_every_column_where_it_comes_from(name):
    file = next(file for of, file in SAMPLES if of == name)
    mapping = SOURCES[name].mapping(LocalFile(DATA / name / file), Settings())
    assert list(mapping) == list(schema.EVENTS)


def test_a_column_that_a_person_names_wins(tmp_path):
    path = write(
        tmp_path / "log", as_csv([{**row, "CLIENT_IDENTIFIER": "kim"} for row in plain("oracle")])
    )
    chosen = {"columns": {"account": "CLIENT_IDENTIFIER", "rows": "not there"}}
    events, _, _ = read(SOURCES["oracle"], path, **chosen)
    # In the case of Oracle's names: one who is let in as Kim and as kim is one person.
    assert set(events["account"]) == {"KIM"}
    mapping = SOURCES["oracle"].mapping(LocalFile(path), Settings(**chosen))
    assert mapping["account"] == "column 'CLIENT_IDENTIFIER' (from [columns])"


def test_a_number_that_is_none_is_a_reject_with_its_line(tmp_path):
    rows = plain("databricks")
    rows[1]["produced_rows"] = "many"
    rows[2]["start_time"] = "yesterday"
    rows[4] = {**rows[0], "produced_rows": -1}
    for form in (FORMS["lines"], as_csv):
        path = write(tmp_path / "log", form(rows))
        _, rejects, _ = read(SOURCES["databricks"], path)
        first = 1 if form is as_csv else 0
        assert [(line, reason.split(", such as")[0]) for line, reason in reasons(rejects)] == [
            (2 + first, "rows is not a number"),
            (3 + first, "timestamp not understood"),
            (5 + first, "rows is negative"),
        ]


def test_an_encrypted_stream_and_an_unjoined_history_are_told_how_to_mend_them(tmp_path):
    encrypted = b'{"type":"DatabaseActivityMonitoringRecords","databaseActivityEvents":"AYAD"}\n'
    history = b"QUERY_ID,QUERY_START_TIME,USER_NAME,BASE_OBJECTS_ACCESSED\n1,2024-02-06,ALICE,[]\n"
    for data, words in (
        (encrypted, "still encrypted; decrypt it"),
        (history, "joined to QUERY_HISTORY"),
    ):
        path = write(tmp_path / "log", data)
        assert accepting(path) == []
        with pytest.raises(InputError, match=words):
            format_detection.detect([LocalFile(path)], SOURCES, Settings())


def test_the_metadata_of_bigquery_is_read_as_text_too(tmp_path):
    rows = plain("bigquery")
    expected = read(SOURCES["bigquery"], write(tmp_path / "log", FORMS["lines"](rows)))
    for row in rows:
        payload = row.pop("protoPayload")
        payload["metadataJson"] = json.dumps(payload.pop("metadata"))
        row["protopayload_auditlog"] = payload
    path = write(tmp_path / "log", FORMS["lines"](rows))
    assert accepting(path) == ["bigquery"]
    events, _, skipped = read(SOURCES["bigquery"], path)
    assert_frame_equal(events, expected[0])
    assert skipped == expected[2]


def test_trino_s_events_are_read_from_kafka_s_payload_too(tmp_path):
    rows = plain("trino")
    expected = read(SOURCES["trino"], write(tmp_path / "log", FORMS["lines"](rows)))
    wrapped = [{"eventPayload": row, "eventMetadata": {}} for row in rows]
    path = write(tmp_path / "log", FORMS["lines"](wrapped))
    assert accepting(path) == ["trino"]
    assert_frame_equal(read(SOURCES["trino"], path)[0], expected[0])


@pytest.mark.parametrize("name", ["ecs", "opensearch_audit"])
def test_search_hits_are_read_like_the_documents_in_them(tmp_path, name):
    rows = plain(name)
    expected = read(SOURCES[name], write(tmp_path / "log", FORMS["lines"](rows)))
    hits = [{"_index": "logs", "_id": str(i), "_source": row} for i, row in enumerate(rows)]
    for form in ("lines", "pretty array"):
        path = write(tmp_path / "log", FORMS[form](hits))
        assert accepting(path) == [name]
        assert_frame_equal(read(SOURCES[name], path)[0], expected[0])


def test_a_key_that_first_comes_late_in_a_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("detector.normalize.format_probe.PROBE_BYTES", 2500)
    for name, key in (("trino", "failureInfo"), ("cloudtrail_s3", "errorCode")):
        rows = sorted(plain(name), key=lambda row: key in row)
        rows = [rows[0]] * 5 + rows
        if name == "trino":
            rows = [{"eventPayload": row, "eventMetadata": {}} for row in rows]
        path = write(tmp_path / "log", FORMS["lines"](rows))
        events, _, _ = read(SOURCES[name], path)
        assert events["success"].to_list().count(False) == 1


def test_a_file_of_heartbeats_is_in_order_and_holds_no_event(tmp_path):
    beats = {
        "type": "DatabaseActivityMonitoringRecord",
        "databaseActivityEventList": [{"type": "heartbeat"}],
    }
    path = write(tmp_path / "log", FORMS["lines"]([beats] * 3))
    assert accepting(path) == ["aws_activity_streams"]
    events, rejects, skipped = read(SOURCES["aws_activity_streams"], path)
    assert (len(events), len(rejects), skipped) == (0, 0, 3)


def test_records_longer_than_what_is_looked_at_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("detector.normalize.format_probe.PROBE_BYTES", 3000)
    found = [row for row in plain("aws_activity_streams") if row["class"] == "MAIN"] * 3
    rows = [{"type": "x", "databaseActivityEventList": found}] * 4
    path = write(tmp_path / "log", FORMS["lines"](rows))
    events, rejects, skipped = read(SOURCES["aws_activity_streams"], path)
    assert len(events) + skipped == 4 * len(found)
    assert len(rejects) == 0


def test_no_literal_and_no_name_of_an_object_reaches_the_ledger(tmp_path):
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    files = [(LocalFile(DATA / name / file), SOURCES[name]) for name, file in SAMPLES]
    done = ingest(files, ledger, Settings(), lambda _, __: None)
    assert done.unused == ()
    assert done.rejects == 0
    kept = [pl.read_parquet(path) for path in (tmp_path / "ledger").rglob("*.parquet")]
    said = "".join(str(frame.to_dicts()) for frame in kept)
    assert "alice" in said
    assert SECRET not in said
    raw = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in raw


def test_a_log_of_records_opened_counts_each_line_as_one(tmp_path):
    events, _, _ = read(SOURCES["access_log"], DATA / "access_log" / "views.csv")
    assert events["rows"].to_list() == [1] * 5
    counted = as_csv([{**row, "rows": 7} for row in plain("access_log")])
    assert accepting(write(tmp_path / "log", counted)) == ["csv"]
    renamed = as_csv(
        [{"quand": row["time"], "qui": row["user"], "dossier": "1"} for row in plain("access_log")]
    )
    chosen = Settings(columns={"timestamp": "quand", "account": "qui"})
    path = write(tmp_path / "log", renamed)
    sample_ = Sample(LocalFile(path), renamed)
    assert [s.name for s in format_detection.accepting_sources(sample_, SOURCES, chosen)] == [
        "access_log"
    ]
    batches = list(SOURCES["access_log"].read(LocalFile(path), chosen, ReaderState()))
    assert sum(batch.events["rows"].sum() for batch in batches) == 5


def lake(path, hostile=()):
    """The sample of ``ocsf_api_activity`` as a security lake has it: Parquet, with a map."""
    rows = entries("ocsf_api_activity")
    maps = [[*hostile, *row["unmapped"].items()] for row in rows]
    table = pa.Table.from_pylist([{**row, "unmapped": None} for row in rows])
    at = table.column_names.index("unmapped")
    kind = pa.map_(pa.string(), pa.string())
    path.parent.mkdir(parents=True)
    pq.write_table(table.set_column(at, "unmapped", pa.array(maps, kind)), path)
    return path


def test_a_security_lake_is_read_like_cloudtrail(tmp_path):
    place = "region=eu-west-3/accountId=111122223333/eventDay=20240206/a.gz.parquet"
    path = lake(tmp_path / place)
    assert accepting(path) == ["ocsf_api_activity"]
    events, rejects, skipped = read(SOURCES["ocsf_api_activity"], path)
    sample_ = DATA / "ocsf_api_activity" / "api.ndjson"
    expected, _, others = read(SOURCES["ocsf_api_activity"], sample_)
    assert lines(events) == lines(expected)
    assert (reasons(rejects), skipped) == ([], others)


def test_no_text_in_a_lake_passes_for_a_key(tmp_path):
    text = '","key":"additionalEventData.bytesTransferredOut","value":"1"},{"key":"x","value":"'
    path = lake(tmp_path / "lake" / "a.parquet", [("userAgent", text), (text, "x")])
    events, _, _ = read(SOURCES["ocsf_api_activity"], path)
    assert set(events["bytes"].drop_nulls()) == {2048, 0}


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ({"type": "Root", "uid": "arn:aws:iam::111122223333:root"}, "root/111122223333"),
        ({"type": "AWSAccount", "uid": "AIDAEXAMPLE"}, "AIDAEXAMPLE"),
        ({"type": "FederatedUser", "uid": "arn:aws:sts::1:federated-user/eve"}, "eve"),
        ({"type": "AWSAccount", "uid": "111122223333"}, None),
        ({"type": "AWSAccount", "uid_alt": "arn:aws:iam::111122223333:root"}, None),
        ({"type": "AWSAccount", "name": "ANONYMOUS_PRINCIPAL"}, None),
        ({"type": "Unknown"}, None),
    ],
)
def test_a_security_lake_names_people_and_never_an_aws_account(tmp_path, user, account):
    row = entries("ocsf_api_activity")[0]
    row["actor"] = {"user": {**user, "account": {"uid": "111122223333"}}}
    events, rejects, _ = read(
        SOURCES["ocsf_api_activity"], write(tmp_path / "log", FORMS["lines"]([row]))
    )
    assert events["account"].to_list() == ([account] if account else [])
    assert all("names no person: " in said for _, said in reasons(rejects))
    assert len(rejects) == (account is None)
