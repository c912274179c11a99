"""Learning a model from the ledger's tables: pure, and from the training span alone.

The span is cut in time. Baselines learned on the earlier part make the features of the later,
*held-out* part, which calibrates the voices and sets the threshold. There each half of the
accounts is scored by voices fitted on the other half, so that no account-day helps to set
the bar that it is measured by. Last, the baselines are learned anew on the whole span.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.errors import NotEnoughHistory
from detector.features import table as features
from detector.features.days import local_day
from detector.features.feature import Family
from detector.forests import tail as tails
from detector.forests import voices as joining
from detector.forests.model import Model
from detector.forests.scoring import day_ends, material
from detector.phrases import counted
from detector.settings import Settings

#: Share of the days that is held out, and the least number of days that can be learned from.
HELD_OUT = 0.4
FEWEST_DAYS = 14
#: Account-days below which no tail can be told.
FEWEST_ACCOUNT_DAYS = 40
#: Least scale of the joint score's tail: a tenth of a factor of ten.
JOINT_SCALE = 0.1


def train(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
) -> Model:
    """A model of all days in ``hours`` (HOURS) and ``touched`` (TOUCHED).

    Raises NotEnoughHistory where there are fewer than FEWEST_DAYS days with data.
    """
    days = hours.select(local_day(settings).unique().sort()).to_series().to_list()
    if len(days) < FEWEST_DAYS:
        raise NotEnoughHistory(
            f"{counted(len(days), 'day')} with data: too few to learn from",
            hint=f"train on at least {FEWEST_DAYS}, better on 60 or more",
        )
    cut = days[round(len(days) * (1 - HELD_OUT))]
    held_out = [day for day in days if day >= cut]
    honest = _held_out(hours, touched, held_out, directory, settings, families)
    ends = day_ends(honest)
    scores = _cross_scores(honest, families, settings.seed)
    maxima = _daily_maxima(honest, scores, settings.minimum_records)
    whole = features.learn(hours, touched, directory, settings)
    accounts = len(whole.accounts)
    budget = settings.alerts_per_day or max(1.0, accounts / 1000)
    joint = tails.fit(maxima["score"].to_numpy(), JOINT_SCALE)
    alarming = maxima["alarming"].drop_nulls().to_numpy()
    threshold = _threshold(joint, alarming, budget * len(held_out))
    return Model(
        voices=joining.fit(ends, families, settings.seed),
        joint=joint,
        threshold=threshold,
        learned=whole,
        settings=settings,
        alerts_per_day=budget,
        first_day=days[0],
        last_day=days[-1],
        held_out_from=cut,
        held_out_days=len(held_out),
        accounts=accounts,
        rows_known=_share_known(hours),
    )


def _held_out(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: Sequence[date],
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
) -> pl.DataFrame:
    """The feature table of ``days`` over baselines learned before them."""
    early = features.learn(
        hours.filter(local_day(settings) < days[0]),
        touched.filter(pl.col("day") < days[0]),
        directory,
        settings,
    )
    honest = features.table(hours, touched, days, early, directory, settings, families)
    account_days = honest.select("account", "day").n_unique()
    if account_days < FEWEST_ACCOUNT_DAYS:
        raise NotEnoughHistory(
            f"{account_days} active account-days from {days[0]} are too few to set a threshold",
            hint=f"train on more days, or on more accounts (at least {FEWEST_ACCOUNT_DAYS})",
        )
    return honest


def _cross_scores(
    honest: pl.DataFrame, families: Sequence[Family], seed: int
) -> NDArray[np.float64]:
    """Joint scores of each row by voices fitted on the other half of the accounts."""
    half = honest["account"].map_elements(
        lambda name: zlib.crc32(name.encode()) % 2, return_dtype=pl.Int64
    )
    scores = np.zeros(len(honest))
    for own in (0, 1):
        others = day_ends(honest.filter(half != own))
        fitted = joining.fit(others if len(others) else day_ends(honest), families, seed)
        mine = (half == own).to_numpy()
        rows = honest.filter(pl.Series(mine))
        scores[mine] = fitted.joint(fitted.surprises(rows), families)
    return scores


def _daily_maxima(honest: pl.DataFrame, scores: NDArray[np.float64], records: int) -> pl.DataFrame:
    """Per account-day: the largest score, and the largest among hours that may alert."""
    return (
        honest.select("account", "day", material=material(records))
        .with_columns(score=pl.Series(scores))
        .group_by("account", "day")
        .agg(
            pl.col("score").max(),
            alarming=pl.col("score").filter(pl.col("material")).max(),
        )
        .sort("account", "day")
    )


def _threshold(joint: tails.Tail, alarming: NDArray[np.float64], allowed: float) -> float:
    """The surprise that ``allowed`` account-days of the held-out span pass.

    Between order statistics where the sample reaches; by the tail where the budget asks for
    fewer alerts than a handful of days can show.
    """
    ordered = np.sort(alarming)[::-1]
    if len(ordered) == 0:
        return float(joint.surprise(np.array([joint.start]))[0])
    if allowed >= len(ordered):
        return float(joint.surprise(ordered[-1:])[0])
    at = max(int(np.floor(allowed)), 1)
    level = float(ordered[at - 1] + ordered[min(at, len(ordered) - 1)]) / 2
    surprise = float(joint.surprise(np.array([level]))[0])
    return surprise + (np.log10(at / allowed) if allowed < 1 else 0.0)


def _share_known(hours: pl.DataFrame) -> float:
    reading = hours.filter(pl.col("action").is_in(["read", "export"]))
    statements = int(reading["statements"].sum())
    return 1.0 - int(reading["unknown_rows"].sum()) / statements if statements else 0.0
