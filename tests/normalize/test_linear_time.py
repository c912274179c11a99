"""Twice the text takes twice the time, whatever the text is: nobody stops a run with a pattern."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.core.settings import Settings
from detector.normalize import containment, sql_parse
from detector.normalize.reader_state import ReaderState
from detector.normalize.sql_normalize import MYSQL, POSTGRESQL
from detector.readers.log_input import LocalFile

#: Characters of the smaller text, how many times as many the larger one has, and how much the cost
#: may grow: what is linear grows by 4, what is quadratic by 16. Below so many seconds, nothing can
#: be told.
SIZE = 40_000
TIMES = 4
GROWTH = 8.0
LITTLE = 0.1
#: How often what seems to grow too much is looked at again.
AGAIN = 5

#: (what begins a text, what is repeated in it, what ends it)
STATEMENTS = [
    ("select 1", " ", "x"),
    ("select 1", " \t", "into"),
    ("select 1", "\n", ""),
    ("explain", " ", "selec"),
    ("explain", " analyze", ""),
    ("explain ", "(a ", ""),
    ("declare c", " cursor", ""),
    ("declare c cursor", " for", ""),
    ("prepare a (", "a", ""),
    ("prepare ", "a(", ""),
    ("create table a", " as (", ""),
    ("create table a", " as view", ""),
    ("select 1", " into outfile 'a' from", ""),
    ("select 1 into @a", ",@a", ""),
    ("replace ", "into ", ""),
    ("frob ", "from ", ""),
    ("frob from ", "a.", ""),
    ("frob from ", "a", "("),
    ("select '", "''", ""),
    ("select '", "\\'", ""),
    ("select ", '"a" ', ""),
    ("select `", "``", ""),
    ("select ", "/*", ""),
    ("select ", "/*!1 ", ""),
    ("select ", "/* 1 ", ""),
    ("select ", "/**/", ""),
    ("select ", "\n--", ""),
    ("select ", "\n#", ""),
    ("select ", "(", ""),
    ("select ", "$a$ ", ""),
    ("select ", "$$", ""),
    ("select 1 in (", "1,", ""),
    ("insert into a values ", "(1),", ""),
    ("", ";", ""),
    ("select ", "1", ""),
    ("select ", "e'", ""),
    ("with a as (select 1)", ",a as (select 1)", " select"),
]

HEAD = "# User@Host: eve[eve] @  [10.0.0.9]\n# Query_time: 0.1  Lock_time: 0.0 Rows_sent: 1\n"
STAMP = '{"timestamp":"2024-02-06 08:00:00","account":"ann","rows":1'
LOGS = [
    ("mysql_slow_log", HEAD + "SET timestamp=1707206400;\nselect 1", " ", "into;\n"),
    ("mysql_slow_log", HEAD, "#\n", "select 1;\n"),
    ("csv", "timestamp,account\n", '"\n', ""),
    ("csv", "timestamp,account\n2024-02-06 08:00:00,", "a", "\n"),
    ("csv", "timestamp,account\n", ",", "\n"),
    ("ndjson", STAMP + ',"x":', "[", "\n"),
    ("ndjson", STAMP + ',"x":', '{"x":', "\n"),
    ("ndjson", STAMP + "}\n", "[,", "\n"),
    ("mongodb_log", "", "{\n", ""),
    ("mysql_audit_json", "[", "{\n", ""),
    ("mariadb_server_audit", "20240206 08:00:00,h,eve,h,1,1,QUERY,hr,'", "\\'", "',0\n"),
    ("postgresql_csvlog", "2024-02-06 08:00:00.000 UTC,", '"', "\n"),
]


def grown(cost: Callable[[int], float]) -> float:
    """How much the cost grows with the text, the least of some times each."""
    small = min(cost(SIZE) for _ in range(2))
    large = cost(TIMES * SIZE)
    for _ in range(AGAIN):  # whoever shares the machine makes it look slower, never faster
        if large < max(GROWTH * small, LITTLE):
            break
        small, large = min(small, cost(SIZE)), min(large, cost(TIMES * SIZE))
    return 0.0 if large <= LITTLE else large / max(small, LITTLE / GROWTH)


def repeated(parts: tuple[str, str, str], size: int) -> str:
    begin, unit, end = parts
    return begin + unit * (size // len(unit)) + end


@pytest.mark.parametrize("dialect", [MYSQL, POSTGRESQL], ids=["mysql", "postgresql"])
@pytest.mark.parametrize("parts", STATEMENTS, ids=lambda parts: repr(parts[0] + parts[1]))
def test_a_statement(parts, dialect):
    def cost(size: int) -> float:
        text = pl.Series([repeated(parts, size)])
        sql_parse._cache.meanings.clear()
        began = time.process_time()
        sql_parse.parse_statements(text, dialect)
        return time.process_time() - began

    assert grown(cost) < GROWTH


@pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log[0]} {log[2][:8]!r}")
def test_a_log(tmp_path: Path, log):
    name, *parts = log
    path = tmp_path / "a.log"

    def cost(size: int) -> float:
        path.write_text(repeated(tuple(parts), size), encoding="utf-8")
        began = time.process_time()
        with contextlib.suppress(containment.PROPAGATED_ERRORS):
            containment.read_contained(
                registry.sources()[name], LocalFile(path), Settings(), ReaderState(), list
            )
        return time.process_time() - began

    assert grown(cost) < GROWTH
