"""The memory of what was raised, read from a ledger's folder and kept there."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

from detector.alerts.alert import complete
from detector.alerts.episode_history import Memory, Message
from detector.alerts.episodes import Standing
from detector.alerts.severity import Bounds
from detector.core.errors import LedgerError
from detector.core.settings import Settings
from detector.ledger import episodes
from detector.ledger.episodes import Kept
from detector.model.model import Model

EVER: Final = date(9000, 1, 1)


def load(ledger: Path, first: date | None, model: Model, settings: Settings) -> Memory:
    """What was raised from the ledger, for scoring days from ``first`` on (None: only what goes on
    counts). Raises LedgerError.
    """
    standings, messages = episodes.load(ledger, first or EVER)
    try:
        return Memory.of(
            [Standing.of(each.body) for each in standings],
            [Message(each.day, complete(each.body)) for each in messages],
            settings.timezone,
            Bounds.of(settings, model.learned.levels),
        )
    except (KeyError, TypeError, ValueError) as error:
        where = ledger / episodes.FILE
        raise LedgerError(f"damaged: {error!r}", where=where, hint=episodes.MEND) from error


def save(ledger: Path, memory: Memory) -> None:
    """All that changed, or nothing. Raises LedgerError."""
    changes = memory.changes()
    episodes.save(
        ledger,
        sorted(changes.forgotten),
        [Kept(each.alert, each.day, each.plain()) for each in changes.standings],
        [
            Kept(own["id"], each.scored, own, own["alert"], own["activity"])
            for each in changes.messages
            for own in [each.alert]
        ],
    )
