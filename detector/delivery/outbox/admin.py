"""What a person asks of the outbox: what waits, try it again, or give it up."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from detector.delivery.outbox.store import Outbox

#: ?1 is a sink or null for all, ?2 a JSON list of ids, empty for all, ?3 the time now.
RETRY: Final = """
UPDATE deliveries SET state = 'waiting', refusals = 0, next_try = 0.0
WHERE state IN ('waiting', 'aside') AND (?1 IS NULL OR sink = ?1) AND (?2 = '[]'
    OR seq IN (SELECT seq FROM alerts WHERE id IN (SELECT value FROM json_each(?2))))
"""
DROP: Final = """
UPDATE deliveries SET state = 'dropped', settled_at = ?3
WHERE state IN ('waiting', 'aside') AND (?1 IS NULL OR sink = ?1) AND (?2 = '[]'
    OR seq IN (SELECT seq FROM alerts WHERE id IN (SELECT value FROM json_each(?2))))
"""


@dataclass(frozen=True, slots=True)
class SinkCounts:
    """A sink's alerts by state; ``next_try`` in seconds since 1970, ``words`` the server's last."""

    sink: str
    waiting: int
    aside: int
    delivered: int
    attempts: int
    next_try: float
    words: str

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An alert that a sink refused too often, and the server's words."""

    sink: str
    id: str
    entity_kind: str
    entity: str
    refusals: int
    words: str

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def counts(box: Outbox) -> list[SinkCounts]:
    """Of every sink that the outbox knows, by name."""
    with box.transaction() as rows:
        found = rows.execute(
            "SELECT d.sink, sum(d.state = 'waiting'), sum(d.state = 'aside'),"
            " sum(d.state = 'delivered'), coalesce(s.attempts, 0), coalesce(s.next_try, 0.0),"
            " coalesce(s.words, '') FROM deliveries d LEFT JOIN sinks s ON s.name = d.sink"
            " GROUP BY d.sink ORDER BY d.sink"
        )
        return [SinkCounts(*row) for row in found]


def dead_letters(box: Outbox) -> list[DeadLetter]:
    """All that were set aside, by sink and in order."""
    with box.transaction() as rows:
        found = rows.execute(
            "SELECT d.sink, a.id, a.entity, d.refusals, d.words FROM deliveries d"
            " JOIN alerts a USING (seq) WHERE d.state = 'aside' ORDER BY d.sink, d.seq"
        )
        return [
            DeadLetter(sink, identity, *_entity(entity), refusals, words)
            for sink, identity, entity, refusals, words in found
        ]


def _entity(text: str) -> tuple[str, str]:
    kind, name = json.loads(text)
    return kind, name


def retry(box: Outbox, ids: Sequence[str], sink: str | None) -> int:
    """Tries again, and at once, what was set aside or waits; how many. No ``ids``: all."""
    with box.transaction() as rows:
        done = rows.execute(RETRY, _selection(ids, sink))
        rows.execute(
            "UPDATE sinks SET attempts = 0, next_try = 0.0 WHERE ?1 IS NULL OR name = ?1", (sink,)
        )
        return done.rowcount


def drop(box: Outbox, ids: Sequence[str], sink: str | None) -> int:
    """Gives up what was set aside or waits; how many. No ``ids``: all of the sink."""
    with box.transaction() as rows:
        return rows.execute(DROP, (*_selection(ids, sink), time.time())).rowcount


def _selection(ids: Sequence[str], sink: str | None) -> tuple[str | None, str]:
    return sink, json.dumps(list(ids))
