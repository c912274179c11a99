r"""Lines of MariaDB's server_audit, folded into statements.

    20261123 19:26:34,vm,root,localhost,3,6,READ,o,person,
    20261123 19:26:34,vm,root,localhost,3,6,QUERY,o,'select * from person where id<50',0
    1707206402123456,aurora-1,clerk,10.1.2.3,14,935,QUERY,hr,'select * from person',0
    20240206 08:00:01,ip-10-7-0-1,clerk,10.1.2.3,14,0,CONNECT,hr,,0,TCP/IP

Time, server, user, host, connection, query, operation, then for a table its database and name, for
a statement the database, the text with backslash escapes, and the error code
(https://mariadb.com/kb/en/mariadb-audit-plugin-log-format/). Aurora MySQL writes the time in
microseconds since 1970, and RDS one or two fields more behind the error code. Names are raw, so a
comma in a user's name moves the columns: the two numbers before the operation are what is looked
for. A statement's tables come first, while it runs, and its text when it ends.
There are no row counts at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import polars as pl

from detector.core.frame_bytes import decode_text, encode_text
from detector.core.schema import EVENTS, empty
from detector.normalize import sql_parse
from detector.normalize.shared_accounts import SessionPersons
from detector.normalize.sql_normalize import MYSQL
from detector.sources.mysql import table_names

_TABLE_ACTIONS: Final = {
    "READ": "read",
    "WRITE": "write",
    **dict.fromkeys(("CREATE", "ALTER", "DROP", "RENAME"), "schema"),
}
_LOGIN_OPERATIONS: Final = ("CONNECT", "FAILED_CONNECT", "PROXY_CONNECT", "CHANGEUSER")
_OPERATIONS: Final = ("QUERY", "DISCONNECT", *_TABLE_ACTIONS, *_LOGIN_OPERATIONS)
LINE_PATTERN: Final = (
    r"^(?P<time>\d{8} \d\d:\d\d:\d\d|\d{16}),(?P<server>[^,]*),(?P<user>.*?),(?P<host>[^,]*),"
    rf"(?P<connection>\d{{1,18}}),(?P<query>\d{{1,18}}),(?P<operation>{'|'.join(_OPERATIONS)}),"
    r"(?P<rest>.*)$"
)
#: RDS: nothing twice behind a statement, and how the client came in behind a login.
_EXTRA_FIELDS: Final = r"(?:,[A-Za-z/ ]{0,30}){0,2}"
_STATEMENT: Final = rf"^(?P<base>[^,]*),'(?P<text>.*)',(?P<code>\d{{0,9}}){_EXTRA_FIELDS}$"
_TABLE: Final = rf"^(?P<base>[^,]*),(?P<table>.*),(?P<code>\d{{0,9}}){_EXTRA_FIELDS}$"
#: The server's own bookkeeping, read for almost every statement.
_BOOKKEEPING_TABLES: Final = (
    *("table_stats", "column_stats", "index_stats", "proc", "func", "proxies_priv"),
    *("innodb_table_stats", "innodb_index_stats"),
)
_KEY: Final = ("server", "connection")

#: A line after parsing.
LINE_SCHEMA: Final = {
    "timestamp": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("server", "user", "host", "connection", "query", "operation"), pl.String()),
    **dict.fromkeys(("base", "text", "table"), pl.String()),
    "code": pl.Int64(),
    "rows": pl.Int64(),
    "bytes": pl.Int64(),
    "duration_ms": pl.Float64(),
}


def parse_lines(lines: pl.Series) -> pl.DataFrame:
    """``time`` and the fields of ``LINE_SCHEMA`` but timestamp; ``operation`` is null for no
    line.
    """
    frame = lines.to_frame("line").select(
        pl.col("line").str.extract_groups(LINE_PATTERN).alias("_line")
    )
    frame = frame.unnest("_line")
    query = pl.col("operation") == "QUERY"
    rest = pl.col("rest")
    said = pl.when(query).then(
        rest.str.extract_groups(_STATEMENT).struct.rename_fields(list("btc"))
    )
    table = rest.str.extract_groups(_TABLE).struct.rename_fields(list("btc"))
    fields = said.otherwise(table).alias("_rest")
    frame = frame.with_columns(fields)
    part = pl.col("_rest").struct
    whole = pl.col("operation").is_not_null() & part.field("t").is_not_null()
    return frame.select(
        "time",
        *("server", "user", "connection", "query"),
        pl.col("host").str.replace(r"^([^:]+):\d{1,5}$", "${1}"),
        pl.when(whole).then("operation").alias("operation"),
        part.field("b").alias("base"),
        pl.when(query).then(_unescape(part.field("t"))).alias("text"),
        pl.when(~query).then(part.field("t").str.strip_chars_end(",")).alias("table"),
        part.field("c").cast(pl.Int64, strict=False).alias("code"),
        *(pl.lit(None, LINE_SCHEMA[name]).alias(name) for name in ("rows", "bytes", "duration_ms")),
    )


def _unescape(text: pl.Expr) -> pl.Expr:
    """Text without the escapes of the log (escape_string in server_audit.c)."""
    held = "\x04"  # a backslash, until all others are gone
    plain = text.str.replace_all(r"\\", held, literal=True)
    for escape, char in ((r"\'", "'"), (r"\n", "\n"), (r"\t", "\t"), (r"\r", "\r")):
        plain = plain.str.replace_all(escape, char, literal=True)
    plain = plain.str.replace_all(held, "\\", literal=True)
    return pl.when(text.str.contains("\\", literal=True)).then(plain).otherwise(text)


@dataclass(slots=True)
class Statements:
    """Folds ``LINE_SCHEMA`` into events; tables whose statement still runs are held back.

    ``told`` are the statements (``connection:query``) that an earlier file told by their tables:
    what still comes of them is left out.
    """

    sessions: SessionPersons
    earlier_statements: frozenset[str] = frozenset()
    pending: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LINE_SCHEMA))

    def add(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """(events, lines that are none of their own) from ``LINE_SCHEMA`` in the log's order."""
        count = lines.height
        if self.earlier_statements:
            known = pl.concat_str("connection", pl.lit(":"), "query").is_in(
                list(self.earlier_statements)
            )
            lines = lines.filter(~known)
        everything = self._number_runs(pl.concat([self.pending, lines]))
        ended = pl.col("operation").is_in(_TABLE_ACTIONS).not_()
        last = pl.col("run") == pl.col("run").max().over(_KEY)
        open_ = (last & ~ended.any().over(*_KEY, "run")).fill_null(value=False)
        before = self.pending.height
        self.pending = everything.filter(open_).select(list(LINE_SCHEMA))
        events = self._events(everything.filter(~open_))
        return events, before + count - self.pending.height - events.height

    def finish(self) -> tuple[pl.DataFrame, int, dict[str, str]]:
        """(events of what is held, further lines, the tail)."""
        events = self._events(self._number_runs(self.pending))
        tail = dict(self.pending.select("connection", "query").rows())
        return events, self.pending.height - events.height, tail

    def encode(self) -> str:
        """All of it, as text."""
        told = {
            "told": sorted(self.earlier_statements),
            "sessions": list(self.sessions.last_persons.items()),
        }
        return json.dumps({**told, "held": encode_text(self.pending)})

    @classmethod
    def decode(cls, text: str, rules: Mapping[str, Any]) -> Self:
        """What ``encode`` told; nothing where it is empty. ``rules`` are those of
        ``SessionPersons``.
        """
        if not text:
            return cls(SessionPersons(rules))
        raw = json.loads(text)
        sessions = SessionPersons(rules, dict(raw["sessions"]))
        return cls(sessions, frozenset(raw["told"]), decode_text(raw["held"]))

    def _number_runs(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Adds ``run``: each statement's of a connection, which ends with its text.

        Not by the numbers alone, as a server that is started again counts from one.
        """
        ends = pl.col("operation").shift(1).over(_KEY).is_in(_TABLE_ACTIONS).not_()
        other = pl.col("query") != pl.col("query").shift(1).over(_KEY)
        begins = (ends | other).fill_null(value=True)
        return lines.with_columns(begins.cast(pl.Int64).cum_sum().over(_KEY).alias("run"))

    def _events(self, lines: pl.DataFrame) -> pl.DataFrame:
        lines = lines.filter(pl.col("operation") != "DISCONNECT")
        if lines.is_empty():
            return empty(EVENTS)
        full = pl.concat_str("base", pl.lit("."), "table")
        noise = (pl.col("base") == "mysql") & pl.col("table").is_in(_BOOKKEEPING_TABLES)
        table = pl.col("operation").is_in(_TABLE_ACTIONS)
        named = full.filter(table & ~noise)
        first = named.filter(pl.col("operation").filter(table & ~noise) == "WRITE")
        folded = lines.group_by(*_KEY, "run", maintain_order=True).agg(
            pl.col("timestamp", "user", "host").first(),
            pl.col("operation", "text", "code", "rows", "bytes", "duration_ms").last(),
            pl.col("base").filter(pl.col("base") != "").last(),
            named.alias("named"),
            first.alias("written"),
            *(pl.col("operation").is_in([name]).any().alias(name) for name in _TABLE_ACTIONS),
        )
        told = sql_parse.parse_statements(folded["text"], MYSQL)
        folded = pl.concat([folded, told], how="horizontal")
        folded = self.sessions.add_persons(folded, "user", text="text", session="connection")
        return _to_events(folded)


def _to_events(folded: pl.DataFrame) -> pl.DataFrame:
    login = pl.col("operation").is_in(_LOGIN_OPERATIONS)
    folded = folded.with_columns(_action().alias("action"), pl.col("base").alias("database"))
    # What a statement writes to is its object, what it reads for that the others.
    lines = (
        pl.when(pl.col("action") == "write")
        .then(pl.concat_list("written", "named"))
        .otherwise("named")
    )
    logged = lines.list.unique(maintain_order=True)
    folded = table_names.with_objects(folded).with_columns(logged.alias("logged"))
    known = pl.col("logged").list.len() > 0
    others = pl.col("logged").list.slice(1)
    made = {
        "account": pl.col("person"),
        "client_address": pl.when(pl.col("host") != "").then("host"),
        "application": pl.lit(None),
        "object": pl.when(known).then(pl.col("logged").list.first()).otherwise("object"),
        "other_objects": pl.when(known)
        .then(pl.when(others.list.len() > 0).then(others))
        .otherwise("other_objects"),
        # What is sent is counted, not what is written.
        "rows": pl.when(login).then(0).when(pl.col("action") != "write").then("rows"),
        "statement": pl.col("fingerprint"),
        "subject": pl.lit(None),
        "success": pl.col("code").fill_null(0) == 0,
    }
    for name in ("object", "other_objects", "statement"):
        made[name] = pl.when(~login).then(made[name])
    return folded.select(
        made.get(name, pl.col(name)).cast(kind).alias(name) for name, kind in EVENTS.items()
    )


#: First words of statements that open tables and give none of their records.
_METADATA_VERBS: Final = (
    "explain",
    "describe",
    "desc",
    "show",
    "analyze",
    "lock",
    "check",
    "flush",
)


def _action() -> pl.Expr:
    """By the SQL, where the log has it, else by what was done to tables.

    The log cuts long texts off. Where what is left of one does nothing and a table was read, the
    rest reads it. What was sent was read, whatever the text is.
    """
    sent = (pl.col("rows") > 0) & (pl.col("action") != "export")
    more = (pl.col("action") == "other") & pl.col("READ") & ~pl.col("verb").is_in(_METADATA_VERBS)
    read = (sent | more).fill_null(value=False)
    by_table = (
        pl.when(pl.any_horizontal("DROP", "ALTER", "RENAME")).then(pl.lit("schema"))
        .when("WRITE").then(pl.lit("write")).when("READ").then(pl.lit("read"))
        .otherwise(pl.lit("schema"))
    )  # fmt: skip
    return (
        pl.when(pl.col("operation").is_in(_LOGIN_OPERATIONS)).then(pl.lit("login"))
        .when(pl.col("operation") == "QUERY")
        .then(pl.when(read).then(pl.lit("read")).otherwise("action"))
        .otherwise(by_table)
    )  # fmt: skip
