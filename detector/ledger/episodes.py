"""The alerts that were really raised from a ledger, and how their episodes stand, in SQLite.

It stands within the ledger's folder: what was raised is of its days, moves with them, and begins
anew where the ledger does. One file, ``episodes.sqlite``, a lock beside it, and a mark that says
that it was made: emptied or deleted, it is missed. Its owner alone may read them. Each row bears
the sha256 of what it says: what was altered on disk is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from detector.core import files, locks
from detector.core.errors import LedgerError

FILE_NAME: Final = "episodes.sqlite"
LOCK_NAME: Final = "episodes.lock"
MARK: Final = "episodes.made"
_SAID: Final = b"Alerts were raised from this ledger: episodes.sqlite beside this file has them.\n"
#: Of SQLite's header, so that the file says whose it is ("dtep").
APPLICATION_ID: Final = 0x64746570
SCHEMA_VERSION: Final = 1
#: Days before those that are scored of which all is read; older ones only of open episodes.
LOOKBACK_DAYS: Final = 60
#: Days after which what was raised is forgotten.
RETENTION_DAYS: Final = 400
DAY_SECONDS: Final = 86_400.0
#: Seconds to wait for another process.
LOCK_TIMEOUT: Final = 30.0
REPAIR_HINT: Final = (
    f"move it and {MARK} away: alerts of episodes that go on will then be raised once more"
)
SCHEMA_SQL: Final = """
CREATE TABLE standings (
    alert TEXT NOT NULL, day TEXT NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL,
    put_at REAL NOT NULL, PRIMARY KEY (alert, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX standings_by_day ON standings (day);
CREATE TABLE messages (
    id TEXT PRIMARY KEY, alert TEXT NOT NULL, scored TEXT NOT NULL, activity TEXT NOT NULL,
    body TEXT NOT NULL, digest TEXT NOT NULL, put_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_day ON messages (scored);
CREATE INDEX messages_by_alert ON messages (alert)
"""
OPEN_EPISODES_SQL: Final = "alert NOT IN (SELECT alert FROM messages WHERE activity = 'close')"


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """A row of either table: ``key`` is an alert's or a message's id, ``day`` that of a standing or
    of the scoring; ``alert`` and ``activity`` are of messages.
    """

    key: str
    day: date
    body: dict[str, Any]
    alert: str = ""
    activity: str = ""


@contextmanager
def exclusive_lock(ledger: Path) -> Iterator[None]:
    """Keeps others that would raise alerts from a ledger out meanwhile. Raises LedgerError."""
    try:
        lock = locks.acquire(ledger / LOCK_NAME, LOCK_TIMEOUT)
    except OSError as error:
        raise _database_error(ledger, error) from error
    if lock is None:
        what = "another detector raises alerts from this ledger"
        raise LedgerError(what, where=ledger, hint="try again when it is done")
    try:
        yield
    finally:
        locks.release(lock)


def load(ledger: Path, first: date) -> tuple[list[EpisodeRow], list[EpisodeRow]]:
    """Standings and messages that days from ``first`` on may follow. Raises LedgerError."""
    path = ledger / FILE_NAME
    _demand_there(ledger)
    if not path.exists():
        return [], []
    since = (first - timedelta(days=LOOKBACK_DAYS)).isoformat()
    try:
        with closing(_connect(path)) as rows:
            standings = rows.execute(
                "SELECT alert, day, body, digest FROM standings"  # noqa: S608 - ours
                f" WHERE day >= ?1 OR ({OPEN_EPISODES_SQL}) ORDER BY day, alert",
                (since,),
            ).fetchall()
            messages = rows.execute(
                "SELECT id, scored, body, digest FROM messages WHERE scored >= ?1"  # noqa: S608
                f" OR ({OPEN_EPISODES_SQL}) OR id IN (SELECT alert FROM standings WHERE day >= ?1)"
                " ORDER BY scored, id",
                (since,),
            ).fetchall()
            return [_decode_row(row, path) for row in standings], [
                _decode_row(row, path) for row in messages
            ]
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise _database_error(path, error) from error


def _decode_row(row: tuple[str, str, str, str], path: Path) -> EpisodeRow:
    key, day, body, digest = row
    try:
        if digest == _digest(key, day, body):
            return EpisodeRow(key, date.fromisoformat(day), json.loads(body))
    except (ValueError, RecursionError):
        pass
    raise LedgerError(f"damaged: what it says of {key!r} was altered", where=path, hint=REPAIR_HINT)


def save(
    ledger: Path,
    forgotten: Sequence[date],
    standings: Sequence[EpisodeRow],
    messages: Sequence[EpisodeRow],
) -> None:
    """All of it or nothing, on disk when it ends: standings of ``forgotten`` days are replaced,
    messages that are there stay as they were raised. Raises LedgerError.
    """
    if not (forgotten or standings or messages):
        return
    path = ledger / FILE_NAME
    _demand_there(ledger)
    try:
        os.close(locks.make(path))  # of its owner alone, and no link
        with closing(_connect(path)) as rows:
            rows.execute("BEGIN IMMEDIATE")
            _apply_changes(rows, forgotten, standings, messages)
            rows.execute("COMMIT")
        if not (ledger / MARK).exists():
            files.write_atomically(ledger / MARK, _SAID)
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise _database_error(path, error) from error


def _apply_changes(
    rows: sqlite3.Connection,
    forgotten: Sequence[date],
    standings: Sequence[EpisodeRow],
    messages: Sequence[EpisodeRow],
) -> None:
    rows.executemany(
        "DELETE FROM standings WHERE day = ?", [(day.isoformat(),) for day in forgotten]
    )
    now = time.time()
    for each in standings:
        told = (each.key, each.day.isoformat(), json.dumps(each.body))
        rows.execute(
            "INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?, ?)", (*told, _digest(*told), now)
        )
    for each in messages:
        told = (each.key, each.day.isoformat(), json.dumps(each.body))
        rows.execute(
            "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (each.key, each.alert, told[1], each.activity, told[2], _digest(*told), now),
        )
    # By the wall's clock: a log's may lie in the future, and would have all forgotten.
    for table in ("standings", "messages"):
        rows.execute(f"DELETE FROM {table} WHERE put_at < ?", (now - RETENTION_DAYS * DAY_SECONDS,))  # noqa: S608


def _demand_there(ledger: Path) -> None:
    """Raises LedgerError where the file that was made here is gone or was emptied."""
    path = ledger / FILE_NAME
    if not (ledger / MARK).exists() or _is_made(path):
        return
    raise LedgerError(
        "was emptied or deleted: which alerts were raised from this ledger is not known any more",
        where=path,
        hint=f"restore it from a copy; to raise those of episodes that go on once more, delete "
        f"{ledger / MARK}",
    )


def _is_made(path: Path) -> bool:
    """Whether it is more than the empty database that SQLite makes of nothing."""
    try:
        if not path.stat().st_size:
            return False
        with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT)) as rows:
            return _read_pragma(rows, "application_id") != 0
    except FileNotFoundError:
        return False
    except sqlite3.Error:
        return True  # damaged: what is wrong is said when it is read


def _connect(path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(path, isolation_level=None, timeout=LOCK_TIMEOUT)
    try:
        made.execute("PRAGMA synchronous = FULL")
        made.execute("PRAGMA secure_delete = ON")
        if _read_pragma(made, "application_id") == 0:
            _create_tables(made)
        _check_database(made, path)
    except BaseException:
        made.close()
        raise
    return made


def _create_tables(made: sqlite3.Connection) -> None:
    """The tables, where there are none: an empty file is a run's that was killed there."""
    made.execute("BEGIN IMMEDIATE")
    if not made.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        for statement in SCHEMA_SQL.split(";\n"):
            made.execute(statement)
        made.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        made.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    made.execute("COMMIT")


def _check_database(made: sqlite3.Connection, path: Path) -> None:
    if _read_pragma(made, "application_id") != APPLICATION_ID:
        raise LedgerError("is another program's database", where=path, hint=REPAIR_HINT)
    if (version := _read_pragma(made, "user_version")) != SCHEMA_VERSION:
        what = f"is of version {version}; this detector knows {SCHEMA_VERSION}"
        raise LedgerError(what, where=path, hint="update detector")


def _read_pragma(made: sqlite3.Connection, pragma: str) -> int:
    return int(made.execute(f"PRAGMA {pragma}").fetchone()[0])


def _digest(key: str, day: str, body: str) -> str:
    return hashlib.sha256(f"{key}\0{day}\0{body}".encode()).hexdigest()


def _database_error(path: Path, error: Exception) -> LedgerError:
    damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError
    )
    what = f"{'damaged' if damaged else 'cannot be used'}: {getattr(error, 'strerror', 0) or error}"
    return LedgerError(
        what, where=path, hint=REPAIR_HINT if damaged else "free space or get permission"
    )
