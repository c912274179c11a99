"""The durable outbox: an alert that is put here arrives, or a person is told why not."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from detector.alerts.alert import Alert, with_episode_keys
from detector.alerts.severity import SEVERITY_ORDER
from detector.core.errors import OutboxError
from detector.delivery.outbox.backoff import seconds_until_due
from detector.delivery.outbox.schema import FILE, connect, digest, failure_hint

#: Days after which an alert that all sinks have settled is kept by its id alone, so that it is not
#: sent again.
RETENTION_DAYS = 30
DAY_SECONDS = 86_400
#: Rows looked through for a batch once it has one; the rest waits for the next.
SCAN_LIMIT = 5_000


@dataclass(frozen=True, slots=True)
class Entry:
    """An alert in the outbox; ``refusals`` are those of the sink that asks."""

    seq: int
    alert: Alert
    refusals: int


@dataclass(frozen=True, slots=True)
class Row:
    """An alert as it stands in the table."""

    id: str
    entity: str
    severity: str
    body: str
    digest: str

    @property
    def is_altered(self) -> bool:
        """Whether it is not what was put."""
        return digest(self.id, self.entity, self.severity, self.body) != self.digest


#: Its columns, and what a sink is told to have said of one that was altered.
ROW_COLUMNS = "id, entity, severity, body, digest"
ALTERED_MESSAGE = "altered on disk, so not sent"


@dataclass(frozen=True, slots=True)
class SinkState:
    """A sink. Nothing is sent to it before ``next_try`` (seconds since 1970)."""

    attempts: int = 0
    next_try: float = 0.0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class RefusedAlert:
    """An alert that was refused. Set ``is_dead_letter`` for good, or tried again at
    ``next_try``.
    """

    seq: int
    message: str
    next_try: float
    is_dead_letter: bool


class Outbox:
    """Of one folder, for one thread. ``names`` are the sinks that new alerts are for.

    Leaving it as a context closes it.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, names: Sequence[str]) -> None:
        self._folder = folder
        self._connection = connection
        self._names = tuple(names)

    @classmethod
    def open(cls, folder: Path, names: Sequence[str] = (), *, create: bool = True) -> Outbox:
        """Raises OutboxError."""
        return cls(folder, connect(folder, create=create), names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """A database that fails is one line to the user. Raises OutboxError."""
        self._connection.close()
        if isinstance(error, sqlite3.Error):
            hint = failure_hint(error)
            what = f"cannot be used: {error}"
            raise OutboxError(what, where=self._folder, hint=hint) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing, on disk when it ends."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def put(self, alerts: Iterable[Alert], progress: Mapping[str, str]) -> int:
        """Keeps ``alerts``, in this order, and the ``progress`` that produced them, or neither.

        An id that is here already stays as it was raised; a sink that never had it gets it. Gives
        how many were new.
        """
        with self.transaction() as rows:
            before = rows.execute("SELECT count(*) FROM alerts").fetchone()[0]
            self.insert(rows, alerts)
            rows.executemany("INSERT OR REPLACE INTO progress VALUES (?, ?)", progress.items())
            return int(rows.execute("SELECT count(*) FROM alerts").fetchone()[0] - before)

    def insert(self, rows: sqlite3.Connection, alerts: Iterable[Alert]) -> None:
        """As ``put``, within a transaction that is under way."""
        now = time.time()
        for alert in alerts:
            entity = json.dumps([alert["entity_kind"], alert["entity"]])
            told = (alert["id"], entity, alert["severity"], json.dumps(alert))
            rows.execute(
                f"INSERT INTO alerts ({ROW_COLUMNS}, put_at)"  # noqa: S608 - ours
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id)"
                " DO UPDATE SET entity = excluded.entity, severity = excluded.severity,"
                " body = excluded.body, digest = excluded.digest"
                " WHERE alerts.body = '' AND alerts.digest = ''",
                (*told, digest(*told), now),
            )
            rows.executemany(
                "INSERT INTO deliveries (sink, seq)"
                " SELECT ?, seq FROM alerts WHERE id = ? ON CONFLICT DO NOTHING",
                [(name, alert["id"]) for name in self._names],
            )

    def alerts(self) -> list[Alert]:
        """All that were put and not forgotten, in order. Raises OutboxError."""
        found = self._connection.execute(
            f"SELECT {ROW_COLUMNS} FROM alerts WHERE body <> '' OR digest <> '' ORDER BY seq"  # noqa: S608 - ours
        )
        rows = [Row(*each) for each in found]
        for row in rows:
            if row.is_altered:
                what = f"damaged: alert {row.id} was altered"
                hint = "move the folder away to begin anew"
                raise OutboxError(what, where=self._folder / FILE, hint=hint)
        return [with_episode_keys(json.loads(row.body)) for row in rows]

    def ids(self) -> set[str]:
        """Of all that were ever put."""
        return {each for (each,) in self._connection.execute("SELECT id FROM alerts")}

    def progress(self) -> dict[str, str]:
        """What was put with the alerts."""
        return dict(self._connection.execute("SELECT key, value FROM progress"))

    def state(self, name: str) -> SinkState:
        """Of one sink."""
        found = self._connection.execute(
            "SELECT attempts, next_try, words FROM sinks WHERE name = ?", (name,)
        ).fetchone()
        return SinkState(*found) if found else SinkState()

    def skip_below(self, name: str, minimum_severity: str) -> None:
        """Settles what is less severe than the sink wants."""
        below = SEVERITY_ORDER[: SEVERITY_ORDER.index(minimum_severity)]
        if not below:
            return
        with self.transaction() as rows:
            rows.executemany(
                "UPDATE deliveries SET state = 'below', settled_at = ?"
                " WHERE sink = ? AND state = 'waiting'"
                " AND seq IN (SELECT seq FROM alerts WHERE severity = ?)",
                [(time.time(), name, severity) for severity in below],
            )

    def next_batch(self, name: str, most: int, now: float, *, apart: bool) -> list[Entry]:
        """What the sink may be sent now, in order; of an entity nothing before what is earlier.

        With ``apart`` one of each entity. Alerts that were refused hold back their entity alone;
        what was altered on disk is set aside.
        """
        found: list[Entry] = []
        altered: list[int] = []
        closed: set[str] = set()
        for seen, (seq, refusals, next_try, *told) in enumerate(self._waiting_rows(name)):
            if len(found) >= most or (found and seen >= SCAN_LIMIT):
                break
            row = Row(*told)
            if row.is_altered:
                altered.append(seq)
                continue
            if row.entity in closed:
                continue
            if seconds_until_due(next_try, now):
                closed.add(row.entity)
                continue
            if apart:
                closed.add(row.entity)
            found.append(Entry(seq, with_episode_keys(json.loads(row.body)), refusals))
        if altered:
            self._mark_altered(name, altered)
        return found

    def _mark_altered(self, name: str, altered: Sequence[int]) -> None:
        """What is no longer as it was put is not sent: a person is told instead."""
        with self.transaction() as rows:
            rows.executemany(
                "UPDATE deliveries SET state = 'aside', words = ? WHERE sink = ? AND seq = ?",
                [(ALTERED_MESSAGE, name, seq) for seq in altered],
            )

    def _waiting_rows(self, name: str) -> Iterator[tuple[Any, ...]]:
        return self._connection.execute(
            f"SELECT seq, refusals, next_try, {ROW_COLUMNS}"  # noqa: S608 - ours
            " FROM deliveries JOIN alerts USING (seq)"
            " WHERE sink = ? AND state = 'waiting' ORDER BY seq",
            (name,),
        )

    def next_retry(self, name: str, now: float) -> float | None:
        """When the first refused alert that waits may be tried again; None where none does."""
        found = self._connection.execute(
            "SELECT min(next_try) FROM deliveries"
            " WHERE sink = ? AND state = 'waiting' AND next_try > ?",
            (name, now),
        ).fetchone()
        return None if found[0] is None else float(found[0])

    def record_outcomes(
        self, name: str, delivered: Sequence[int], held: Sequence[RefusedAlert], state: SinkState
    ) -> None:
        """What became of a batch, and when the sink may be tried again."""
        with self.transaction() as rows:
            rows.executemany(
                "UPDATE deliveries SET state = 'delivered', words = '', settled_at = ?"
                " WHERE sink = ? AND seq = ?",
                [(time.time(), name, seq) for seq in delivered],
            )
            rows.executemany(
                "UPDATE deliveries SET state = ?, refusals = refusals + 1, words = ?, next_try = ?"
                " WHERE sink = ? AND seq = ?",
                [
                    (
                        "aside" if each.is_dead_letter else "waiting",
                        each.message, each.next_try, name, each.seq,
                    ) for each in held
                ],
            )  # fmt: skip
            rows.execute(
                "INSERT INTO sinks VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " attempts = excluded.attempts, next_try = excluded.next_try,"
                " words = excluded.words, delivered_at = coalesce(excluded.delivered_at,"
                " delivered_at)",
                (name, state.attempts, state.next_try, state.last_error,
                 time.time() if delivered else None),
            )  # fmt: skip

    def prune(self) -> None:
        """Forgets the text of what all sinks settled long ago, not that they did.

        An alert that waits or was set aside keeps its text, and one for no sink counts as settled
        since it was put.
        """
        with self.transaction() as rows:
            rows.execute(
                "UPDATE alerts SET body = '', digest = '' WHERE body <> '' AND put_at < ?1"
                " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = alerts.seq"
                " AND (d.state IN ('waiting', 'aside') OR d.settled_at >= ?1))",
                (time.time() - RETENTION_DAYS * DAY_SECONDS,),
            )
