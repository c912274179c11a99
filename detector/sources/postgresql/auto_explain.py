r"""Statements that PostgreSQL logs without pgaudit: by auto_explain, log_statement and durations.

auto_explain (https://www.postgresql.org/docs/current/auto-explain.html) logs a plan when a
statement ends, with ``log_analyze`` the rows that it gave:

    duration: 0.802 ms  plan:
    {
      "Query Text": "SELECT * FROM person",
      "Plan": {
        "Node Type": "Seq Scan",
        ...
        "Actual Rows": 500,
        "Actual Loops": 1

or as text, whose first line without indentation is the top node. log_statement and
log_min_duration_statement log the text alone:

    statement: SELECT 1
    duration: 0.802 ms  statement: SELECT 1
    duration: 0.010 ms  execute stmt/portal: SELECT * FROM person WHERE id = $1

``parse`` and ``bind`` are steps on the way, ``execute fetch from`` goes on with one that was
logged (unless a statement has that name), and a duration without text belongs to the line before
it.
"""

from __future__ import annotations

import json
import re
from typing import Final

import polars as pl

from detector.normalize import sql_parse
from detector.normalize.sql_normalize import POSTGRESQL
from detector.sources.postgresql.lexer import first_unquoted
from detector.sources.postgresql.pgaudit import PREPARED_KEY, message_text, text_key

#: One statement that a line tells. ``kind`` is plan, statement, or mixed for a text of several
#: statements that can give records without a plan; ``text_key`` tells texts apart
#: within this process; ``cursor`` marks the declaration of a cursor, ``hidden`` a plan of nothing
#: but the catalogue or of no table at all.
STATEMENT_SCHEMA: Final = {
    "timestamp": pl.Datetime("us", "UTC"),
    **dict.fromkeys(
        ("session_id", "account", "client_address", "application", "database", "kind"), pl.String()
    ),
    "text_key": pl.UInt64(),
    "cursor": pl.Boolean(),
    "hidden": pl.Boolean(),
    "object": pl.String(),
    "other_objects": pl.List(pl.String()),
    "action": pl.String(),
    "rows": pl.Int64(),
    "duration_ms": pl.Float64(),
    "statement": pl.String(),
    "row": pl.Int64(),
}

#: Several statements in one text, of which some may give records and no plan.
_MIXED_STATEMENTS: Final = pl.col("many") & pl.col("_text").str.contains(
    r"(?i)\b(?:copy|fetch|declare|do)\b"
)
PLAN_PREFIX: Final = r"^duration: [\d.]+ ms  plan:\s"
#: The name of a prepared statement or portal is its client's choice, line breaks included. Where
#: it holds a colon, the text seems to begin within it.
_STATEMENT_PREFIX: Final = (
    r"^(?:duration: [\d.]+ ms  )?(?:statement: |execute (?s:.*?): |fastpath function call: )"
)
STATEMENT_PREFIX: Final = _STATEMENT_PREFIX
#: What goes on with a statement that was executed before, or one that was given such a name.
FETCH_PREFIX: Final = r"^(?:duration: [\d.]+ ms  )?execute fetch from "
#: Statements of sessions that are remembered, so that what goes on with them is known.
_MAX_EXECUTED: Final = 2_000
#: Command tags of what returns records. The server writes the tag, a client's text says less.
_TAG_ACTIONS: Final = {"SELECT": "read", "COPY": "export", "EXECUTE": "read", "CALL": "read"}
_DURATION: Final = r"^duration: ([\d.]+) ms"
_STATEMENT_TEXT: Final = _STATEMENT_PREFIX + r"((?s:.*))$"
#: In JSON a newline within a text is escaped, so a line of its own is the plan's; the top node is
#: indented by four.
_JSON_TEXT: Final = r'\{\s*"Query Text": ("(?:[^"\\]|\\.)*")'
_JSON_ROWS: Final = r'\n    "Actual Rows": ([\d.]+)'
_JSON_LOOPS: Final = r'\n    "Actual Loops": ([\d.]+)'
_JSON_MODIFY: Final = r'\n    "Node Type": "ModifyTable"'
_JSON_TABLE: Final = r'\n +"Relation Name": "(?:[^"\\]|\\.)*"(?:,\n +"Schema": "(?:[^"\\]|\\.)*")?'
_TABLE_PARTS: Final = re.compile(r'"(?:Relation Name|Schema)": ("(?:[^"\\]|\\.)*")')
#: A node of a text plan. What was never executed gave no rows.
_PLAN_NODE: Final = (
    r"(?m)^(?P<node>\S.*?)  \(cost=[\d.]+ rows=\d+ width=\d+\)"
    r"(?: \((?:actual (?:time=[\d.]+ )?rows=(?P<rows>[\d.]+) loops=(?P<loops>\d+)"
    r"|never executed)\))?$"
)
_IDENTIFIER: Final = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_SCANNED_TABLE: Final = (
    r"(?m)^ *(?:-> +)?(?:Parallel )?(?:(?:Seq|Index|Index Only|Bitmap Heap|Tid|Tid Range|Sample"
    rf"|Foreign|Custom) Scan(?: Backward)?(?: using {_IDENTIFIER})?|Insert|Update|Delete|Merge) on "
    rf"({_IDENTIFIER}(?:\.{_IDENTIFIER})?)(?: {_IDENTIFIER})?  \(cost="
)
_LAST_PART: Final = re.compile(rf"{_IDENTIFIER}$")
_TEXT_HEAD: Final = r"^Query Text: "
_COUNT_COLUMNS: Final = ("_rows", "_loops")
#: More than any database holds.
_MAX_ROWS: Final = 10**15
_CATALOGUE_SCHEMAS: Final = ("pg_catalog.", "information_schema.", "pg_toast.")


