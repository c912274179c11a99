"""Phrases of presets: polars expressions over text columns of an export.

None of them can fail on any text: what does not fit gives null. What a statement does and
touches, where only its text says so, is told by its first word and by ``sql``: this file is the one
place where that is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import polars as pl

from detector.normalize import sql_parse
from detector.normalize.sql_normalize import Dialect

#: The first word of a statement, behind comments and brackets.
_FIRST_WORD: Final = (
    r"^(?:\s|\(|--[^\r\n]*(?:[\r\n]|$)|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*([A-Za-z_]+)"
)
#: One text of a JSON list, or of ClickHouse's ['a','b'], with its quotes.
_LIST_ITEM: Final = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
#: COPY INTO a table, which PostgreSQL does not have, and the query that UNLOAD has in quotes.
_COPY_INTO: Final = r"(?i)^\s*copy\s+into\s+"
_UNLOAD_QUERY: Final = r"(?is)^\s*unload\s*\(\s*(?:'|\$\$)(.*?)(?:'|\$\$)\s*\)\s*to\b.*$"
#: The statement that SQL Server is given as a text: EXEC ('...'), sp_executesql N'...'.
_EXEC_TEXT: Final = (
    r"(?i)^\s*(?:exec(?:ute)?\s*(?:(?:sys\.)?sp_executesql\s+(?:@\w+\s*=\s*)?|\(\s*)"
    r"|sp_executesql\s+)N?'((?:[^']|'')*)'"
)
#: First words of statements that return records, besides those ``words.action`` knows.
_NAME_PARTS: Final = re.compile(r'"(?:[^"]|"")*"|[^."]+')
_EXPORT_WORDS: Final = ("export", "copy", "unload", "backup")
_READ_WORDS: Final = ("with", "table", "values", "from", "execute", "declare")


def number(column: str) -> pl.Expr:
    """A count as Int64; null where the text is none."""
    return pl.col(column).cast(pl.Int64, strict=False)


#: What counters of 64 bits hold that never counted: -1 without its sign.
_UNSET_COUNTS: Final = ("18446744073709551615", "1.8446744073709552e19", "1.8446744073709552e+19")
#: Times that stand for none: a clock that was never set, at 0 or, in some products, year 1.
_UNSET_TIME: Final = r"^(?:1970-01-01|0001-01-01|0000-|0+(?:\.0*)?$)"


def known_count(column: str) -> pl.Expr:
    """A count as it is written; null where the server wrote that it never counted."""
    return pl.when(~pl.col(column).is_in(list(_UNSET_COUNTS))).then(pl.col(column))


def first_set_time(*columns: str) -> pl.Expr:
    """The first of some times that was ever set, else the first that is there at all."""
    names = [pl.col(name) for name in columns]
    was_set = [pl.when(~name.str.contains(_UNSET_TIME)).then(name) for name in names]
    return pl.coalesce(*was_set, *names)


def list_items(column: str) -> pl.Expr:
    """The texts of a list, each once."""
    found = pl.col(column).str.extract_all(_LIST_ITEM)
    bare = pl.element().str.slice(1, pl.element().str.len_chars() - 2)
    return found.list.eval(bare.filter(bare != "")).list.unique(maintain_order=True)


def values_under_key(column: str, key: str) -> pl.Expr:
    """The texts under ``key`` in JSON, each once."""
    pattern = rf'"{key}"\s*:\s*"((?:[^"\\]|\\.)*)"'
    found = pl.col(column).str.extract_all(pattern)
    bare = pl.element().str.extract(pattern)
    return found.list.eval(bare.filter(bare != "")).list.unique(maintain_order=True)


def first_item(names: pl.Expr) -> pl.Expr:
    """The first of a list; null where there is none."""
    return names.list.first()


def further_items(names: pl.Expr) -> pl.Expr:
    """The rest of a list; null where there is none."""
    return pl.when(names.list.len() > 1).then(names.list.slice(1))


def dotted_name(*columns: str) -> pl.Expr:
    """Names joined by dots, without those that are null; null where the last one is."""
    joined = pl.concat_str([pl.col(name) for name in columns], separator=".", ignore_nulls=True)
    return pl.when(pl.col(columns[-1]).is_not_null()).then(joined)


def first_verb(column: str) -> pl.Expr:
    """What a statement does by its first word, which ``words.action`` understands."""
    word = pl.col(column).str.extract(_FIRST_WORD).str.to_lowercase()
    return pl.when(word.is_in(list(_READ_WORDS))).then(pl.lit("read")).otherwise(word)


def read_if_rows(action: pl.Expr, rows: pl.Expr) -> pl.Expr:
    """``action``, but ``read`` where records were sent and it is no export."""
    word = action.str.to_lowercase()
    sent = (rows > 0).fill_null(value=False) & ~word.is_in(_EXPORT_WORDS).fill_null(value=False)
    return pl.when(sent).then(pl.lit("read")).otherwise(action)


def qualified_names(database: pl.Expr, names: pl.Expr) -> pl.Expr:
    """SQL Server's names of tables as ``database.schema.table``.

    A name without its schema is one of ``dbo``, which every account has unless it is given another.
    """
    both = pl.struct(database.alias("database"), names.alias("names"))
    return both.map_batches(_qualify, return_dtype=pl.List(pl.String))


def _qualify(both: pl.Series) -> pl.Series:
    frame = both.struct.unnest()
    distinct = frame.unique()
    found = [
        names and [_full_name(database, name) for name in names]
        for database, names in distinct.iter_rows()
    ]
    distinct = distinct.with_columns(pl.Series("full", found, pl.List(pl.String)))
    keys = ["database", "names"]
    joined = frame.join(distinct, on=keys, how="left", maintain_order="left", nulls_equal=True)
    return joined["full"]


def _full_name(database: str | None, name: str) -> str:
    parts = len(_NAME_PARTS.findall(name))
    within = f"dbo.{name}" if parts == 1 else name
    return f"{database}.{within}" if database and parts < 3 else within


def translate(column: str, meaning: Mapping[str, str]) -> pl.Expr:
    """A word of the log as one that ``words.action`` understands, if ``meaning`` has it."""
    return pl.col(column).replace(dict(meaning))


def is_one_of(column: str, *values: str) -> pl.Expr:
    """Whether a text is one of ``values``, in any case; false where it is null."""
    return pl.col(column).str.to_lowercase().is_in(list(values)).fill_null(value=False)


def elapsed_ms(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Milliseconds between two times in ISO 8601; null where they cannot be read."""
    found = (_instant(end) - _instant(start)).dt.total_microseconds() / 1e3
    return pl.when(found >= 0).then(found)


