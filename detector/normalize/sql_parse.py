"""What a statement does and to which tables, where the log does not say: told by sqlglot.

The parser sees shapes (``detector.normalize.sql_normalize``), each of them once, never a literal.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import polars as pl
import sqlglot
from sqlglot import exp

from detector.normalize import sql_verbs
from detector.normalize.sql_fingerprint import digest
from detector.normalize.sql_normalize import Dialect, statement_shapes

#: What each text gets: ``fingerprint`` is of its shape in lower case; ``verb`` is its first word
#: in lower case; ``action`` is one of ``schema.ACTIONS``; ``tables`` is null where unclear;
#: ``many`` is whether the text is more than one statement.
COLUMNS: Final = {
    "fingerprint": pl.String(),
    "verb": pl.String(),
    "action": pl.String(),
    "tables": pl.List(pl.String()),
    "many": pl.Boolean(),
}

#: Shapes known to a process; beyond that it starts afresh, so that memory stays flat.
_MAX_SHAPES: Final = 20_000
#: Longer shapes are generated, and not worth the time.
_MAX_SHAPE_LENGTH: Final = 20_000

_TABLE_ACTIONS: Final = ("read", "write", "export")

#: Long white space, which would cost patterns the square of its length.
_LONG_SPACE: Final = re.compile(r"\s{32,}")
#: Characters in which what stands before another statement must end.
_MAX_PREFIX: Final = 4_000
#: What stands before another statement, and what the statement then is; None: what the inner is.
_PREFIXES: Final = (
    (re.compile(r"(?is)^declare\s.*?\scursor\b.*?\sfor\s+"), None),
    (re.compile(r"(?is)^set\s+statement\s[^;]*?\sfor\s+"), None),
    (re.compile(r"(?is)^prepare\s+\S+?\s*(?:\([^)]*\)\s*)?as\s+"), "other"),
    (re.compile(r"(?is)^(?:explain|describe|desc|analyze)\s+(?=.*\bselect\b)"), "other"),
)
_EXPLAIN_OPTIONS: Final = re.compile(
    r"(?is)^(?:analyze\s+|verbose\s+|format\s*=\s*\S+\s+|\(.*?\)\s*)*"
)
#: https://dev.mysql.com/doc/refman/8.4/en/select-into.html
_OUTFILE: Final = re.compile(r"(?is)\s+into\s+(?:outfile|dumpfile)\s+''.*?(?=\s+from\b|\s+for\b|$)")
_INTO_VARIABLES: Final = re.compile(r"(?i)\s+into\s+@[\w$.]+(?:\s*,\s*@[\w$.]+)*")
#: For what the parser cannot read. No literal is left in a shape that is clear.
_NAME: Final = r'(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_TABLE_NAMES: Final = re.compile(
    rf"(?i)(?:\b(?:from|join|into(?:\s+table)?|update)|^\s*(?:handler|truncate(?:\s+table)?))\s+"
    rf"(?:only\s+)?({_NAME}(?:\s*\.\s*{_NAME}){{0,2}})(?!\s*[(.]|[\w$])"
)
_CREATE_AS: Final = re.compile(
    r"(?is)^create\s(?!.*\bview\b).*?\bas\s*\(?\s*(?:select|with|table)\b"
)
_FETCH_CLAUSE: Final = re.compile(r"(?i)\bfetch\b[^;]*")
_BRACKET_NAME: Final = re.compile(r"\[([^\]\[\"]+)\]")
_NAME_PART: Final = re.compile(_NAME)
_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_$]*")
_PARSER_ERRORS: Final = (
    *(sqlglot.errors.SqlglotError, RecursionError, ValueError, TypeError),
    *(AttributeError, LookupError),  # a parser of every dialect has corners nobody was in
)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a shape means; ``is_parsed`` is whether the parser could read it."""

    action: str
    tables: tuple[str, ...] | None
    is_parsed: bool
    is_multiple: bool = False


@dataclass(slots=True)
class _ShapeCache:
    """The shapes that were looked at, by dialect and text."""

    meanings: dict[tuple[str, str], _Meaning] = field(default_factory=dict)

    def meaning(self, shape: str, dialect: Dialect) -> _Meaning:
        key = (dialect.name, shape)
        known = self.meanings.get(key)
        if known is None:
            if len(self.meanings) >= _MAX_SHAPES:
                self.meanings.clear()
            known = self.meanings[key] = _analyze(shape, dialect)
        return known


