r"""Statements of PostgreSQL that ended in an error: what they were, and whether they sent records.

A statement sends its records while it runs, so one that fails has sent an unknown number of them:
a cast that fails on the last record fails when all others are out. It is known to have sent none
only where the log proves that it never ran:

- the error has a position in the statement (``query_pos``) and no context. Only the parser and
  the analyser give that, before the statement runs. A syntax error (42601) is found before the
  first of several statements in one string; any other position counts for a string of one only.
- SQLSTATE 25P02: a transaction that has failed refuses whatever comes next.
- SQLSTATE 42501 with ``permission denied for table`` (or view, ...) of a string of one: rights on
  tables are checked before the first record is read. Others, such as those of sequences, are not.
- SQLSTATE 26000 and 34000 of EXECUTE, FETCH, MOVE and CLOSE: there is no such statement or cursor.

The SQLSTATE alone proves nothing: PL/pgSQL raises any that it is told to. What it raises has a
context, unless ``log_error_verbosity`` is ``terse``.
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.normalize import sql_parse
from detector.normalize.sql_fingerprint import fingerprint
from detector.normalize.sql_normalize import POSTGRESQL

_PERMISSION_DENIED: Final = (
    r"^permission denied for (?:table|view|relation|materialized view|foreign table) "
)


def failure_events(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, pl.Expr]]:
    """``frame`` (``pgaudit.RAW_SCHEMA``) with what is made of it, and the EVENTS that it makes."""
    if frame.is_empty():
        return frame, {}
    means = sql_parse.parse_statements(frame["query"], POSTGRESQL).rename({"fingerprint": "_print"})
    frame = pl.concat([frame, means.select("action", "verb", "tables", "many")], how="horizontal")
    frame = frame.with_columns(
        fingerprint(frame["query"]).cast(pl.String).alias("statement"), _never_ran().alias("_never")
    )
    reads = pl.col("action").is_in(["read", "export"])
    made = {
        "action": pl.col("action"),
        "object": pl.col("tables").list.first(),
        "other_objects": pl.when(pl.col("tables").list.len() > 1).then(
            pl.col("tables").list.slice(1)
        ),
        "rows": pl.when(pl.col("_never") | ~reads).then(0),
        "statement": pl.col("statement"),
        "success": pl.lit(value=False),
    }
    return frame, made


def _never_ran() -> pl.Expr:
    """Whether the log proves that the statement never ran."""
    code = pl.col("sql_state_code").fill_null("")
    single = ~pl.col("many").fill_null(value=True)
    bare = pl.col("context").fill_null("") == ""
    placed = ~pl.col("query_position").fill_null("0").is_in(["", "0"])
    named = code.is_in(["26000", "34000"]) & pl.col("verb").is_in(
        ["execute", "fetch", "move", "close"]
    )
    refused = (code == "42501") & pl.col("message").fill_null("").str.contains(_PERMISSION_DENIED)
    return bare & (
        (placed & (code == "42601")) | (code == "25P02") | (single & (placed | refused | named))
    )