def parse_plans(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(``STATEMENT_SCHEMA``, the rows whose plan is none that PostgreSQL writes) of rows of
    ``pgaudit.RAW_SCHEMA`` with ``timestamp`` whose message is a plan.
    """
    body = pl.col("message").str.replace(PLAN_PREFIX, "")
    frame = raw.with_columns(body.alias("_body"))
    json_ = pl.col("_body").str.starts_with("{")
    parts = [_parse_json_plans(frame.filter(json_)), _parse_text_plans(frame.filter(~json_))]
    whole = [part.select(sorted(part.columns)) for part in parts if part.height]
    frame = pl.concat(whole) if whole else parts[0]
    frame = frame.sort("row")
    return _to_statements(frame.filter(~pl.col("_wrong")), "plan"), frame.filter("_wrong").select(
        "row"
    )


def parse_statements(raw: pl.DataFrame) -> pl.DataFrame:
    """``STATEMENT_SCHEMA`` of rows whose message is a statement's text."""
    none = pl.lit(None, pl.List(pl.String))
    frame = raw.with_columns(
        # What _STATED keeps, of a message that begins so: cutting off is faster than keeping.
        pl.col("message").str.replace(STATEMENT_PREFIX, "").alias("_text"),
        pl.lit(None, pl.Int64).alias("rows"),
        pl.lit(value=False).alias("_modify"),
        none.alias("_relations"),
    )
    told = _to_statements(frame, "statement")
    fetched = raw["message"].str.contains(FETCH_PREFIX)
    if not fetched.any():
        return told
    kind = pl.when(fetched).then(pl.lit("fetch")).otherwise("kind")
    return told.with_columns(kind.alias("kind"))


def drop_continuations(told: pl.DataFrame, executed: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """``told`` without lines that go on with a statement of their session, and ``executed`` with
    what began in it: hashes (UInt64) of sessions and texts, the last of them.

    A statement can be named ``fetch from x``: one that its session has not begun, and a COPY,
    which is never gone on with, are statements like others.
    """
    key = pl.struct("session_id", "text_key").hash(seed=2)
    if told.is_empty():
        return told, executed
    begun = told.filter(pl.col("kind") == "statement").select(key.alias("_key"), "row")
    known = pl.concat([executed, begun["_key"]]).unique(maintain_order=True)
    fetches = told.filter(pl.col("kind") == "fetch").select(key.alias("_key"), "row", "action")
    if fetches.is_empty():
        return told, known.tail(_MAX_EXECUTED)
    firsts = begun.group_by("_key").agg(pl.col("row").min().alias("_first"))
    fetches = fetches.join(firsts, on="_key", how="left")
    before = pl.col("_key").is_in(executed.implode()) | (pl.col("_first") < pl.col("row"))
    again = fetches.filter(before.fill_null(value=False) & (pl.col("action") != "export"))["row"]
    told = told.filter(~((pl.col("kind") == "fetch") & pl.col("row").is_in(again.implode())))
    kind = pl.col("kind").replace("fetch", "statement")
    return told.with_columns(kind), known.tail(_MAX_EXECUTED)


def failed_statements(raw: pl.DataFrame) -> pl.DataFrame:
    """``STATEMENT_SCHEMA`` of statements that ended in an error: which text was counted so, and no
    more.
    """
    text = pl.col("query")
    executed = text.str.contains(r"(?i)^\s*execute\b")
    made = {
        "kind": pl.lit("failed"),
        "text_key": pl.when(executed).then(PREPARED_KEY).otherwise(text_key(text)),
        "cursor": pl.lit(value=False),
    }
    have = {"timestamp", "session_id", "row"}
    return raw.select(
        made.get(name, pl.col(name) if name in have else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in STATEMENT_SCHEMA.items()
    )


def statement_text() -> pl.Expr:
    """The SQL that a row of ``pgaudit.RAW_SCHEMA`` is about, as far as a rule for people needs
    it.
    """
    message = pl.col("message")
    return pl.coalesce(
        message_text(message),
        message.str.extract(_STATEMENT_TEXT),
        message.str.extract(r'^duration: [\d.]+ ms  plan:\s\{\s*"Query Text": "((?:[^"\\]|\\.)*)"'),
        message.str.extract(r"^duration: [\d.]+ ms  plan:\sQuery Text: ((?s:.*))$"),
        "query",
    )


def _parse_json_plans(frame: pl.DataFrame) -> pl.DataFrame:
    body = pl.col("_body")
    frame = frame.with_columns(
        body.str.extract(_JSON_TEXT).alias("_text"),
        body.str.extract(_JSON_ROWS).alias("_rows"),
        body.str.extract(_JSON_LOOPS).alias("_loops"),
        body.str.contains(_JSON_MODIFY).alias("_modify"),
        body.str.extract_all(_JSON_TABLE).alias("_found"),
    )
    texts = [_load_json_text(text) if text else None for text in frame["_text"]]
    clean = [text and text.encode("utf-8", "replace").decode() for text in texts]
    none = pl.Series([text is None for text in texts], dtype=pl.Boolean)
    lost = none & frame["_text"].is_not_null()
    frame = frame.with_columns(
        pl.Series("_text", clean, pl.String),
        _total_rows(),
        (_has_bad_number() | lost).alias("_wrong"),
    )
    found = frame.select("_found").unique()
    named = [[_relation_name(part) for part in parts] for parts in found["_found"].to_list()]
    found = found.with_columns(pl.Series("_relations", named, pl.List(pl.String)))
    return frame.join(found, on="_found", how="left", maintain_order="left").drop(
        "_found", *_COUNT_COLUMNS
    )


def _parse_number(text: pl.Expr) -> pl.Expr:
    """A number; null where the text is none: whoever may raise a message can forge a plan."""
    return text.cast(pl.Float64, strict=False)


def _total_rows() -> pl.Expr:
    """Rows of all loops; null, which is unknown, where there are more than any database holds."""
    figure = _parse_number(pl.col("_rows")) * _parse_number(pl.col("_loops"))
    return pl.when(figure <= _MAX_ROWS).then(figure.round()).cast(pl.Int64).alias("rows")


def _has_bad_number() -> pl.Expr:
    """Whether a figure is none."""
    odd = (
        _parse_number(pl.col(name)).is_null() & pl.col(name).is_not_null()
        for name in _COUNT_COLUMNS
    )
    return pl.any_horizontal(odd).alias("_wrong")


def _load_json_text(text: str) -> str | None:
    """A text of JSON; None where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _relation_name(found: str) -> str:
    """``schema.name`` of a relation in a plan of JSON; its schema is told by log_verbose only."""
    names = [_load_json_text(part) or "" for part in _TABLE_PARTS.findall(found)]
    return ".".join(_quote_identifier(name) for name in reversed(names))


def _quote_identifier(name: str) -> str:
    plain = re.fullmatch(r"[a-z_][a-z0-9_$]*", name)
    return name if plain else '"' + name.replace('"', '""') + '"'


def _parse_text_plans(frame: pl.DataFrame) -> pl.DataFrame:
    """A literal can look like a node, in the statement and again in the plan: the top node is the
    first that no literal, no name in quotes and no comment holds.
    """
    split = [_split_text_plan(text) for text in frame["_body"]]
    frame = frame.with_columns(
        pl.Series("_text", [text for text, _ in split], pl.String),
        pl.Series("_plan", [plan for _, plan in split], pl.String),
    )
    node = pl.col("_plan").str.extract_groups(_PLAN_NODE).struct
    frame = frame.with_columns(
        node.field("rows").alias("_rows"), node.field("loops").alias("_loops")
    )
    return frame.with_columns(
        _total_rows(),
        _has_bad_number(),
        pl.col("_plan").str.contains(r"^(?:Insert|Update|Delete|Merge) on ").alias("_modify"),
        pl.col("_plan").str.extract_all(_SCANNED_TABLE).list.eval(pl.element().str.extract(_SCANNED_TABLE))
        .alias("_relations"),
    ).drop("_plan", *_COUNT_COLUMNS)  # fmt: skip


def _split_text_plan(body: str | None) -> tuple[str | None, str | None]:
    """(the statement, its plan) of a plan as text."""
    if body is None:
        return None, None
    head = re.match(_TEXT_HEAD, body)
    text = body[head.end() :] if head else body
    top = first_unquoted(text, (node.start() for node in re.finditer(_PLAN_NODE, text)))
    if top is None:
        return text, None
    return _strip_parameters(text[:top].rstrip("\n")), text[top:]


def _strip_parameters(text: str) -> str:
    return re.sub(r"\nQuery Parameters: .*\Z", "", text, flags=re.DOTALL)


def _to_statements(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    means = sql_parse.parse_statements(frame["_text"], POSTGRESQL)
    if kind == "plan":  # each of several statements has a plan of its own, and all have one text
        means = means.with_columns(pl.when(~pl.col("many")).then("tables").alias("tables"))
    frame = pl.concat([frame, means], how="horizontal")
    frame = _add_objects(frame)
    verb, plan = pl.col("verb"), kind == "plan"
    single = ~pl.col("many")
    explain = (verb == "explain") & (single | (pl.lit(plan) & (pl.col("command_tag") == "EXPLAIN")))
    prepared = (verb == "prepare") & single & plan
    inner = _plan_action(explain, prepared) if plan else _text_action()
    write = inner == "write"
    known = pl.when(explain).then(0).when(write & pl.col("_modify")).then(None).otherwise("rows")
    made = {
        "account": pl.col("user_name"),
        "application": pl.col("application_name"),
        "database": pl.col("database_name"),
        "kind": pl.lit(kind)
        if plan
        else pl.when(_MIXED_STATEMENTS).then(pl.lit("mixed")).otherwise(pl.lit(kind)),
        "text_key": pl.when(prepared | (verb == "execute"))
        .then(PREPARED_KEY)
        .otherwise(text_key(pl.col("_text"))),
        "cursor": (verb == "declare") & single,
        "action": pl.when((verb == "fetch") & single).then(pl.lit("other")).otherwise(inner),
        "rows": known if plan else pl.lit(None),
        "duration_ms": _parse_number(pl.col("message").str.extract(_DURATION)),
        "statement": pl.col("fingerprint"),
    }
    return frame.select(
        made.get(name, pl.col(name)).cast(dtype).alias(name)
        for name, dtype in STATEMENT_SCHEMA.items()
    )


def _plan_action(explain: pl.Expr, prepared: pl.Expr) -> pl.Expr:
    """What a plan did. One text can be of several statements, each of which has a plan: then the
    plan says more. EXECUTE's has the text of PREPARE, and is what that text reads or writes.
    """
    returns = pl.col("_text").str.contains(r"(?i)\breturning\b")
    written = pl.when(pl.col("_modify") & ~returns).then(pl.lit("write")).otherwise(pl.lit("read"))
    return (
        pl.when(explain).then(pl.lit("other"))
        .when(prepared | pl.col("many")).then(written)
        .otherwise("action")
    )  # fmt: skip


def _text_action() -> pl.Expr:
    """What a text does; one whose beginning may be its statement's name, by the tag too."""
    named = pl.col("message").str.contains(r"^(?:duration: [\d.]+ ms  )?execute ")
    tag = pl.col("command_tag").replace_strict(_TAG_ACTIONS, default=None, return_dtype=pl.String)
    quiet = pl.col("action").is_in(["other", "schema"]) & named & tag.is_not_null()
    return pl.when(quiet).then(tag).otherwise("action")


def _add_objects(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``object``, ``other_objects`` and ``hidden``: what the plan and the text name."""
    distinct = frame.select("tables", "_relations").unique()
    named = [_merge_relations(tables, relations) for tables, relations in distinct.iter_rows()]
    distinct = distinct.with_columns(
        pl.Series("object", [names[0] if names else None for names in named], pl.String),
        pl.Series("other_objects", [names[1:] or None for names in named], pl.List(pl.String)),
        pl.Series("hidden", [all(_is_hidden(name) for name in names) for names in named]),
    )
    keys = ["tables", "_relations"]
    return frame.join(distinct, on=keys, how="left", maintain_order="left", nulls_equal=True)


def _merge_relations(tables: list[str] | None, relations: list[str] | None) -> list[str]:
    """The statement's tables with the plan's schemas, and what else the plan reads."""
    read = {_table_part(name): name for name in relations or []}
    names = [
        read.get(_table_part(name), name) if "." not in name else name for name in tables or []
    ]
    bare = {_table_part(name) for name in names}
    return list(dict.fromkeys([*names, *(full for own, full in read.items() if own not in bare)]))


def _table_part(name: str) -> str:
    last = _LAST_PART.search(name)
    return last[0] if last else name


def _is_hidden(name: str) -> bool:
    return name.startswith(_CATALOGUE_SCHEMAS) or ("." not in name and name.startswith("pg_"))
