"""A sink: where alerts go, and what became of each that was sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from detector.alerts.alert import Alert
from detector.delivery.config import SinkConfig
from detector.delivery.format import Format

#: Characters of a server's words that are kept: enough to know what it meant.
MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Item:
    """An alert and its record in the sink's format."""

    alert: Alert
    payload: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """The receiver has it. ``words``: what people should know all the same."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The receiver will not have this one, in the server's ``words``; others may pass."""

    message: str


@dataclass(frozen=True, slots=True)
class Deferral:
    """Not now. ``retry_after``: seconds that the server asked for, if it did."""

    message: str
    retry_after: float | None = None


Outcome: TypeAlias = Delivery | Refusal | Deferral
#: Sends a batch; one outcome for each item, in order.
Send: TypeAlias = Callable[[Sequence[Item]], list[Outcome]]


class Unreachable(Exception):  # noqa: N818 - what the sink is
    """Nothing of a batch is known to have arrived: the whole of it is sent again, later."""

    def __init__(self, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.later = Deferral(words, retry_after)


@dataclass(frozen=True, slots=True)
class Sink:
    """Destinations of one kind.

    ``schemes`` of their URLs; those ``plaintext_schemes`` are for loopback alone. ``keys`` are the
    settings it has beside those of every sink (``target.COMMON_KEYS``). ``format`` names the format
    of alerts where the settings name none. ``open`` connects and raises Unreachable where it
    cannot, as does its ``Send``; ``check`` raises SettingsError on settings that it cannot use,
    before anything is sent. ``batch`` is the most that is sent at once by default. Where
    ``has_item_outcomes``, each of a batch arrives or not by itself, so that a batch never holds two
    of one entity: the later could overtake the earlier. ``required_module`` is the module that an
    extra brings.
    """

    name: str
    title: str
    schemes: tuple[str, ...]
    open: Callable[[SinkConfig, Format], AbstractContextManager[Send]]
    check: Callable[[SinkConfig, Format], None]
    format: str
    keys: frozenset[str] = frozenset()
    plaintext_schemes: frozenset[str] = frozenset()
    batch: int = 100
    has_item_outcomes: bool = False
    required_module: str = ""


def repeat_outcome(items: Sequence[Item], outcome: Outcome) -> list[Outcome]:
    """The same outcome for each."""
    return [outcome] * len(items)
