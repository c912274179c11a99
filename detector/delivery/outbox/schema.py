"""The outbox's tables, in SQLite."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from pathlib import Path
from typing import Final

from detector.core import files
from detector.core.errors import OutboxError

FILE: Final = "outbox.sqlite"
#: Stands beside it since it was made: a database that is gone or empty has lost something.
MARKER: Final = "outbox.made"
#: Of SQLite's header, so that the file says whose it is ("dtob").
APPLICATION_ID: Final = 0x64746F62
VERSION: Final = 3
_MARKER_TEXT: Final = (
    b"outbox.sqlite was made here. If it is missing or empty, something was lost.\n"
)
#: Milliseconds to wait for another process's transaction.
BUSY_TIMEOUT_MS: Final = 30_000

#: ``digest`` is what ``digest`` makes of an alert's row, empty where its text was forgotten.
#: ``deliveries`` has one row for each alert and sink: ``waiting``, ``delivered``, ``aside`` after
#: too many refusals, ``below`` the sink's minimum severity, or ``dropped`` by a person. Of the last
#: two and of ``delivered``, ``settled_at`` says since when (seconds since 1970).
TABLES: Final = """
CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    entity TEXT NOT NULL,
    severity TEXT NOT NULL,
    body TEXT NOT NULL,
    put_at REAL NOT NULL,
    digest TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE progress (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sinks (
    name TEXT PRIMARY KEY,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,
    words TEXT NOT NULL DEFAULT '',
    delivered_at REAL
) STRICT, WITHOUT ROWID;
CREATE TABLE deliveries (
    sink TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES alerts (seq),
    state TEXT NOT NULL DEFAULT 'waiting',
    refusals INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,
    words TEXT NOT NULL DEFAULT '',
    settled_at REAL,
    PRIMARY KEY (sink, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting ON deliveries (sink, seq) WHERE state = 'waiting';
CREATE INDEX by_alert ON deliveries (seq);
"""


def digest(identity: str, entity: str, severity: str, body: str) -> str:
    """sha256 of what an alert's row says: what was altered on disk is neither sent nor used."""
    told = f"{identity}\0{entity}\0{severity}\0{body}"
    return hashlib.sha256(told.encode()).hexdigest()


def connect(folder: Path, *, create: bool) -> sqlite3.Connection:
    """Opens the outbox in ``folder``. Raises OutboxError.

    WAL with synchronous=FULL: what was committed survives a power cut
    (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """
    path = folder / FILE
    _check_not_lost(folder)
    if not create and not path.exists():
        hint = "detector score makes one where sinks are configured"
        raise OutboxError("no outbox here", where=folder, hint=hint)
    made = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("PRAGMA synchronous = FULL")
        made.execute("PRAGMA secure_delete = ON")
        made.execute("PRAGMA foreign_keys = ON")
        _prepare(made, folder)
        if not (folder / MARKER).exists():
            files.write_atomically(folder / MARKER, _MARKER_TEXT)
    except (sqlite3.Error, OSError, UnicodeError) as error:
        if made is not None:
            made.close()
        raise OutboxError(
            f"cannot be opened: {error}", where=path, hint=failure_hint(error)
        ) from error
    except OutboxError:
        if made is not None:
            made.close()
        raise
    return made


def failure_hint(error: Exception) -> str:
    """How to mend it, where the place is at fault and not what stands in the database."""
    at_fault = isinstance(error, sqlite3.OperationalError | OSError)
    return "free space or get permission there, and run it again" if at_fault else ""


def _check_not_lost(folder: Path) -> None:
    """Raises OutboxError where the database that was made here is gone or was emptied."""
    path = folder / FILE
    if not (folder / MARKER).exists() or (path.exists() and path.stat().st_size):
        return
    raise OutboxError(
        "was emptied or deleted: alerts that waited in it, and what a watcher had read, are lost",
        where=path,
        hint=f"restore it from a copy; to begin anew without them, delete {folder / MARKER}",
    )


def _prepare(made: sqlite3.Connection, folder: Path) -> None:
    """Makes the tables where there are none. Two processes may come at the same time."""
    if _pragma_value(made, "application_id") == APPLICATION_ID:
        _update(made)
        _check_version(made, folder)
        return
    made.execute("BEGIN IMMEDIATE")
    mine = _pragma_value(made, "application_id") == APPLICATION_ID
    tables = made.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if not mine and tables:
        raise OutboxError("is another program's database", where=folder / FILE)
    if not mine:
        for statement in TABLES.split(";\n"):
            made.execute(statement)
        made.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        made.execute(f"PRAGMA user_version = {VERSION}")
    made.execute("COMMIT")
    _check_version(made, folder)


def _update(made: sqlite3.Connection) -> None:
    """From older versions: 1 had no digests, and 2 did not say when an alert was settled."""
    if _pragma_value(made, "user_version") not in {1, 2}:
        return
    made.execute("BEGIN IMMEDIATE")
    if _pragma_value(made, "user_version") == 1:
        made.execute("ALTER TABLE alerts ADD COLUMN digest TEXT NOT NULL DEFAULT ''")
        made.create_function("digest", 4, digest, deterministic=True)
        made.execute(
            "UPDATE alerts SET digest = digest(id, entity, severity, body) WHERE body <> ''"
        )
        made.execute("PRAGMA user_version = 2")
    if _pragma_value(made, "user_version") == 2:
        made.execute("ALTER TABLE deliveries ADD COLUMN settled_at REAL")
        # When is not known: text is kept too long rather than too short.
        made.execute(
            "UPDATE deliveries SET settled_at = ? WHERE state NOT IN ('waiting', 'aside')",
            (time.time(),),
        )
        made.execute("DROP INDEX IF EXISTS unsettled")
        made.execute("CREATE INDEX IF NOT EXISTS by_alert ON deliveries (seq)")
        made.execute(f"PRAGMA user_version = {VERSION}")
    made.execute("COMMIT")


def _check_version(made: sqlite3.Connection, folder: Path) -> None:
    version = _pragma_value(made, "user_version")
    if version != VERSION:
        what = f"is an outbox of version {version}; this detector knows {VERSION}"
        raise OutboxError(what, where=folder, hint="update detector, or name another folder")


def _pragma_value(made: sqlite3.Connection, pragma: str) -> int:
    return int(made.execute(f"PRAGMA {pragma}").fetchone()[0])
