r"""pgaudit's messages, each parsed by itself (https://github.com/pgaudit/pgaudit, "Format").

    AUDIT: SESSION,12,1,READ,SELECT,TABLE,public.person,"SELECT a, b FROM person",<none>,37

The last field is there with ``pgaudit.log_rows=on`` only, which can change within a file. A
field is quoted where it holds a comma, a quote or a newline, with its quotes doubled.

Anyone with a login can write ``RAISE LOG 'AUDIT: ...'``. What gives that away: PostgreSQL adds
the context and the statement it was raised in, which pgaudit hides in its own messages
(errhidecontext, errhidestmt). A superuser's C function could forge both; so could whoever may
write to the log file.
"""

from __future__ import annotations

import re
from typing import Final

import polars as pl

from detector.normalize import sql_parse
from detector.normalize.sql_fingerprint import fingerprint
from detector.normalize.sql_normalize import POSTGRESQL

#: What both formats of PostgreSQL's log are brought to: all text as logged, null or "" where
#: absent; ``row`` counts the records of a block from 0.
RAW_SCHEMA: Final = {
    "log_time": pl.String(),
    "user_name": pl.String(),
    "database_name": pl.String(),
    "client_address": pl.String(),
    "session_id": pl.String(),
    "error_severity": pl.String(),
    "sql_state_code": pl.String(),
    "message": pl.String(),
    "context": pl.String(),
    "query": pl.String(),
    "query_position": pl.String(),
    "application_name": pl.String(),
    "command_tag": pl.String(),
    "row": pl.Int64(),
}

#: One AUDIT line after parsing. ``kind`` says what it means here; ``rows`` is null where the
#: line has no count; ``bare_copy`` marks a COPY whose 0 is no count; ``text_key`` tells texts
#: apart within this process; ``said_before`` marks ``<previously logged>``.
LINE_SCHEMA: Final = {
    "session_id": pl.String(),
    "statement_id": pl.Int64(),
    "timestamp": pl.Datetime("us", "UTC"),
    "account": pl.String(),
    "client_address": pl.String(),
    "application": pl.String(),
    "database": pl.String(),
    "kind": pl.String(),
    "command": pl.String(),
    "tag": pl.String(),
    "relation": pl.String(),
    "sql_tables": pl.List(pl.String()),
    "rows": pl.Int64(),
    "bare_copy": pl.Boolean(),
    "text_key": pl.UInt64(),
    "fingerprint": pl.String(),
    "row": pl.Int64(),
}

_FIELD_PATTERN: Final = r'("(?:[^"]|"")*"|[^",\n\r]*)'
_MESSAGE_PATTERN: Final = (
    r"^AUDIT: (?P<type>SESSION|OBJECT),(?P<statement_id>\d{1,18}),(?P<sub>\d{1,18})"
    r",(?P<class>[A-Z_]+),(?P<command>[^\",\n\r]*),(?P<object_type>[^\",\n\r]*)"
    rf",(?P<object_name>{_FIELD_PATTERN[1:-1]}),(?P<text>{_FIELD_PATTERN[1:-1]}),(?:{_FIELD_PATTERN[1:-1]})"
    r"(?:,(?P<rows>\d{1,18}))?$"
)
#: The same without keeping anything, the first field of a rest, and the rows behind two fields.
_MESSAGE_CHECK: Final = re.sub(r"\?P<\w+>", "?:", _MESSAGE_PATTERN)
_FIRST_FIELD: Final = rf"^(?:{_FIELD_PATTERN[1:-1]})"
_ROWS_FIELD: Final = rf"^,(?:{_FIELD_PATTERN[1:-1]}),(\d{{1,18}})$"

#: The query PostgreSQL runs itself for each inserted row with a foreign key (ri_triggers.c,
#: RI_FKey_check). It returns the number 1, so whoever copied its shape would read nothing.
_FOREIGN_KEY: Final = (
    r'^SELECT 1 FROM (?:ONLY )?(?:"(?:[^"]|"")*"\.)?"(?:[^"]|"")*" x '
    r"WHERE [^;()']*(?:OPERATOR\([^;()']*\)[^;()']*)+ FOR KEY SHARE OF x$"
)
_EXPLAIN: Final = r"(?i)^(?:\s|--[^\n\r]*[\n\r]|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*explain\b"
_PREPARE: Final = r"(?i)^\s*prepare\b"
_OMITTED_TEXTS: Final = ("<previously logged>", "<not logged>")


