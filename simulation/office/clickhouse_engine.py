"""Writes the query_log of ClickHouse's engine as the package chdb has it, without a server.

    PYTHON simulation/office/clickhouse_engine.py OUT.ndjson

PYTHON is one that has chdb; all is done by the one account that it knows. What is exported is what
docs/sources/clickhouse.md says.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from pathlib import Path

CONFIG = """<clickhouse><timezone>UTC</timezone>
<query_log><database>system</database><table>query_log</table></query_log></clickhouse>
"""
SETUP = (
    "CREATE DATABASE office ENGINE = Atomic",
    "USE office",
    "CREATE TABLE person (id UInt32, name String) ENGINE = MergeTree ORDER BY id",
    "CREATE TABLE note (id UInt32, person_id UInt32) ENGINE = MergeTree ORDER BY id",
    "INSERT INTO person SELECT number, toString(number) FROM numbers(500)",
    "INSERT INTO note SELECT number, number % 500 FROM numbers(800)",
    "CREATE VIEW named AS SELECT p.name FROM person p JOIN note n ON n.person_id = p.id",
)
PLAYED = (
    "SELECT * FROM person",
    "SELECT * FROM person LIMIT 7",
    "SELECT p.name FROM person p JOIN note n ON n.person_id = p.id WHERE n.id < 70",
    "SELECT * FROM named LIMIT 11",
    "WITH x AS (SELECT * FROM person LIMIT 5) SELECT * FROM x",
    "SELECT * FROM person UNION ALL SELECT * FROM person",
    "SELECT count() FROM person",
    "SELECT * FROM nowhere",
    "SELECT throwIf(id = 400) FROM person SETTINGS max_block_size = 100",
    "INSERT INTO note VALUES (1001, 5), (1002, 6)",
    "INSERT INTO note SELECT id, id FROM person",
    "INSERT INTO FUNCTION file('out.csv', 'CSV', 'id UInt32, name String') SELECT * FROM person",
    "SELECT * FROM person INTO OUTFILE 'other.csv' FORMAT CSV",
    "SELECT * FROM file('out.csv', 'CSV', 'id UInt32, name String')",
    "SHOW TABLES",
    "TRUNCATE TABLE note",
)
EXPORT = """
SELECT type, query_start_time_microseconds, query_duration_ms, result_rows, result_bytes,
       current_database, query, normalized_query_hash, query_kind, tables, exception_code,
       is_initial_query, initial_user, initial_address, client_name, http_user_agent
FROM system.query_log
WHERE type != 'QueryStart' AND is_initial_query AND query NOT LIKE 'SYSTEM%'
ORDER BY query_start_time_microseconds
SETTINGS output_format_json_validate_utf8 = 1"""


def play(out: Path) -> None:
    """Plays everything in a new folder, then exports the log of it."""
    session = importlib.import_module("chdb.session")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        config = Path(folder) / "config.xml"
        config.write_text(CONFIG, encoding="utf-8")
        engine = session.Session(f"{folder}/data?config-file={config}")
        for query in (*SETUP, *PLAYED):
            with contextlib.suppress(RuntimeError):  # two of them are to fail
                engine.query(query)
        engine.query("SYSTEM FLUSH LOGS")
        out.write_bytes(engine.query(EXPORT, "JSONEachRow").bytes())
        engine.close()


if __name__ == "__main__":
    play(Path(sys.argv[1]).resolve())
