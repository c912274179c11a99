"""Fingerprints of statements: what a statement does, without whom it does it to.

Literals, comments, case and white space go; what is left is hashed, so no text is kept.
"""

from __future__ import annotations

import hashlib
from typing import Final

import polars as pl

#: What is replaced by ``?``, found from left to right as a lexer would: strings (with doubled
#: quotes or backslashes), dollar-quoted strings (PostgreSQL, "4.1.2.4. Dollar-Quoted String
#: Constants"), comments (tracing libraries put a new id into each), parameters and numbers.
LITERAL_PATTERN: Final = (
    r"(?s:'(?:[^'\\]|\\.|'')*'"
    r"|\$[A-Za-z_]*\$.*?\$[A-Za-z_]*\$"
    r"|--[^\n]*"
    r"|/\*.*?\*/"
    r"|\$\d+"
    r"|\b0[xX][0-9A-Fa-f]+\b"
    r"|\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)"
)
#: A list of any length is one list: ``in (?, ?, ?)`` is ``in (?)``.
LIST_PATTERN: Final = r"\?(?:\s*,\s*\?)+"


def normalize(texts: pl.Series) -> pl.Series:
    """Statements (String) without literals, comments, superfluous space and case."""
    return _collapse_space(_strip_literals(texts))


def _strip_literals(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(LITERAL_PATTERN, "?").str.replace_all(LIST_PATTERN, "?")


def _collapse_space(bare: pl.Series) -> pl.Series:
    return bare.str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" ;")


def fingerprint(texts: pl.Series) -> pl.Series:
    """16 hex digits for each statement of ``texts`` (String); null stays null.

    The same in every release and on every machine. Only distinct statements are looked at, and
    what is left of them without literals, which is few, is hashed.
    """
    distinct = texts.drop_nulls().unique(maintain_order=True)
    bare = _strip_literals(distinct)
    few = bare.unique()
    hashes = pl.Series([digest(text) for text in _collapse_space(few)], dtype=pl.String)
    found = bare.replace_strict(few, hashes, return_dtype=pl.String)
    if len(distinct) == len(texts):  # in the order of ``texts``
        return found.alias(texts.name)
    return texts.replace_strict(distinct, found, default=None, return_dtype=pl.String)


def digest(text: str) -> str:
    """16 hex digits of what is told of a statement without its literals."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