#: The key of what a session prepared: executed, it is logged with the text of PREPARE by some
#: and of EXECUTE by others, and since its lines come in order, one key for all is enough.
PREPARED_KEY: Final = 1


def text_key(text: pl.Expr) -> pl.Expr:
    """What tells texts apart within this process, however they end."""
    return text.str.strip_chars("; \t\r\n").hash(seed=1)


def is_forged() -> pl.Expr:
    """Whether SQL raised the message: it then tells where, and pgaudit's own never do."""
    return (pl.col("context").fill_null("") != "") | (pl.col("query").fill_null("") != "")


def parse(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(``LINE_SCHEMA``, the rows that do not match) from AUDIT rows: ``RAW_SCHEMA`` with
    ``timestamp``.

    Lines that are no access to data (class MISC, foreign-key checks) have kind ``none``.
    """
    found = message_fields(raw["message"])
    frame = raw.with_columns(found[name].alias(f"_{name}") for name in found.columns)
    wrong = frame.filter(pl.col("_statement_id").is_null()).select("row")
    frame = frame.filter(pl.col("_statement_id").is_not_null())
    frame = frame.with_columns(
        _unquote(pl.col("_object_name")).alias("_object_name"),
        _unquote(pl.col("_text")).alias("_text"),
        pl.col("_rows").cast(pl.Int64),
        pl.col("command_tag").fill_null("").alias("tag"),
    )
    frame = _add_returns(frame).with_columns(_line_kind().alias("kind"))
    frame = _add_sql_tables(_add_fingerprints(frame))
    return frame.select(*_line_columns()), wrong


def message_fields(messages: pl.Series) -> pl.DataFrame:
    """``statement_id``, ``class``, ``command``, ``object_type``, ``object_name``, ``text`` and
    ``rows`` of messages, as text; null where one is not in pgaudit's format.

    A message is cut at its first commas, which takes a third of the time that a pattern takes to
    keep what it finds; the pattern is for names in quotes, which may hold commas.
    """
    parts = messages.to_frame("m").select(
        pl.col("m").str.contains(_MESSAGE_CHECK).alias("whole"),
        pl.col("m").str.splitn(",", 8).alias("_p"),
    ).unnest("_p")  # fmt: skip
    rest = pl.col("field_7")
    parts = parts.with_columns(rest.str.replace(_FIRST_FIELD, "").alias("tail"))
    made = {
        "statement_id": pl.col("field_1"),
        "class": pl.col("field_3"),
        "command": pl.col("field_4"),
        "object_type": pl.col("field_5"),
        "object_name": pl.col("field_6"),
        "text": rest.str.strip_suffix(pl.col("tail")),
        "rows": pl.col("tail").str.extract(_ROWS_FIELD),
    }
    found = parts.select(pl.when("whole").then(each).alias(name) for name, each in made.items())
    quoted = found["object_name"].str.starts_with('"').fill_null(value=False).arg_true()
    if quoted.is_empty():
        return found
    kept = messages.gather(quoted).str.extract_groups(_MESSAGE_PATTERN).struct
    return found.with_columns(found[name].scatter(quoted, kept.field(name)) for name in made)


def message_text(message: pl.Expr) -> pl.Expr:
    """The statement's text in a message of pgaudit, null in any other."""
    return _unquote(message.str.extract_groups(_MESSAGE_PATTERN).struct.field("text"))


def _unquote(field: pl.Expr) -> pl.Expr:
    """A field without its quotes. ``str.strip_prefix`` leaves unquoted ones as they are."""
    inner = (
        field.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
    )
    return pl.when(field.str.starts_with('"')).then(inner).otherwise(field)


def _add_returns(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``_returns``: whether a write gives its client the records that it writes (RETURNING).

    Of several statements in one text each may.
    """
    written = frame.select("_class", "_text").filter(pl.col("_class") == "WRITE")
    texts = written.filter(pl.col("_text").str.contains("(?i-u)returning")).select("_text").unique()
    if texts.is_empty():
        return frame.with_columns(pl.lit(value=False).alias("_returns"))
    means = sql_parse.parse_statements(texts["_text"], POSTGRESQL)
    returns = (means["action"] == "read") | means["many"]
    texts = texts.with_columns(returns.alias("_returns"))
    frame = frame.join(texts, on="_text", how="left", maintain_order="left")
    returns_ = (pl.col("_class") == "WRITE") & pl.col("_returns").fill_null(value=False)
    return frame.with_columns(returns_.alias("_returns"))


def _line_kind() -> pl.Expr:
    """What a line means: none, function, block, explain, prepare, cursor, copy, read, made, ...

    The tag is the process title and can be stale where the extended protocol closes a portal
    late, so EXPLAIN is believed only where the text agrees: calling a read an EXPLAIN would
    hide it.
    """
    kind, command, tag = pl.col("_class"), pl.col("_command"), pl.col("tag")
    read = kind == "READ"
    explain = (tag == "EXPLAIN") & pl.col("_text").str.contains(_EXPLAIN)
    foreign = (
        read
        & pl.col("_text").str.ends_with(" FOR KEY SHARE OF x")
        & pl.col("_text").str.contains(_FOREIGN_KEY)
    )
    made = command.is_in(["CREATE TABLE AS", "SELECT INTO", "CREATE MATERIALIZED VIEW"])
    cases = (
        ((kind == "MISC") | foreign, "none"),
        ((kind == "FUNCTION") & (command == "DO"), "block"),
        (kind == "FUNCTION", "function"),
        (explain, "explain"),
        (read & (command == "PREPARE"), "prepare"),
        (read & (command == "DECLARE CURSOR"), "cursor"),
        (read & (command == "COPY"), "copy"),
        (read | pl.col("_returns"), "read"),
        (kind == "WRITE", "write"),
        (kind.is_in(["DDL"]) & made, "made"),
        (kind.is_in(["DDL", "ROLE"]), "schema"),
    )
    chosen: pl.Expr = pl.lit("other")
    for condition, name in reversed(cases):
        chosen = pl.when(condition).then(pl.lit(name)).otherwise(chosen)
    return chosen


def _add_fingerprints(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``fingerprint`` (null for texts said before) and ``text_key``."""
    said = ~pl.col("_text").is_in(_OMITTED_TEXTS)
    text = frame.select(pl.when(said).then(pl.col("_text")))["_text"] if frame.height else None
    prints = fingerprint(text) if text is not None else pl.Series([], dtype=pl.String)
    return frame.with_columns(
        prints.cast(pl.String).alias("fingerprint"), _line_text_key().alias("text_key")
    )


def _line_text_key() -> pl.Expr:
    """EXECUTE is logged with the text of PREPARE."""
    executed = pl.col("kind").is_in(["read", "write"]) & pl.col("_text").str.contains(_PREPARE)
    return pl.when(executed).then(PREPARED_KEY).otherwise(text_key(pl.col("_text")))


def _add_sql_tables(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``relation`` as logged, and ``sql_tables`` for the lines that name none."""
    named = (pl.col("_object_name") != "") & ~pl.col("kind").is_in(["function", "block", "none"])
    frame = frame.with_columns(pl.when(named).then(pl.col("_object_name")).alias("relation"))
    silent = pl.col("relation").is_null() & pl.col("kind").is_in(
        ["copy", "cursor", "read", "write"]
    )
    texts = frame.filter(silent).select("_text").unique()
    if texts.is_empty():
        return frame.with_columns(pl.lit(None, pl.List(pl.String())).alias("sql_tables"))
    means = sql_parse.parse_statements(texts["_text"], POSTGRESQL)
    # What is made has a line of its own, and so has each of several statements, all of one text.
    made = pl.col("verb").is_in(["create", "select", "with"]) & (pl.col("action") == "write")
    read = pl.when(made).then(pl.col("tables").list.slice(1)).otherwise("tables")
    tables = texts.with_columns(
        means.select(pl.when(~pl.col("many")).then(read)).to_series().alias("sql_tables")
    )
    frame = frame.join(tables, on="_text", how="left", maintain_order="left")
    return frame.with_columns(pl.when(silent).then(pl.col("sql_tables")))


def _line_columns() -> list[pl.Expr]:
    bare = (
        (pl.col("kind") == "copy")
        & (pl.col("_rows").fill_null(0) == 0)
        & pl.col("relation").is_null()
    )
    uncounted = (
        bare
        | (pl.col("kind") == "cursor")
        | ((pl.col("_class") == "WRITE") & (pl.col("_command") == "COPY") & (pl.col("_rows") == 0))
    )
    made = {
        "account": pl.col("user_name"),
        "application": pl.col("application_name"),
        "database": pl.col("database_name"),
        "statement_id": pl.col("_statement_id").cast(pl.Int64),
        "command": pl.col("_command"),
        "rows": pl.when(~uncounted).then(pl.col("_rows")),
        "bare_copy": bare,
    }
    return [
        made.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in LINE_SCHEMA.items()
    ]
