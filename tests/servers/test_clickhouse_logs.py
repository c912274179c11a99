"""What a real ClickHouse writes in its query_log: a server, and its engine alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Sample
from detector.readers.log_input import LocalFile

SETUP = (
    "CREATE TABLE person (id UInt32, name String) ENGINE = MergeTree ORDER BY id",
    "INSERT INTO person SELECT number, toString(number) FROM numbers(500)",
)
#: (account, statement, action, rows, whether it succeeded)
PLAYED = [
    ("alice", "SELECT * FROM person", "read", 500, True),
    ("alice", "SELECT * FROM person LIMIT 7", "read", 7, True),
    ("alice", "SELECT * FROM nowhere", "read", 0, False),
    ("alice", "SELECT * FROM person INTO OUTFILE 'out.csv' FORMAT CSV", "export", 500, True),
    ("bob", "SELECT * FROM person WHERE id < 9", "read", 9, True),
    ("bob", "SELECT name FROM person UNION ALL SELECT name FROM person", "read", 1000, True),
]
#: What the server that Debian has knows (18.16), whose addresses are bytes.
EXPORT = """
SELECT type, query_start_time, query_duration_ms, result_rows, result_bytes, query,
       is_initial_query, initial_user,
       IPv6NumToString(toFixedString(initial_address, 16)) AS initial_address,
       client_name, http_user_agent
FROM system.query_log
WHERE type != 1 AND user != 'default' ORDER BY event_time, query_start_time
FORMAT JSONEachRow"""


@pytest.fixture(scope="module")
def exported(clickhouse, tmp_path_factory):
    """The export of what two accounts did, alice by the client and bob over HTTP."""
    folder = tmp_path_factory.mktemp("clickhouse")
    for query in SETUP:
        clickhouse.run(query, folder, user="default")
    for user, query, *_ in PLAYED:
        if user == "alice":
            clickhouse.run(query, folder, check=False)
        else:
            assert clickhouse.post(query, user=user, password="right")[0] == 200
    assert clickhouse.post("SELECT 1", user="bob", password="wrong")[0] != 200
    clickhouse.run("SYSTEM FLUSH LOGS", folder, user="default")
    status, answer = clickhouse.post(EXPORT)
    assert status == 200, answer
    path = folder / "query_log.ndjson"
    path.write_bytes(answer)
    return path


def read(path):
    batches = list(
        registry.sources()["clickhouse"].read(LocalFile(path), Settings(), ReaderState())
    )
    frames = [batch.events for batch in batches]
    rejects = [batch.rejects for batch in batches]
    return pl.concat(frames, how="vertical_relaxed"), pl.concat(rejects, how="vertical_relaxed")


def accepting(path):
    sample = Sample(LocalFile(path), path.read_bytes()[: 1 << 16])
    return [each.name for each in registry.sources().values() if each.accepts(sample, Settings())]


def test_each_query_of_two_accounts_is_read_as_what_its_client_got(exported):
    events, rejects = read(exported)
    assert rejects.is_empty()
    wanted = [(user, *rest) for user, _, *rest in PLAYED]
    assert sorted(events.select("account", "action", "rows", "success").rows()) == sorted(wanted)
    assert set(events["client_address"]) == {"127.0.0.1"}
    assert accepting(exported) == ["clickhouse"]


def test_the_client_is_the_application_of_those_that_use_it(exported):
    events, _ = read(exported)
    alice = events.filter(pl.col("account") == "alice")
    assert alice["application"].unique().to_list() == ["ClickHouse client"]


def test_the_engine_of_a_current_version_says_which_tables_were_read(tmp_path):
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("the package chdb is not installed")
    script = Path(__file__).parents[2] / "simulation/office/clickhouse_engine.py"
    path = tmp_path / "query_log.ndjson"
    subprocess.run([sys.executable, str(script), str(path)], check=True, timeout=120)
    events, rejects = read(path)
    assert rejects.is_empty()
    assert accepting(path) == ["clickhouse"]
    found = events.select("action", "object", "rows", "success").rows()
    for wanted in [
        ("read", "office.person", 500, True),
        ("read", "office.named", 11, True),
        ("read", None, 0, False),
        ("read", "office.person", None, False),
        ("write", "office.note", 2, True),
        ("export", "office.person", 500, True),
    ]:
        assert wanted in found
    assert found.count(("export", "office.person", 500, True)) == 2
