"""The people behind shared accounts: where the log tells them, and who cannot be told."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.core.errors import SettingsError
from detector.core.settings import Settings, from_mapping
from detector.ledger.manifest import settings_fingerprint
from detector.normalize import shared_accounts
from detector.normalize.log_report import build_report
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile

DATA = Path(__file__).parents[1] / "data"
POOL = ["app_rw"]


def slow(*texts, user="app_rw", thread=9):
    head = f"# User@Host: {user}[{user}] @ web1 [10.1.2.3]  Id: {thread}\n"
    figures = "# Query_time: 0.1  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 1\n"
    return "".join(f"{head}{figures}SET timestamp=1707213600;\n{text};\n" for text in texts)


def people(path, log, **rules):
    path.write_text(log, encoding="utf-8")
    settings = from_mapping({"identity": {"accounts": POOL, **rules}})
    source = shared_accounts.wrap_source(registry.sources()["mysql_slow_log"], settings)
    batches = list(source.read(LocalFile(path), settings, ReaderState()))
    return pl.concat([batch.events for batch in batches])["account"].to_list()


def test_a_comment_at_either_end_names_the_person(tmp_path):
    log = slow("/* user=eve */ SELECT 1", "SELECT 2 /*app='x',user=bob*/", "SELECT 3")
    assert people(tmp_path / "log", log, comment=r"user=([\w.@-]+)") == ["eve", "bob", "app_rw"]


def test_a_comment_within_a_statement_or_a_literal_names_nobody(tmp_path):
    log = slow("SELECT '/* user=eve */'", "SELECT /* user=eve */ 1", "SELECT ' /* user=eve */;'")
    assert people(tmp_path / "log", log, comment=r"user=([\w.@-]+)") == ["app_rw"] * 3


def test_only_shared_accounts_are_told_apart(tmp_path):
    log = slow("/* user=boss */ SELECT 1", user="mallory")
    assert people(tmp_path / "log", log, comment=r"user=([\w.@-]+)") == ["mallory"]


def test_a_session_s_variable_holds_until_it_is_set_again(tmp_path):
    log = (
        slow("SELECT 0", "SET @app_user = 'eve'", "SELECT 1")
        + slow("SELECT 2", thread=10)
        + slow("SET @app_user := 'o''neil'", "SELECT 3", "SET @app_user = NULL", "SELECT 4")
    )
    found = people(tmp_path / "log", log, session="app_user")
    assert found == ["app_rw", "eve", "eve", "app_rw", "o'neil", "o'neil", "app_rw", "app_rw"]


@pytest.mark.parametrize("block", [1, 300])
def test_a_session_s_variable_holds_across_blocks(monkeypatch, tmp_path, block):
    from detector.readers import text_entries

    monkeypatch.setattr(text_entries, "_BLOCK_BYTES", block)
    log = slow("SET @app_user = 'eve'", "SELECT 1", "SELECT 2")
    assert people(tmp_path / "log", log, session="@app_user") == ["eve"] * 3


def test_a_role_can_be_a_person(tmp_path):
    log = slow("SET ROLE eve", "SELECT 1", "SET ROLE NONE", "SELECT 2")
    assert people(tmp_path / "log", log, role=True) == ["eve", "eve", "app_rw", "app_rw"]


def test_the_most_specific_wins(tmp_path):
    log = slow("SET @app_user = 'eve'", "/* user=bob */ SELECT 1")
    rules = {"session": "app_user", "comment": r"user=(\w+)"}
    assert people(tmp_path / "log", log, **rules) == ["eve", "bob"]


def test_an_application_s_name_can_hold_the_person_in_every_format(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "timestamp,account,application,rows\n"
        "2024-02-06T10:00:00Z,app_rw,casefile/eve,5\n2024-02-06T10:00:00Z,app_rw,batch,6\n"
        "2024-02-06T10:00:00Z,bob,casefile/eve,7\n",
        encoding="utf-8",
    )
    settings = from_mapping({"identity": {"accounts": POOL, "application": r"^casefile/(\w+)$"}})
    source = shared_accounts.wrap_source(registry.sources()["csv"], settings)
    log = LocalFile(path)
    for read in (source.read, source.follow_reader.read):
        accounts = [
            batch.events["account"].cast(pl.String) for batch in read(log, settings, ReaderState())
        ]
        assert pl.concat(accounts).to_list() == ["eve", "app_rw", "bob"]


def test_postgresql_tells_people_by_set_and_by_comments(tmp_path):
    lines = []
    for path, rules, wanted in (
        ("log_statement_duration", {"session": "application_name"}, "psql-work"),
        ("pgaudit_rows_relation", {"application": r"^(psql-\w+)$"}, "psql-work"),
    ):
        settings = from_mapping({"identity": {"accounts": ["analyst"], **rules}})
        source = shared_accounts.wrap_source(registry.sources()["postgresql_csvlog"], settings)
        batches = source.read(
            LocalFile(DATA / "postgresql" / f"{path}.csv.gz"), settings, ReaderState()
        )
        events = pl.concat([batch.events for batch in batches])
        lines.append(wanted in events["account"].to_list())
    assert lines == [True, True]
    data = gzip.decompress((DATA / "postgresql" / "auto_explain_json.json.gz").read_bytes())
    entries = [json.loads(line) for line in data.splitlines()]
    for entry in entries:
        if "Query Text" in entry["message"]:
            entry["message"] = entry["message"].replace('Text": "', 'Text": "/* user=eve */ ', 1)
    path = tmp_path / "log.json"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    settings = from_mapping({"identity": {"accounts": ["analyst"], "comment": r"user=(\w+)"}})
    batches = registry.sources()["postgresql_jsonlog"].read(
        LocalFile(path), settings, ReaderState()
    )
    events = pl.concat([batch.events for batch in batches])
    assert events.filter(pl.col("account") == "eve")["rows"].sum() > 10_000


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"comment": "user=(a)"}, "needs accounts"),
        ({"accounts": ["a"]}, "and a rule"),
        ({"accounts": "a", "role": True}, "list of names"),
        ({"accounts": ["a"], "comment": "user="}, "group"),
        ({"accounts": ["a"], "comment": "("}, "group"),
        ({"accounts": ["a"], "comment": "(?=a)(b)"}, "group"),
        ({"accounts": ["a"], "application": 5}, "group"),
        ({"accounts": ["a"], "session": ""}, "variable"),
        ({"accounts": ["a"], "role": "yes"}, "true or false"),
        ({"accounts": ["a"], "rol": True}, "no setting 'rol'"),
        ([1], "must be a table"),
    ],
)
def test_rules_that_make_no_sense_are_refused_in_one_line(rules, words):
    with pytest.raises(SettingsError, match=words) as refused:
        from_mapping({"identity": rules}, "detector.toml")
    assert str(refused.value).startswith("detector.toml: [identity]")
    assert "\n" not in str(refused.value)


def test_other_rules_make_other_events():
    rules = {"accounts": ["a"], "role": True}
    assert settings_fingerprint("csv", Settings(identity=rules)) != settings_fingerprint(
        "csv", Settings()
    )


def test_check_says_what_to_do_about_a_pool(tmp_path):
    path = tmp_path / "log"
    path.write_text(slow(*["SELECT 1"] * 9) + slow("SELECT 2", user="bob"), encoding="utf-8")
    source = registry.sources()["mysql_slow_log"]
    warned = build_report([(LocalFile(path), source)], Settings()).warnings()
    assert any("'app_rw' makes most of the statements" in said for said in warned)
    assert any("[identity]" in said for said in warned)
