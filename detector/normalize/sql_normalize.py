r"""Shapes of statements: the text without its literals and comments, told as a lexer would.

What is left of a thousand statements of an application is a dozen shapes, so whatever is slow is
done once a shape (see ``detector.normalize.sql_parse``), and nothing out of a literal can get any
further.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import polars as pl

#: In a half-made shape, what was taken out stands between these: nothing for a literal, the
#: opening of a comment or of a literal that never ends.
_MARK_START: Final = "\x01"
_MARK_END: Final = "\x03"
#: Stands, in a shape, for a literal that never ends.
_UNCLOSED_LITERAL: Final = "\x02"
_NUMBER: Final = r"\b0[xX][0-9A-Fa-f]+\b|\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b"
#: One that never ends reaches to the end of the text: else each of many is looked for anew. It
#: leaves another mark than one that ends.
_BLOCK_COMMENT: Final = r"(?P<block>/\*)(?s:.*?)\*/|(?P<unended>/)\*(?s:.*)"

#: https://dev.mysql.com/doc/refman/8.4/en/string-literals.html and comments.html: both quotes
#: make strings (but for the mode ANSI_QUOTES), backslashes escape, two hyphens need a space.
_MYSQL_LITERALS: Final = r"""'(?s:[^'\\]|\\.|'')*'|"(?s:[^"\\]|\\.|"")*\""""
_MYSQL_UNESCAPED_LITERALS: Final = r"""'(?:[^']|'')*'|"(?:[^"]|"")*\""""
_MYSQL_TOKENS: Final = (
    r"(?P<name>`(?:[^`]|``)*`)|(?s:(?P<open>['\"`]).*)"
    rf"|(?P<hash>#)[^\n]*|(?P<line>--)(?:[ \t\r][^\n]*)?(?:\n|\z)|{_BLOCK_COMMENT}"
)
#: https://www.postgresql.org/docs/current/sql-syntax-lexical.html: backslashes escape in E'...'
#: only. A carriage return ends a comment as well.
_DOLLAR_QUOTES: Final = r"|\$(?:[A-Za-z_]\w*)?\$(?s:.*?)\$(?:[A-Za-z_]\w*)?\$|\$\d+"
_ESCAPED_STRING: Final = r"'(?s:[^'\\]|\\.|'')*'"
_POSTGRESQL_LITERALS: Final = rf"\b[eE]{_ESCAPED_STRING}|'(?:[^']|'')*'{_DOLLAR_QUOTES}"
_POSTGRESQL_ESCAPED_LITERALS: Final = rf"\b[eE]{_ESCAPED_STRING}|{_ESCAPED_STRING}{_DOLLAR_QUOTES}"
_POSTGRESQL_TOKENS: Final = (
    r"(?P<name>\"(?:[^\"]|\"\")*\")|(?s:(?P<open>['\"]).*)"
    rf"|(?P<hash>\z.)|(?P<line>--)[^\n\r]*|{_BLOCK_COMMENT}"
)
#: Lists of any length are one: ``IN (1, 2)``, and the rows of ``VALUES``.
_LITERAL_LIST: Final = r"(?i)(\bin\s*\(|\[)\s*''(?:\s*,\s*'')+"
_VALUES_ROW: Final = r"\(\s*''(?:\s*,\s*'')*\s*\)"
#: MySQL runs what stands in these comments: https://dev.mysql.com/doc/refman/8.4/en/comments.html
_EXECUTABLE_COMMENT: Final = r"/\*M?!\d*\s?((?s:.*?))\*/"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a database's statements are cut into tokens.

    ``name`` is sqlglot's, ``quote`` stands around names. ``literals`` finds strings;
    ``alternate_literals`` does so for a server with the other setting for backslashes. ``kept``
    finds names, comments, and what opens a literal that never ends. ``ambiguous`` matches texts not
    looked into.
    """

    name: str
    quote: str
    literals: str
    alternate_literals: str
    tokens: str
    ambiguous: str
    runs_comments: bool = False


MYSQL: Final = Dialect(
    "mysql",
    "`",
    _MYSQL_LITERALS,
    _MYSQL_UNESCAPED_LITERALS,
    _MYSQL_TOKENS,
    r"[\x01-\x03]",
    runs_comments=True,
)
#: Dollar quotes with tags hold others, and comments nest: no regular expression ends them.
POSTGRESQL: Final = Dialect(
    "postgres",
    '"',
    _POSTGRESQL_LITERALS,
    _POSTGRESQL_ESCAPED_LITERALS,
    _POSTGRESQL_TOKENS,
    r"[\x01-\x03]|\$[A-Za-z_]\w*\$|/\*(?:[^*]|\*[^/])*/\*",
)
#: Their literals, names and comments are PostgreSQL's: https://docs.snowflake.com/en/sql-reference/identifiers-syntax,
#: https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
SNOWFLAKE: Final = replace(POSTGRESQL, name="snowflake")
REDSHIFT: Final = replace(POSTGRESQL, name="redshift")
#: As in PostgreSQL: https://trino.io/docs/current/language/reserved.html
TRINO: Final = replace(POSTGRESQL, name="trino")
#: Backticks, and backslashes in literals: https://docs.databricks.com/en/sql/language-manual/sql-ref-identifiers.html
DATABRICKS: Final = replace(MYSQL, name="databricks", runs_comments=False)
#: With names in brackets: https://learn.microsoft.com/en-us/sql/relational-databases/databases/database-identifiers
TSQL: Final = replace(POSTGRESQL, name="tsql")


def statement_shapes(texts: pl.Series, dialect: Dialect) -> pl.DataFrame:
    """``shape``, ``rival`` (String), ``clear``, ``open`` and ``unended`` (Boolean) of ``texts``.

    A shape is the text with ``''`` in place of each literal and of each list of them, and nothing
    in place of comments. It is not clear where a literal never ends (it is ``open``) or its end is
    beyond a regular expression: then a word of it may be part of someone's data. ``unended`` is
    one whose last comment never ends. ``rival`` is the shape that a server with the other setting
    for backslashes would see, where it is another one.
    """
    if dialect.runs_comments:
        texts = texts.str.replace_all(_EXECUTABLE_COMMENT, " ${1} ")
    half = _mark_literals(texts, dialect, dialect.literals)
    distinct = pl.DataFrame({"half": half.drop_nulls().unique()})
    distinct = distinct.with_columns(_finish_shape(pl.col("half")).alias("shape"))
    distinct = distinct.with_columns(
        pl.col("shape").str.contains(_UNCLOSED_LITERAL).alias("open"),
        pl.col("half").str.ends_with(f"{_MARK_START}/{_MARK_END}").alias("unended"),
    )
    frame = half.to_frame("half").join(distinct, on="half", how="left", maintain_order="left")
    clear = ~frame["open"] & ~texts.str.contains(dialect.ambiguous)
    rival = pl.Series([None], dtype=pl.String).new_from_index(0, len(texts))
    rows = texts.str.contains(r"""\\['"]""").fill_null(value=False).arg_true()
    if len(rows):
        other = _mark_literals(texts.gather(rows), dialect, dialect.alternate_literals).to_frame(
            "half"
        )
        read = other.select(_finish_shape(pl.col("half"))).to_series()
        # A reading that leaves a literal open is none that a server ran.
        same = (read == frame["shape"].gather(rows)) | read.str.contains(_UNCLOSED_LITERAL)
        rival = rival.scatter(rows, read.set(same, None))
    return pl.DataFrame(
        {
            "shape": frame["shape"],
            "clear": clear.fill_null(value=False),
            "open": frame["open"].fill_null(value=False),
            "unended": frame["unended"].fill_null(value=False),
            "rival": rival,
        }
    )


def _mark_literals(texts: pl.Series, dialect: Dialect, literals: str) -> pl.Series:
    """Half-made shapes. Keeping what a pattern finds costs four times as much as not keeping it,
    so it is done only where there are comments, or names that hold what a literal can.
    """
    quote = dialect.quote
    marked = texts.str.replace_all(f"{literals}|{_NUMBER}", _MARK_START + _MARK_END)
    bare = marked.str.replace_all(rf"{quote}[A-Za-z_$][\w$]*{quote}([^{_MARK_START}]|$)", "${1}")
    odd = bare.str.contains(r"""['"`#]|--|/\*""").fill_null(value=False).arg_true()
    if len(odd):
        pattern = f"{literals}|{dialect.tokens}|{_NUMBER}"
        kept = f"${{name}}{_MARK_START}${{open}}${{block}}${{unended}}${{hash}}${{line}}{_MARK_END}"
        marked = marked.scatter(odd, texts.gather(odd).str.replace_all(pattern, kept))
    return marked


def _finish_shape(half: pl.Expr) -> pl.Expr:
    """The shape of a half-made one, where names have a pair of marks behind their end."""
    return (
        half.str.replace(rf"{_MARK_START}['\"`]{_MARK_END}$", _UNCLOSED_LITERAL)
        .str.replace_all(rf'([`"]){_MARK_START}{_MARK_END}', "${1}")
        .str.replace_all(rf"{_MARK_START}(?:/\*?|#|--){_MARK_END}", " ")
        .str.replace_all(_MARK_START + _MARK_END, "''", literal=True)
        .str.replace_all("--", "- -", literal=True)
        .str.replace_all(_LITERAL_LIST, "${1}''")
        .str.replace_all(rf"{_VALUES_ROW}(?:\s*,\s*{_VALUES_ROW})+", "('')")
        .str.strip_chars("; \t\r\n")
    )
