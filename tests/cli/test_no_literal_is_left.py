"""Literals of statements reach no file that is written and no word that is said.

Each log of a database that reads texts gets secrets planted in its literals; then it is checked and
taken into a ledger, and every byte of the outcome is searched, with Parquet unpacked.
"""

import gzip
import json
import re
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.core.settings import Settings
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.readers.compression import chunks
from detector.readers.log_input import LocalFile

DATA = Path(__file__).parents[1] / "data"
SECRET = "S3CRET"
PLANTED = {
    "mysql_slow_log": ["mariadb10.11-full.log.gz", "mysql8-extra.log", "percona.log"],
    "mariadb_server_audit": ["mariadb10.11-full.log.gz"],
    "mysql_audit_json": [
        "mysql-enterprise-open.json",
        "percona-filter.jsonl",
        "percona-plugin.log",
    ],
    "mongodb_log": ["mongod.log"],
    "mongodb_profiler": ["system.profile.json"],
}
POSTGRESQL = [
    *("pgaudit_rows_relation", "pgaudit_norows", "pgaudit_object_role", "auto_explain_json"),
    *("auto_explain_text", "log_statement_duration", "min_duration0", "pgaudit_plus_autoexplain"),
]
LOGS = [(name, DATA / name / file) for name, files in PLANTED.items() for file in files] + [
    (f"postgresql_{form}log", DATA / "postgresql" / f"{name}.{form}.gz")
    for name in POSTGRESQL
    for form in ("csv", "json")
]
#: SQL's literals: in quotes, a number compared or limited, dollar-quoted.
LITERAL = re.compile(rb"(?<![\w'\\])'([\w. ]{1,30})'(?![\w'])|(id ?<=? ?)\d+|(LIMIT )\d+")


def planted(path, folder):
    """The log with a secret in each literal; numbers become one that is a secret too."""
    data = b"".join(data for data, _ in chunks(LocalFile(path)))
    found = LITERAL.sub(_secret, data)
    assert SECRET.encode() in found or b"987654321" in found
    copy = folder / "log"
    copy.write_bytes(gzip.compress(found, mtime=0))
    return copy


def _secret(match):
    if match[1] is not None:
        return b"'" + SECRET.encode() + b"-" + match[1] + b"'"
    return (match[2] or match[3]) + b"987654321"


def said(folder):
    """All that a folder of files says, Parquet as the values in it."""
    texts = []
    for path in sorted(folder.rglob("*")):
        texts.append(str(path.relative_to(folder)))
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            texts.append(json.dumps(frame.to_dicts(), default=str))
        elif path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
    return "\n".join(texts)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param(*log, marks=[pytest.mark.slow] if log[0] == "postgresql_jsonlog" else [])
        for log in LOGS
    ],
    ids=lambda part: getattr(part, "name", part),
)
def test_no_literal_reaches_the_ledger_or_the_screen(tmp_path, detector, name, path):
    log = planted(path, tmp_path)
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    done = ingest([(LocalFile(log), registry.sources()[name])], ledger, Settings(), lambda *_: None)
    assert done.events > 0
    everything = said(tmp_path / "ledger")
    assert len(everything) > 1000
    checked = detector("check", log, "--source", name, "--json")
    assert checked.code == 0, checked.err
    for words in (everything, checked.out, checked.err, detector("check", log).err):
        assert SECRET not in words
        assert "987654321" not in words


def test_a_secret_that_breaks_its_entry_is_not_quoted(tmp_path, detector):
    for name, text in (
        ("mysql_slow_log", f"# User@Host: a[a] @ b []\n# Query: {SECRET}\nSELECT '{SECRET}';\n"),
        ("mariadb_server_audit", f"20240206 10:00:00,vm,a,b,1,2,QUERY,hr,'select ''{SECRET}\n"),
        ("mongodb_log", f'{{"t": "{SECRET}", "x": \n{{"t": "{SECRET}"}}\n'),
        ("mysql_audit_json", f'{{"timestamp": "{SECRET}"\n{{"audit_record": "{SECRET}"}}\n'),
        ("postgresql_csvlog", f'2024-02-06 10:00:00 UTC,"{SECRET}\n'),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        ran = detector("check", path, "--source", name)
        assert SECRET not in ran.out + ran.err, name
