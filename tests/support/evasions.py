"""Tricks by which a thief who knows the tool would hide what a real server sends to him.

Each is played by an account of its own, whose name tells the trick. The client of PostgreSQL speaks
the protocol itself: it names statements and portals as it likes, and counts what it receives.
"""

from __future__ import annotations

import random
import socket
import struct
from dataclasses import dataclass

#: Records in the table that is stolen.
RECORDS = 300


@dataclass(frozen=True)
class Trick:
    """One way to read ``person``: SQL, and for the extended protocol the names that are given."""

    text: str
    statement: str | None = None
    portal: str = ""


HEAD = (
    "\n# User@Host: bob[bob] @  [10.0.0.9]\n# Thread_id: 9  Schema: office  QC_hit: No\n"
    "# Query_time: 0.0001  Lock_time: 0.0000  Rows_sent: 1  Rows_examined: 1\n"
    "# Rows_affected: 0  Bytes_sent: 9\nSET timestamp=1707120002;\n"
)

POSTGRESQL = {
    "plain": Trick("select * from person"),
    "comment": Trick("/* set x */ select * from person -- commit"),
    "table": Trick("table person"),
    "bracket": Trick("((select * from person))"),
    "set": Trick("set search_path = public; select * from person"),
    "explain": Trick("explain select 1; select * from person"),
    "prepare": Trick("prepare p as select * from person; execute p"),
    "prepare2": Trick("prepare p as select 1; select * from person"),
    "oneline": Trick("begin; declare c cursor for select * from person; fetch all from c; commit"),
    "declare": Trick("begin; declare c cursor for select 1; select * from person; commit"),
    "hold": Trick("declare c cursor with hold for select * from person; fetch all from c"),
    "fetch": Trick("begin; declare c cursor for select 1; fetch all from c; select * from person"),
    "rolled": Trick("begin; declare c cursor for select * from person; fetch all from c; rollback"),
    "withinsert": Trick(
        "create temp table t(i int); with x as (insert into t values (1) returning i) "
        "select * from person, x"
    ),
    "returning": Trick(
        "create temp table t(i int, n text); insert into t select * from person returning *"
    ),
    "updated": Trick("create temp table t as select * from person; update t set id=1 returning *"),
    "deleted": Trick("create temp table t as select * from person; delete from t returning *"),
    "plpgsql": Trick(
        "create function pg_temp.f() returns setof person language plpgsql as "
        "$$begin return query select * from person; end$$; select * from pg_temp.f()"
    ),
    "sql": Trick(
        "create function pg_temp.f() returns setof person language sql as "
        "$$select * from person$$; select * from pg_temp.f()"
    ),
    "notices": Trick(
        "do $$declare r person; begin for r in select * from person loop "
        "raise notice '%', r; end loop; end$$"
    ),
    "copy": Trick("copy person to stdout"),
    "copyquery": Trick("copy (select * from person) to stdout"),
    "cast": Trick(
        "select id, name from person union all select 1, ('x' || pg_backend_pid())::regclass::text"
    ),
    "raised": Trick(
        "create function pg_temp.e() returns int language plpgsql as "
        "$$begin raise exception 'x' using errcode = '42601'; end$$; "
        "select id, name from person union all select pg_temp.e(), ''"
    ),
    "denied": Trick("select id::bigint, name from person union all select nextval('mine'), ''"),
    "column": Trick("select * from person; select nothing from person"),
    "timeout": Trick("set statement_timeout = 200; select * from person, pg_sleep(id / 200)"),
    "named": Trick("select * from person", "fetch from x"),
    "namedcopy": Trick("copy person to stdout", "fetch from x"),
    "lines": Trick("copy person to stdout", "a\nb"),
    "colon": Trick("copy person to stdout", "a: set x = 1 --"),
    "colon2": Trick("select * from person", "a: begin --"),
    "portal": Trick("copy person to stdout", "", "fetch from x: begin"),
    "portal2": Trick("select * from person", "s", "p: set x=1 --\n"),
    "audit": Trick("select * from person", "\nAUDIT: SESSION,1,1,MISC,SET,,,set,<none>,0"),
}

