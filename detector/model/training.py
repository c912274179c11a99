"""Learning a model from the ledger's tables: pure, and from the training span alone.

The span is cut in time. Baselines learned on the earlier part make the features of the later,
*held-out* part, on which judges are taught and tried (``trial``) and the threshold is set.
Baselines learned anew on the whole span are what days to come are held against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from detector.core.errors import NotEnoughHistory
from detector.core.formatting import quantity
from detector.core.schema import READ_ACTIONS, SUBJECT
from detector.features import feature_table as features
from detector.features.aggregates import ACCOUNT, hourly_by_account
from detector.features.baseline_training import train_baselines, train_shards, train_until
from detector.features.feature import available_families
from detector.features.feature_table import TrainedBaselines
from detector.ledger.aggregate import local_day
from detector.model import threshold
from detector.model.cross_validation import CrossValidation, cross_validate
from detector.model.lookback import rank_accounts, restrict_suspects
from detector.model.model import Model
from detector.model.synthetic_positives import service_accounts, synthetic_days
from detector.model.training_data import MIN_DAYS, TrainingData

#: Share of the days that is held out.
HELD_OUT_SHARE = 0.4
#: Account-days below which no tail can be told; kinds of entity with fewer are not judged.
MIN_ACCOUNT_DAYS = 40
#: A level that rose so many spreads above its lowest month within training may hold a theft.
CONTAMINATION_SPREADS = 2.0

Progress = Callable[[str], None]


def train(data: TrainingData, progress: Progress = lambda _: None) -> Model:
    """A model of all days of ``data``.

    Raises NotEnoughHistory where there are fewer than FEWEST_DAYS days with data. ``progress`` is
    told what is being done.
    """
    days = data.days()
    _check_days(days)
    held_out = days[round(len(days) * (1 - HELD_OUT_SHARE)) :]
    progress("baselines")
    data = replace(data, hourly=_account_aggregates(data))
    older = _held_out_table(data, held_out)
    shown = [column.name for column in older if column.null_count() < len(column)]
    data = replace(data, families=available_families(data.families, shown))
    progress("who stands out")
    found = rank_accounts(data, held_out, older)
    suspects = found.filter("suspect")["entity"]
    older = _drop_accounts(older, suspects)
    progress("baselines of all accounts")
    whole = restrict_suspects(_train_baselines(data), suspects)
    newer = _by_kind(_drop_accounts(_day_end_table(data, held_out, whole), suspects))
    progress("synthetic positives")
    staged = synthetic_days(
        data.hours, data.touched, held_out, data.directory, data.settings, data.families,
        hourly=data.hourly,
    )  # fmt: skip
    trials = _cross_validate(data, _by_kind(older), newer, staged, progress)
    accounts = whole.levels.filter(pl.col("entity_kind") == ACCOUNT)
    per_day = data.settings.alerts_per_day or max(1.0, len(accounts) / 1000)
    return Model(
        kind_models={kind: trial.kind_model for kind, trial in trials.items()},
        threshold=_fit_threshold(list(trials.values()), per_day * data.sample_share, held_out),
        baselines=whole,
        settings=data.settings,
        alerts_per_day=per_day,
        first_day=days[0],
        last_day=days[-1],
        held_out_from=held_out[0],
        held_out_days=len(held_out),
        accounts=len(accounts),
        known_row_share=_known_row_share(data.hours),
        largest_day_rows=_largest_day(data, suspects),
        contaminated_accounts=tuple(dict.fromkeys([*suspects, *_contaminated_accounts(whole)])),
        suspects=tuple(suspects),
        lookback=found,
    )


def _check_days(days: Sequence[date]) -> None:
    if len(days) < MIN_DAYS:
        raise NotEnoughHistory(
            f"{quantity(len(days), 'day')} with data: too few to learn from",
            hint=f"train on at least {MIN_DAYS}, better on 60 or more",
        )


def _cross_validate(
    data: TrainingData,
    older: dict[str, pl.DataFrame],
    newer: dict[str, pl.DataFrame],
    staged: pl.DataFrame,
    progress: Progress,
) -> dict[str, CrossValidation]:
    """Of each kind of entity with days enough: its judge, tried."""
    trials = {}
    for kind, own in older.items():
        if len(own) < MIN_ACCOUNT_DAYS:
            continue
        progress(f"judging {kind.replace('_', ' ')}s")
        taught = staged.filter(pl.col("entity_kind") == kind) if len(staged) else staged
        trials[kind] = cross_validate(
            own, newer.get(kind, own), taught, data.families, data.settings,
            all_known=data.all_shards is None,
        )  # fmt: skip
    return trials


def _account_aggregates(data: TrainingData) -> pl.DataFrame | None:
    """HOURLY of accounts, which all that is learned begins with. None where the log says whose
    records are read: how many they are in a month is told by what lies before it alone.
    """
    if data.touched.filter(pl.col("dimension") == SUBJECT).height:
        return None
    return hourly_by_account(data.hours, data.touched, data.settings)


def _held_out_table(data: TrainingData, days: Sequence[date]) -> pl.DataFrame:
    """The feature table at the end of ``days``, over baselines learned before them."""
    early = train_until(
        data.hours, data.touched, days[0] - timedelta(days=1), data.directory, data.settings,
        data.hourly,
    )  # fmt: skip
    honest = _day_end_table(data, days, early)
    account_days = len(honest.filter(pl.col("entity_kind") == ACCOUNT))
    if account_days < MIN_ACCOUNT_DAYS:
        raise NotEnoughHistory(
            f"{account_days} active account-days from {days[0]} are too few to set a threshold",
            hint=f"train on more days, or on more accounts (at least {MIN_ACCOUNT_DAYS})",
        )
    return honest


def _day_end_table(
    data: TrainingData, days: Sequence[date], learned: TrainedBaselines
) -> pl.DataFrame:
    """The feature table at the end of ``days``."""
    return features.build_table(
        data.hours, data.touched, days, learned, data.directory, data.settings, data.families,
        ends=True, hourly=data.hourly,
    )  # fmt: skip


def _train_baselines(data: TrainingData) -> TrainedBaselines:
    """What is usual of every account, over the whole span."""
    if data.all_shards is not None:
        return train_shards(data.all_shards, data.directory, data.settings)
    return train_baselines(data.hours, data.touched, data.directory, data.settings, data.hourly)


def _drop_accounts(days: pl.DataFrame, suspects: pl.Series) -> pl.DataFrame:
    """The feature table without the accounts that honest days are not to be learned from."""
    theirs = pl.col("entity").is_in(suspects.implode())
    return days.filter(~((pl.col("entity_kind") == ACCOUNT) & theirs))


def _by_kind(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by("entity_kind", as_dict=True, maintain_order=True)
    return {str(key[0]): part for key, part in parts.items()}


def _fit_threshold(
    trials: Sequence[CrossValidation], per_day: float, held_out: Sequence[date]
) -> float:
    """The threshold that honest held-out days pass ``per_day`` times a day.

    Over levels learned before those days, as days to come are seen: what changes within weeks is in
    it. The first week only tells which runs had begun, unless there is little more.
    """
    begins = held_out[0] + timedelta(days=threshold.EPISODE_DAYS)
    first = begins if len(held_out) >= 3 * threshold.EPISODE_DAYS else held_out[0]
    return threshold.fit(pl.concat(trial.daily_maxima for trial in trials), per_day, first)


def _contaminated_accounts(whole: TrainedBaselines) -> tuple[str, ...]:
    """Accounts whose level in training lies far above that of its own lowest month."""
    raised = [
        (pl.col(f"{m}_centre") - pl.col(f"{m}_floor")) / pl.col(f"{m}_spread")
        for m in ("statements", "log_rows")
    ]
    suspects = whole.levels.filter(
        pl.col("entity_kind") == ACCOUNT, pl.max_horizontal(raised) >= CONTAMINATION_SPREADS
    )
    return tuple(suspects["entity"].sort())


def _largest_day(data: TrainingData, suspects: pl.Series) -> float:
    """The most records that a person read on one day; of services and ``suspects`` nothing."""
    left_out = pl.col("account").is_in([*service_accounts(data.directory), *suspects])
    days = (
        data.hours.filter(pl.col("action").is_in(READ_ACTIONS), ~left_out)
        .group_by("account", local_day("hour", data.settings.timezone).alias("day"))
        .agg(pl.col("rows").sum())
    )
    most = days["rows"].max()
    return float(most) if isinstance(most, int) else 0.0


def _known_row_share(hours: pl.DataFrame) -> float:
    reading = hours.filter(pl.col("action").is_in(READ_ACTIONS))
    statements = int(reading["statements"].sum())
    return 1.0 - int(reading["unknown_rows"].sum()) / statements if statements else 0.0