_cache: Final = _ShapeCache()


def parse_statements(texts: pl.Series, dialect: Dialect) -> pl.DataFrame:
    """``COLUMNS`` of each of ``texts`` (String; null gives nulls), in their order."""
    return shape_meanings(statement_shapes(texts, dialect), dialect)


def shape_meanings(found: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    """``COLUMNS`` of each of the ``sql_shape.statement_shapes`` of some texts, in their order."""
    key = ["shape", "clear", "rival"]
    found = found.select(key)
    distinct = found.unique(maintain_order=True)
    looked = [_resolve(row, dialect) for row in distinct.iter_rows()]
    distinct = distinct.with_columns(
        pl.Series(
            "fingerprint", [_shape_fingerprint(shape) for shape in distinct["shape"]], pl.String
        ),
        pl.Series(
            "verb", [sql_verbs.first_word(shape or "") for shape in distinct["shape"]], pl.String
        ),
        pl.Series("action", [meaning.action for meaning in looked], pl.String),
        pl.Series(
            "tables",
            [None if m.tables is None else list(m.tables) for m in looked],
            pl.List(pl.String),
        ),
        pl.Series("many", [meaning.is_multiple for meaning in looked], pl.Boolean),
    )
    joined = found.join(distinct, on=key, how="left", maintain_order="left", nulls_equal=True)
    return joined.select(list(COLUMNS))


def _shape_fingerprint(shape: str | None) -> str | None:
    if shape is None:
        return None
    plain = " ".join(shape.lower().split())
    return digest(plain)


def _resolve(found: tuple[str | None, bool, str | None], dialect: Dialect) -> _Meaning:
    """Where the server's setting decides what is a literal, only one reading may make sense."""
    shape, clear, rival = found
    if shape is None:
        return _Meaning("other", None, is_parsed=False)
    if not clear:
        return _meaning_by_verb(shape, dialect)
    known = _cache.meaning(shape, dialect)
    if rival is None or (known.is_parsed and not _cache.meaning(rival, dialect).is_parsed):
        return known
    return _meaning_by_verb(shape, dialect)


def _meaning_by_verb(shape: str, dialect: Dialect) -> _Meaning:
    many = ";" in shape
    return _Meaning(
        sql_verbs.shape_action(shape, dialect.name), None, is_parsed=False, is_multiple=many
    )


def _analyze(shape: str, dialect: Dialect) -> _Meaning:
    said: str | None = None
    text = _LONG_SPACE.sub(" ", shape)
    for beginning, action in _PREFIXES:
        # Python's patterns go back and forth: they are shown no more than a beginning takes.
        before = beginning.match(text, 0, _MAX_PREFIX)
        if before is not None:
            text, said = _EXPLAIN_OPTIONS.sub("", text[before.end() :]), action or said
    if dialect.name == "mysql":
        text, exported = _OUTFILE.subn("", text)
        said = "export" if exported and said is None else said
        text = _INTO_VARIABLES.sub("", re.sub(r"(?i)^replace\s+(?:into\s+)?", "insert into ", text))
    roots = _parse(text, dialect)
    if roots is None:
        return _meaning_by_pattern(shape, text, said, dialect)
    actions = [_action(root) for root in roots]
    if said is not None:  # of what stands behind it, only the first statement is wrapped
        actions[:1] = [said]
    tables = dict.fromkeys(
        _table_name(table, dialect)
        for root in roots
        if not isinstance(root, exp.Use)
        for table in _tables(root)
        if table.name
    )
    action = sql_verbs.heaviest(actions)
    return _Meaning(action, tuple(tables) or None, is_parsed=True, is_multiple=len(roots) > 1)


def _meaning_by_pattern(shape: str, text: str, said: str | None, dialect: Dialect) -> _Meaning:
    many = ";" in shape
    action = sql_verbs.shape_action(shape, dialect.name)
    if said == "export":
        action = said
    elif _CREATE_AS.match(text) and not many:
        action = "write"
    if dialect.name == "tsql":
        text = _BRACKET_NAME.sub(r'"\1"', text)
    text = _FETCH_CLAUSE.sub(" ", text)
    found = _TABLE_NAMES.finditer(text) if action in _TABLE_ACTIONS else ()
    names = tuple(dict.fromkeys(_normalize_name(match[1], dialect) for match in found))
    return _Meaning(action, names or None, is_parsed=False, is_multiple=many)


def _parse(text: str, dialect: Dialect) -> list[exp.Expr] | None:
    """The statements in ``text``; None where the parser does not know one of them."""
    if len(text) > _MAX_SHAPE_LENGTH:
        return None
    logger = logging.getLogger("sqlglot")
    before, logger.disabled = logger.disabled, True  # it tells the screen what it cannot parse
    try:
        roots = [root for root in sqlglot.parse(text, read=dialect.name) if root is not None]
    except _PARSER_ERRORS:
        return None
    finally:
        logger.disabled = before
    known = roots and not any(isinstance(root, exp.Command | exp.Alias) for root in roots)
    return roots if known else None


#: What the parser knows, and what returns no records of a table.
_SESSION_STATEMENTS: Final = (exp.Set, exp.Use, exp.Transaction, exp.Commit, exp.Rollback, exp.Show)
_UTILITY_STATEMENTS: Final = (
    exp.Describe,
    exp.Kill,
    exp.Analyze,
    exp.Pragma,
    exp.Cache,
    exp.Uncache,
)
_WRITE_STATEMENTS: Final = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)
_SCHEMA_STATEMENTS: Final = (exp.Create, exp.Alter, exp.Drop, exp.Grant, exp.Revoke, exp.Comment)


