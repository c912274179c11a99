"""What training leaves: all that scoring needs, as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from detector.features.table import Learned
from detector.forests.tail import Tail
from detector.forests.voices import Voices
from detector.settings import Settings


@dataclass(frozen=True, slots=True)
class Model:
    """``joint`` calibrates the voices' joint score; ``threshold`` is the surprise that alerts.

    ``alerts_per_day`` is the budget the threshold was set for; ``rows_known`` the share of
    reading statements in training whose row count the log gave. ``id`` names the stored model
    and is empty until it is saved.
    """

    voices: Voices
    joint: Tail
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
    id: str = ""
