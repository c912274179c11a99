"""Which heads of a slow query log the server wrote, told in time that grows with the log alone."""

import polars as pl
import pytest
from broken_logs import read

from detector.sources.mysql import slow_log_headers
from detector.sources.mysql.slow_log_headers import LexerState

SOURCE = "mysql_slow_log"


def entry(text, user="eve", sent=7):
    return (
        f"# User@Host: {user}[{user}] @ web1 [10.1.2.3]\n# Query_time: 0.5  Lock_time: 0.0 "
        f"Rows_sent: {sent}  Rows_examined: 9\nSET timestamp=1707213600;\n{text}\n"
    )


@pytest.mark.parametrize("opens", ["/*", "SELECT 1 /*", "/*+", "SELECT /* a */ 1 /*"])
def test_a_head_in_a_comment_is_nobody_s(tmp_path, opens):
    log = entry(f"{opens}\n{entry('', 'bob', 1)}*/ SELECT * FROM person;") + entry("SELECT 2;", "x")
    found = read(SOURCE, tmp_path / "log", log)
    assert found.events.select("account", "rows").rows() == [("eve", 7), ("x", 7)]
    assert found.rejects["line"].to_list() == [5]


@pytest.mark.parametrize(
    "text", ["SELECT a{0} 'open;", "BEGIN NOT ATOMIC {1};", "BEGIN NOT ATOMIC SELECT a{0} /*!"]
)
def test_each_entry_is_read_a_few_times_however_many_are_open(monkeypatch, text):
    taken = []
    real = slow_log_headers.advance_state
    monkeypatch.setattr(
        slow_log_headers, "advance_state", lambda *a, **k: taken.append(1) or real(*a, **k)
    )
    texts = [text.format(number, "begin " * (number % 50)) for number in range(400)]
    walk = slow_log_headers._OpenStatementScan(pl.Series(texts))
    for row, each in enumerate(texts):
        walk.end_row(
            row + 1,
            slow_log_headers.normalize_state(slow_log_headers.advance_state(each, LexerState())),
        )
    assert len(taken) < 8 * len(texts)


def test_blocks_end_where_each_has_ended():
    walk = slow_log_headers._OpenStatementScan(pl.Series(["end;", "select 1;", "end;", "end;"]))
    assert [walk.end_row(0, LexerState(depth=depth)) for depth in (1, 2, 3, 4)] == [1, 3, 4, None]
