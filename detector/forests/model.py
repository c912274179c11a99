"""What training leaves: all that scoring needs, as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from detector.features.table import Learned
from detector.forests.oddness import Oddness
from detector.forests.tail import Tail
from detector.forests.voices import Voices
from detector.settings import Settings


@dataclass(frozen=True, slots=True)
class Judge:
    """Of one kind of entity: its voices, ``joint``, which calibrates their joint score, and what of
    it is usual of each entity.
    """

    voices: Voices
    joint: Tail
    oddness: Oddness


@dataclass(frozen=True, slots=True)
class Model:
    """``judges`` by kind of entity; ``threshold`` is the surprise that alerts, the same for all.

    ``alerts_per_day`` is the budget the threshold was set for; ``rows_known`` the share of
    reading statements in training whose row count the log gave. ``contaminated`` are accounts whose
    level rose within training far above its lowest month. ``id`` names the stored model and is
    empty until it is saved. ``pseudonyms`` is the check of the key that made its accounts'
    pseudonyms, empty where it holds names.
    """

    judges: dict[str, Judge]
    threshold: float
    learned: Learned
    settings: Settings
    alerts_per_day: float
    first_day: date
    last_day: date
    held_out_from: date
    held_out_days: int
    accounts: int
    rows_known: float
    contaminated: tuple[str, ...] = ()
    id: str = ""
    pseudonyms: str = ""
