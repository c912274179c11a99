"""What training leaves: all that scoring needs, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from detector.core.settings import Settings
from detector.features.feature_table import TrainedBaselines
from detector.model.calibration import Calibration
from detector.model.ensemble import Ensemble
from detector.model.entity_bias import EntityBias


@dataclass(frozen=True, slots=True)
class KindModel:
    """Of one kind of entity: its voices; ``joint_calibration``, which calibrates their joint score
    of change; what of it is usual of each entity; and ``final_calibration``, which calibrates the
    larger of what is beyond that and of what a single voice supports.
    """

    ensemble: Ensemble
    joint_calibration: Calibration
    entity_bias: EntityBias
    final_calibration: Calibration


@dataclass(frozen=True, slots=True)
class Model:
    """``kind_models`` by kind of entity; ``threshold`` is the surprise that alerts, the same for
    all.

    ``alerts_per_day`` is the budget the threshold was set for; ``known_row_share`` the share of
    reading statements in training whose row count the log gave; ``largest_day_rows`` the most
    records that a person read on one day of training, suspects left out. ``suspects`` are accounts
    that stand out among all (``lookback``, which is not stored with the model: a finding, for
    people) and of which only what looks honest was learned; ``contaminated_accounts`` are these and
    accounts whose level rose within training far above its lowest month. ``id`` names the stored
    model and is empty until it is saved. ``pseudonyms`` is the check of the key that made its
    accounts' pseudonyms, empty where it holds names.
    """

    kind_models: dict[str, KindModel]
    threshold: float
    baselines: TrainedBaselines
    settings: Settings
    alerts_per_day: float
    first_day: date
    last_day: date
    held_out_from: date
    held_out_days: int
    accounts: int
    known_row_share: float
    largest_day_rows: float = math.inf
    contaminated_accounts: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    lookback: pl.DataFrame | None = field(default=None, compare=False)
    id: str = ""
    pseudonyms: str = ""