def _action(root: exp.Expr) -> str:
    """What one statement does; what gives its client records reads, whatever else it does."""
    if isinstance(root, exp.Copy):
        return "write" if root.args.get("kind") else "export"
    if isinstance(root, exp.Create) and isinstance(root.expression, exp.Query):
        return "schema" if str(root.args.get("kind")).upper() == "VIEW" else "write"
    if isinstance(root, exp.Select) and root.args.get("into") is not None:
        return "write"
    if isinstance(root, _WRITE_STATEMENTS):
        return "write" if root.args.get("returning") is None else "read"
    if isinstance(root, _SCHEMA_STATEMENTS):
        return "schema"
    if isinstance(root, exp.Describe):
        return "other"
    quiet = (
        isinstance(root, _SESSION_STATEMENTS + _UTILITY_STATEMENTS) and root.find(exp.Query) is None
    )
    return "other" if quiet else "read"


def _tables(root: exp.Expr) -> Iterator[exp.Table]:
    """Tables in the order of the text; none that a WITH around them defines."""
    for table in root.find_all(exp.Table, bfs=False):
        if isinstance(table.this, exp.Identifier) and not _is_cte(table):
            yield table


def _is_cte(table: exp.Table) -> bool:
    """Whether a common table expression that is in sight has the table's name.

    Within a WITH without RECURSIVE, a name means itself only behind its definition.
    """
    if table.args.get("db") is not None:
        return False
    child: exp.Expr = table
    while (parent := child.parent) is not None:
        clause = parent if isinstance(parent, exp.With) else parent.args.get("with_")
        if isinstance(clause, exp.With) and clause is not child:
            inside = clause is parent
            for cte in clause.expressions:
                if inside and cte is child:
                    if clause.args.get("recursive") and cte.alias == table.name:
                        return True
                    break
                if cte.alias == table.name:
                    return True
        child = parent
    return False


def _table_name(table: exp.Table, dialect: Dialect) -> str:
    parts = [part for part in table.parts if isinstance(part, exp.Identifier)]
    return ".".join(
        _fold_name(part.name, quoted=bool(part.quoted), dialect=dialect) for part in parts
    )


def _fold_name(name: str, *, quoted: bool, dialect: Dialect) -> str:
    """PostgreSQL folds names without quotes, and its logs quote what needs it; MySQL's do not."""
    if dialect.name == "mysql":
        return name
    name = name if quoted else name.lower()
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _normalize_name(text: str, dialect: Dialect) -> str:
    names = []
    for part in _NAME_PART.findall(text):
        quote = part[0] if part[0] in '`"' else ""
        name = part[1:-1].replace(quote * 2, quote) if quote else part
        names.append(_fold_name(name, quoted=bool(quote), dialect=dialect))
    return ".".join(names)
