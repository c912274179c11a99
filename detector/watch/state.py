"""The state folder: one SQLite database, in which all that a watcher knows changes together.

It is the outbox's database with tables of its own beside, so that an alert, its message and the
events it came from are on disk together or not at all.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

import polars as pl

from detector.alerts.alert import Alert
from detector.core import locks
from detector.core.errors import DetectorError, OutboxError, StateError
from detector.core.frame_bytes import decode, encode
from detector.core.schema import HOURLY_SUMS, REJECTS, TOUCHED_VALUES, check
from detector.delivery.outbox import schema as outbox
from detector.delivery.outbox.store import Outbox
from detector.watch import log_position as logs
from detector.watch.log_position import Log

#: A transaction that is under way.
Transaction: TypeAlias = sqlite3.Connection

LOCK: Final = "watch.lock"
VERSION: Final = "1"
REPAIR_HINT: Final = "move the folder away to begin anew, with another ledger"

#: Every row bears the sha256 of what it says: what was altered on disk is not used.
TABLES: Final = """
CREATE TABLE IF NOT EXISTS watch_facts (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watch_logs (
    id INTEGER PRIMARY KEY, body TEXT NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS watch_sums (
    seq INTEGER PRIMARY KEY, day TEXT NOT NULL, level INTEGER NOT NULL,
    hours BLOB NOT NULL, touched BLOB NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS watch_rejects (
    seq INTEGER PRIMARY KEY, body BLOB NOT NULL, digest TEXT NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class DaySums:
    """Some of a day's HOURS and TOUCHED, ``packed`` as they are on disk: a day of thousands of
    accounts is held for three days, and its frames would take ten times as much.

    ``level`` counts how often parts were merged into it, ``rows`` those of both tables.
    """

    seq: int
    day: date
    level: int
    packed: tuple[bytes, bytes]
    rows: int

    @classmethod
    def pack(
        cls, seq: int, day: date, level: int, hours: pl.DataFrame, touched: pl.DataFrame
    ) -> Self:
        """In the order of accounts, which packs to half of what any order does."""
        both = (encode(each.sort("account", maintain_order=True)) for each in (hours, touched))
        return cls(seq, day, level, (next(both), next(both)), hours.height + touched.height)

    @property
    def hours(self) -> pl.DataFrame:
        """HOURS, unpacked."""
        return decode(self.packed[0])

    @property
    def touched(self) -> pl.DataFrame:
        """TOUCHED, unpacked."""
        return decode(self.packed[1])


class State:
    """Of one folder, for one thread of one process. Leaving it as a context closes it."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: int) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises StateError where it is damaged, newer, or another watcher has it."""
        lock = _acquire_lock(folder)
        try:
            connection = outbox.connect(folder, create=True)
        except OutboxError as error:
            locks.release(lock)
            raise StateError(
                error.what, where=error.where, hint=error.hint or REPAIR_HINT
            ) from error
        made = cls(folder, connection, lock)
        try:
            made._prepare()
        except (sqlite3.Error, UnicodeError) as error:
            made.close()
            raise _damage_error(folder, str(error)) from error
        except DetectorError:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Lets another watcher in."""
        self._connection.close()
        locks.release(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """A database that fails is one line to the user. Raises StateError."""
        self.close()
        if isinstance(error, sqlite3.Error):
            raise write_error(self.folder, error) from error

    def _prepare(self) -> None:
        # What is deleted here goes into the ledger, account names and all: no need to wipe it.
        self._connection.execute("PRAGMA secure_delete = OFF")
        found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise _damage_error(self.folder, str(found))
        with self.transaction() as rows:
            for statement in TABLES.split(";\n"):
                rows.execute(statement)
        version = self.facts().get("version")
        if version is None:
            with self.transaction() as rows:
                save_facts(rows, {"version": VERSION, "id": uuid.uuid4().hex})
        elif version != VERSION:
            what = f"is a state of version {version}; this detector knows {VERSION}"
            raise StateError(
                what, where=self.folder, hint="update detector, or name another folder"
            )

    def outbox(self, names: tuple[str, ...] = ()) -> Outbox:
        """The outbox in the same database, over the same connection."""
        return Outbox(self.folder, self._connection, names)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing, on disk when it ends."""
        with self.outbox().transaction() as rows:
            yield rows

    def facts(self) -> dict[str, str]:
        """What is known beside logs and sums. Raises StateError."""
        found = self._connection.execute("SELECT key, value, digest FROM watch_facts").fetchall()
        for key, value, digest in found:
            self._check_digest(f"{key}\0{value}".encode(), digest, f"its fact {key!r}")
        return {key: value for key, value, _ in found}

    def logs(self) -> list[Log]:
        """All logs, in the order they were found. Raises StateError."""
        found = []
        rows = self._connection.execute("SELECT id, body, digest FROM watch_logs ORDER BY id")
        for number, body, digest in rows:
            self._check_digest(body.encode(), digest, f"what it knows of log {number}")
            try:
                found.append(logs.decode(body))
            except ValueError as error:
                raise _damage_error(self.folder, f"log {number}: {error}") from error
        return found

    def sums(self) -> list[DaySums]:
        """What is not in the ledger yet, in order. Raises StateError."""
        kept = self._connection.execute(
            "SELECT seq, day, level, hours, touched, digest FROM watch_sums ORDER BY seq"
        )
        found = []
        for seq, day, level, hours, touched, digest in kept:
            what = f"sums {seq} of {day}"
            self._check_digest(_sums_payload(day, hours, touched), digest, what)
            try:
                rows = check(decode(hours), HOURLY_SUMS, what).height
                rows += check(decode(touched), TOUCHED_VALUES, what).height
                made = date.fromisoformat(day)
            except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
                raise _damage_error(self.folder, f"{what}: {error}") from error
            found.append(DaySums(seq, made, level, (hours, touched), rows))
        return found

    def days(self) -> list[date]:
        """The days that are not in the ledger yet, in order."""
        rows = self._connection.execute("SELECT DISTINCT day FROM watch_sums ORDER BY day")
        return [date.fromisoformat(day) for (day,) in rows]

    def rejects(self) -> pl.DataFrame:
        """REJECTS that are not in the ledger yet. Raises StateError."""
        parts = [pl.DataFrame(schema=dict(REJECTS))]
        rows = self._connection.execute("SELECT seq, body, digest FROM watch_rejects ORDER BY seq")
        for seq, body, digest in rows:
            self._check_digest(body, digest, f"rejects {seq}")
            parts.append(check(decode(body), REJECTS, "rejects"))
        return pl.concat(parts)

    def alerts(self) -> list[Alert]:
        """All that were raised and not forgotten, in order. Raises StateError."""
        try:
            return self.outbox().alerts()
        except OutboxError as error:
            raise StateError(error.what, where=error.where, hint=REPAIR_HINT) from error
        except ValueError as error:
            raise _damage_error(self.folder, f"an alert: {error}") from error

    def _check_digest(self, data: bytes, digest: str, what: str) -> None:
        if logs.digest(data) != digest:
            raise _damage_error(self.folder, f"{what} was altered")


def save_facts(rows: Transaction, facts: Mapping[str, str]) -> None:
    """Keeps facts in a transaction."""
    rows.executemany(
        "INSERT OR REPLACE INTO watch_facts VALUES (?, ?, ?)",
        [(key, value, logs.digest(f"{key}\0{value}".encode())) for key, value in facts.items()],
    )


def save_log(rows: Transaction, log: Log) -> None:
    """Keeps what is known of a log."""
    body = logs.encode(log)
    rows.execute(
        "INSERT OR REPLACE INTO watch_logs VALUES (?, ?, ?)",
        (log.id, body, logs.digest(body.encode())),
    )


def save_sums(rows: Transaction, sums: DaySums) -> None:
    """Keeps sums."""
    day, (hours, touched) = sums.day.isoformat(), sums.packed
    rows.execute(
        "INSERT INTO watch_sums VALUES (?, ?, ?, ?, ?, ?)",
        (
            sums.seq,
            day,
            sums.level,
            hours,
            touched,
            logs.digest(_sums_payload(day, hours, touched)),
        ),
    )


def drop_sums(rows: Transaction, sums: list[DaySums]) -> None:
    """Forgets sums that were merged, or are in the ledger."""
    rows.executemany("DELETE FROM watch_sums WHERE seq = ?", [(each.seq,) for each in sums])


def save_rejects(rows: Transaction, rejects: pl.DataFrame) -> None:
    """Keeps REJECTS."""
    body = encode(rejects)
    rows.execute(
        "INSERT INTO watch_rejects (body, digest) VALUES (?, ?)", (body, logs.digest(body))
    )


def drop_rejects(rows: Transaction) -> None:
    """Forgets rejects that are in the ledger."""
    rows.execute("DELETE FROM watch_rejects")


def write_error(folder: Path, error: Exception) -> StateError:
    """The error that says why the state cannot be used any more."""
    hint = "free space there, and start again: nothing is lost"
    if isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error):
        hint = REPAIR_HINT
    return StateError(f"cannot be written ({error})", where=folder, hint=hint)


def _acquire_lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = locks.acquire(folder / LOCK)
    except OSError as error:
        what = f"cannot be made ({error.strerror or error})"
        raise StateError(what, where=folder, hint="name another folder for --state") from error
    if lock is None:
        hint = "stop it, or name another folder for --state"
        raise StateError("another detector watch has this state", where=folder, hint=hint)
    return lock


def _damage_error(folder: Path, what: str) -> StateError:
    return StateError(f"damaged: {what}", where=folder / outbox.FILE, hint=REPAIR_HINT)


def _sums_payload(day: str, hours: bytes, touched: bytes) -> bytes:
    return day.encode() + len(hours).to_bytes(8, "big") + hours + touched