def _instant(text: pl.Expr) -> pl.Expr:
    plain = text.cast(pl.String).str.replace(r"(?:Z|\+00:?00)$", "").str.slice(0, 26)
    return plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)


def is_none_of(column: str, *values: str) -> pl.Expr:
    """Whether a text is something else than ``values``; null, which says nothing, is not."""
    return ~pl.col(column).str.to_lowercase().is_in(list(values)).fill_null(value=True)


def bare_address(column: str) -> pl.Expr:
    """An address without its port, brackets, or the prefix of IPv4 within IPv6."""
    return (
        pl.col(column)
        .str.strip_prefix("/")
        .str.replace(r"^::ffff:(\d)", "${1}")
        .str.replace(r"^(\d+\.\d+\.\d+\.\d+):\d+$", "${1}")
        .str.replace(r"^\[(.*)\](?::\d+)?$", "${1}")
    )


def with_tables(frame: pl.DataFrame, text: str, dialect: Dialect) -> pl.DataFrame:
    """``frame`` with ``sql_tables`` (list of names, null where unclear) and ``sql_action`` of the
    SQL in ``text``, both null where there is none.

    By ``dialect``'s rules for literals and names; each distinct shape is looked at once.
    """
    distinct = frame.select(pl.col(text)).drop_nulls().unique()
    if distinct.is_empty():
        nothing = pl.lit(None, pl.List(pl.String())).alias("sql_tables")
        return frame.with_columns(nothing, pl.lit(None, pl.String).alias("sql_action"))
    unloaded = pl.col(text).str.extract(_UNLOAD_QUERY).str.replace_all("''", "'", literal=True)
    plain = pl.coalesce(unloaded, pl.col(text).str.replace(_COPY_INTO, "insert into "))
    if dialect.name == "tsql":
        inner = pl.col(text).str.extract(_EXEC_TEXT).str.replace_all("''", "'", literal=True)
        plain = pl.coalesce(inner, plain)
    told = sql_parse.parse_statements(distinct.select(plain).to_series(), dialect)
    tables = distinct.with_columns(
        told["tables"].alias("sql_tables"), told["action"].alias("sql_action")
    )
    return frame.join(tables, on=text, how="left", maintain_order="left")
