"""Scores: the surprise of each account at the end of each hour in which it was active."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from detector.features import table as features
from detector.features.feature import Family
from detector.forests.model import Model
from detector.settings import Settings


def material(records: int) -> pl.Expr:
    """Whether the day so far is worth an alert: ``records`` were read, or an unknown number."""
    return (pl.col("rows") >= records) | (pl.col("unknown") > 0)


def day_ends(frame: pl.DataFrame) -> pl.DataFrame:
    """The last row of each account-day: the running totals of the whole day, sorted."""
    return frame.sort("account", "hour").group_by("account", "day", maintain_order=True).last()


def score(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: Sequence[date],
    model: Model,
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
) -> pl.DataFrame:
    """The feature table of ``days`` with what the model makes of it.

    Adds ``<feature>_surprise``, ``surprise`` (calibrated, one scale) and ``alarming`` (whether
    the row passes the threshold). ``hours`` and ``touched`` reach LOOKBACK days further back.
    """
    frame = features.table(hours, touched, days, model.learned, directory, settings, families)
    surprises = model.voices.surprises(frame)
    joint = model.joint.surprise(model.voices.joint(surprises, families))
    each = [
        pl.Series(f"{name}_surprise", surprises[:, at]).round(6)
        for at, name in enumerate(model.voices.names)
    ]
    # + 0.0 turns -0.0 into 0.0; rounding keeps the last bits of a library's sum out of files.
    surprise = pl.Series("surprise", np.round(joint, 6) + 0.0)
    return frame.with_columns(*each, surprise).with_columns(
        alarming=(pl.col("surprise") >= model.threshold) & material(settings.minimum_records)
    )
