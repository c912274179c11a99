r"""Which tables a statement names, where the log does not say: COPY, cursors, no relation logged.

Modest on purpose: where the text could be read in two ways the answer is null, and nothing out
of a literal or a comment can become a name, so no record's content gets into the ledger.
"""

from __future__ import annotations

from typing import Final

import polars as pl

#: https://www.postgresql.org/docs/current/sql-syntax-lexical.html: identifiers, then what must
#: not be searched. A quoted identifier is kept, the rest becomes a blank.
_IDENTIFIER: Final = r'(?:"(?:[^"]|"")+"|[\pL_][\pL\pN_$]*)'
_NAME: Final = rf"{_IDENTIFIER}(?:\s*\.\s*{_IDENTIFIER}){{0,2}}"
_HIDDEN: Final = r"""("(?:[^"]|"")*")|'(?:[^']|'')*'|--[^\n\r]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/"""

#: Backslashes and dollar quotes move the end of a literal, nested comments that of a comment;
#: FROM means something else inside these functions.
_UNCLEAR: Final = (
    r"(?i)\\|\$[\pL_]?[\pL\pN_]*\$|/\*(?:[^*]|\*[^/])*/\*"
    r"|\b(?:extract|substring|trim|overlay|position)\s*\(|\bdistinct\s+from\b|\blateral\b"
)
_COPY: Final = rf"(?i)^\s*copy\s+(?:only\s+)?({_NAME})\s*(?:\(|to\b|from\b)"
_FROM: Final = (
    rf"(?i)(?:\bfrom|\bjoin|^\s*insert\s+into|^\s*update|^\s*table)\s+(?:only\s+)?({_NAME})\s*\(?"
)
_WITH: Final = r"(?i)^\s*(?:declare\b.*?\bfor\s+)?with\b"
_LIMIT: Final = 20_000  # characters; longer texts are generated, and not worth the time


def with_tables(frame: pl.DataFrame, text: str) -> pl.DataFrame:
    """``frame`` with ``sql_tables`` (list of names, null where unclear) from column ``text``.

    Each name is as the statement writes it: ``public.person``, ``person``, ``"Weird, name"``.
    """
    clear = pl.when(
        (pl.col(text).str.len_bytes() < _LIMIT) & ~pl.col(text).str.contains(_UNCLEAR)
    ).then(pl.col(text).str.replace_all(_HIDDEN, "${1} "))
    frame = frame.with_columns(clear.alias("_sql"))
    single = ~pl.col("_sql").str.contains(r";\s*\S") & ~pl.col("_sql").str.contains("'")
    frame = frame.with_columns(pl.when(single).then(pl.col("_sql")).alias("_sql"))
    copied = pl.col("_sql").str.extract(_COPY)
    named = (
        pl.when(~pl.col("_sql").str.contains(_WITH))
        .then(pl.col("_sql").str.extract_all(_FROM))
        .list.eval(_name_of(pl.element()))
        .list.drop_nulls()
        .list.unique(maintain_order=True)
    )
    frame = frame.with_columns(
        pl.when(copied.is_not_null())
        .then(pl.concat_list(copied))
        .otherwise(pl.when(named.list.len() > 0).then(named))
        .cast(pl.List(pl.String()))
        .alias("sql_tables")
    )
    return frame.drop("_sql")


def _name_of(found: pl.Expr) -> pl.Expr:
    """The name in one hit of ``_FROM``; null for a function's (a bracket follows it)."""
    return pl.when(~found.str.ends_with("(")).then(found.str.extract(_FROM))