MARIADB = {
    "plain": "select * from person",
    "setstmt": "SET STATEMENT max_statement_time=100 FOR select * from person",
    "atomic": "BEGIN NOT ATOMIC select * from person; END",
    "nested": "BEGIN NOT ATOMIC BEGIN select * from person; END; END",
    "conditional": "IF 1 THEN select * from person; END IF",
    "comment": "/* set x */ select * from person -- commit",
    "table": "(select * from person) union all (select * from person where 1=0)",
    "with": "with x as (select * from person) select * from x",
    "replace": "replace into own select * from person returning *",
    "insert": "insert into own select * from person returning *",
    "handler": "handler person open; handler person read first limit 5000; handler person close",
    "execute": "prepare s from 'select * from person'; execute s",
    "immediate": "execute immediate 'select * from person'",
    "call": "call people()",
    "prefix": HEAD.strip("\n").replace("SET timestamp=1707120002;\n", "") + "select * from person",
    "head": "select * from person /* ;" + HEAD + "select 1;\n*/",
    "head2": "/* ;" + HEAD * 3 + "*/ select * from person",
    "literal": "select id, '" + HEAD + "select 1;" + HEAD + "' from person",
    "block": "BEGIN NOT ATOMIC select * from person;" + HEAD + "select 1;\nEND",
    "block2": "BEGIN NOT ATOMIC select id as end from person;" + HEAD + "select 1;\nEND",
    "line": "select * from person # ;"
    + HEAD.replace("SET timestamp=1707120002;\n", "")
    + "where 1 = 1",
}

#: What composed statements are made of; each whole reads all of ``person`` at least once.
_BEFORE = (
    *("", "/* # User@Host: bob[bob] @ x [] */ ", "-- begin\n", "set search_path = public; "),
    *("explain select 1; ", "begin; ", "declare h cursor with hold for select 1; ", "values (1); "),
)
_READS = (
    *("select * from person", "table person", "(select * from person)", "copy person to stdout"),
    "copy (table person) to stdout",
    "with a as (select * from person) select * from a",
    "prepare q as select * from person; execute q",
    "declare k cursor with hold for select * from person; fetch all from k",
    "select * from person union all select 1, ('y' || pg_backend_pid())::regclass::text",
    "create temp table u as select * from person; delete from u returning *",
)
_BEHIND = ("", ";", " -- rollback", "; select 1/0", "; select nothing", "; commit", "; show all")
_NAMES = ("", "fetch from x", "a\nb", "statement: set x", "c: begin --", "a/b: ", "e'x\"")


def composed(choice: random.Random) -> Trick:
    """A trick made of parts, with a name where it is one statement."""
    if choice.random() < 0.3:
        read = choice.choice([text for text in _READS if ";" not in text])
        return Trick(read, choice.choice(_NAMES), choice.choice(_NAMES))
    return Trick(choice.choice(_BEFORE) + choice.choice(_READS) + choice.choice(_BEHIND))


def received(port: int, user: str, trick: Trick) -> int:
    """How many records (and notices) PostgreSQL sends ``user`` for it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        pairs = ("user", user, "database", "office", "application_name", "office", "")
        start = struct.pack("!i", 196608) + b"\0".join(text.encode() for text in pairs) + b"\0"
        sock.sendall(struct.pack("!i", len(start) + 4) + start)
        stream = sock.makefile("rb")
        _until_ready(stream)
        if trick.statement is None:
            sock.sendall(_message(b"Q", trick.text.encode() + b"\0"))
        else:
            name, portal = (text.encode() + b"\0" for text in (trick.statement, trick.portal))
            sock.sendall(
                _message(b"P", name + trick.text.encode() + b"\0" + b"\0\0")
                + _message(b"B", portal + name + b"\0" * 6)
                + _message(b"E", portal + b"\0" * 4)
                + _message(b"S", b"")
            )
        count = _until_ready(stream)
        sock.sendall(_message(b"X", b""))
        return count


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _until_ready(stream: object) -> int:
    """Reads up to ReadyForQuery; counts rows (D), copied lines (d) and notices (N)."""
    count = 0
    while True:
        head = stream.read(5)  # type: ignore[attr-defined]
        if len(head) < 5:
            raise ConnectionError("the server has closed the connection")
        kind, size = head[:1], struct.unpack("!i", head[1:])[0]
        stream.read(size - 4)  # type: ignore[attr-defined]
        count += kind in (b"D", b"d", b"N")
        if kind == b"Z":
            return count
