"""The memory of what was raised, read from a ledger's folder and kept there."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final, cast

from detector.alerts.alert import Alert, with_episode_keys
from detector.alerts.episode_history import EpisodeHistory, Message
from detector.alerts.episodes import EpisodeState
from detector.alerts.severity import Bounds
from detector.core.errors import LedgerError
from detector.core.settings import Settings
from detector.ledger import episodes
from detector.ledger.episodes import EpisodeRow
from detector.model.model import Model

FAR_FUTURE: Final = date(9000, 1, 1)


def load(ledger: Path, first: date | None, model: Model, settings: Settings) -> EpisodeHistory:
    """What was raised from the ledger, for scoring days from ``first`` on (None: only what goes on
    counts). Raises LedgerError.
    """
    standings, messages = episodes.load(ledger, first or FAR_FUTURE)
    try:
        return EpisodeHistory.restore(
            [EpisodeState.from_dict(each.body) for each in standings],
            [Message(each.day, with_episode_keys(cast("Alert", each.body))) for each in messages],
            settings.timezone,
            Bounds.from_settings(settings, model.baselines.levels),
        )
    except (KeyError, TypeError, ValueError) as error:
        where = ledger / episodes.FILE_NAME
        raise LedgerError(f"damaged: {error!r}", where=where, hint=episodes.REPAIR_HINT) from error


def save(ledger: Path, history: EpisodeHistory) -> None:
    """All that changed, or nothing. Raises LedgerError."""
    changes = history.take_changes()
    episodes.save(
        ledger,
        sorted(changes.rescored_days),
        [EpisodeRow(each.alert, each.day, each.to_dict()) for each in changes.states],
        [
            EpisodeRow(own["id"], each.scoring_day, dict(own), own["alert"], own["activity"])
            for each in changes.messages
            for own in [each.alert]
        ],
    )
