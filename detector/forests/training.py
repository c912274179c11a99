"""Learning a model from the ledger's tables: pure, and from the training span alone.

The span is cut in time. Baselines learned on the earlier part make the features of the later,
*held-out* part, which calibrates the voices and sets the threshold. Voices that were fitted on
an entity's days think them too usual, and voices that never saw the entity think them too odd;
days to come are other days of entities that were seen. So each held-out day is scored both ways,
the second by voices fitted on the other half of the entities, and counts with the mean. Last,
the baselines are learned anew on the whole span.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from detector.errors import NotEnoughHistory
from detector.features import table as features
from detector.features.feature import Family
from detector.features.learning import Shards, learn, learn_shards
from detector.features.measures import ACCOUNT, local_day
from detector.features.table import Learned
from detector.forests import budget, scoring
from detector.forests import tail as tails
from detector.forests import voices as joining
from detector.forests.lessons import lessons
from detector.forests.model import Judge, Model
from detector.forests.scoring import material
from detector.forests.voices import Voices
from detector.phrases import counted
from detector.schema import READING
from detector.settings import Settings

#: Share of the days that is held out, and the least number of days that can be learned from.
HELD_OUT = 0.4
FEWEST_DAYS = 14
#: Account-days below which no tail can be told; kinds of entity with fewer are not judged.
FEWEST_ACCOUNT_DAYS = 40
#: Honest days and campaign days below which trees would learn chance.
FEWEST_TO_TEACH, FEWEST_LESSONS = 1500, 60
#: Honest days from which on trees do not learn the single day by heart.
FEWEST_TO_KNOW = 20_000
#: How much of what counts is said by voices that saw the entity; the rest by strangers.
KNOWN_COUNTS = 2 / 3
#: Least scale of the joint score's tail: a tenth of a factor of ten.
JOINT_SCALE = 0.1
#: Fits of one judge that run side by side.
CORES = 2
#: A level that rose so many spreads above its lowest month within training may hold a theft.
CONTAMINATED = 2.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Data:
    """What a model is learned from: HOURS and TOUCHED of all days, and all that explains them.

    Where these are of a sample of the accounts, ``everyone`` gives all of them in shards, and
    ``share`` is the sample's share of them.
    """

    hours: pl.DataFrame
    touched: pl.DataFrame
    directory: pl.DataFrame | None
    settings: Settings
    families: Sequence[Family]
    everyone: Shards | None = None
    share: float = 1.0

    def accounts(self) -> int:
        """How many accounts there are in the tables."""
        return self.hours["account"].n_unique()

    def days(self) -> list[date]:
        """The days with data, in order."""
        day = local_day("hour", self.settings)
        return self.hours.select(day.unique().sort()).to_series().to_list()


def train(data: Data, progress: Progress = lambda _: None) -> Model:
    """A model of all days of ``data``.

    Raises NotEnoughHistory where there are fewer than FEWEST_DAYS days with data. ``progress`` is
    told what is being done.
    """
    days = data.days()
    if len(days) < FEWEST_DAYS:
        raise NotEnoughHistory(
            f"{counted(len(days), 'day')} with data: too few to learn from",
            hint=f"train on at least {FEWEST_DAYS}, better on 60 or more",
        )
    held_out = days[round(len(days) * (1 - HELD_OUT)) :]
    progress("what is usual")
    honest = _held_out(data, held_out)
    progress("campaigns to learn from")
    staged = lessons(
        data.hours, data.touched, held_out, data.directory, data.settings, data.families
    )
    judges, alarms = {}, []
    for kind, own in _by_kind(honest).items():
        if len(own) < FEWEST_ACCOUNT_DAYS:
            continue
        progress(f"judging {kind}s")
        taught = staged.filter(pl.col("entity_kind") == kind) if len(staged) else staged
        judge, scores = _judge(own, taught, data)
        judges[kind] = judge
        alarms.append(_alarms(own, judge.joint.surprise(scores), data.settings.minimum_records))
    progress("what is usual now")
    whole = _whole(data)
    accounts = whole.levels.filter(pl.col("entity_kind") == ACCOUNT)
    per_day = data.settings.alerts_per_day or max(1.0, len(accounts) / 1000)
    return Model(
        judges=judges,
        threshold=_threshold(pl.concat(alarms), per_day * data.share, held_out),
        learned=whole,
        settings=data.settings,
        alerts_per_day=per_day,
        first_day=days[0],
        last_day=days[-1],
        held_out_from=held_out[0],
        held_out_days=len(held_out),
        accounts=len(accounts),
        rows_known=_share_known(data.hours),
        contaminated=_contaminated(whole),
    )


def _held_out(data: Data, days: Sequence[date]) -> pl.DataFrame:
    """The feature table at the end of ``days``, over baselines learned before them."""
    early = learn(
        data.hours.filter(local_day("hour", data.settings) < days[0]),
        data.touched.filter(pl.col("day") < days[0]),
        data.directory,
        data.settings,
    )
    honest = features.table(
        data.hours, data.touched, days, early, data.directory, data.settings, data.families,
        ends=True,
    )  # fmt: skip
    account_days = len(honest.filter(pl.col("entity_kind") == ACCOUNT))
    if account_days < FEWEST_ACCOUNT_DAYS:
        raise NotEnoughHistory(
            f"{account_days} active account-days from {days[0]} are too few to set a threshold",
            hint=f"train on more days, or on more accounts (at least {FEWEST_ACCOUNT_DAYS})",
        )
    return honest


def _whole(data: Data) -> Learned:
    """What is usual of every account, over the whole span."""
    everyone = data.everyone or (lambda: iter([(data.hours, data.touched)]))
    return learn_shards(everyone, data.directory, data.settings)


def _by_kind(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by("entity_kind", as_dict=True, maintain_order=True)
    return {str(key[0]): part for key, part in parts.items()}


def _judge(own: pl.DataFrame, taught: pl.DataFrame, data: Data) -> tuple[Judge, joining.Points]:
    """The judge of one kind of entity, and the joint scores of its honest days.

    Each is a mean of what strangers (fitted on the other half) and the judge itself say; of
    few days, which trees learn by heart, the strangers' word alone.
    """
    half = own["entity"].map_elements(
        lambda name: zlib.crc32(name.encode()) % 2, return_dtype=pl.Int64
    )
    if len(own) < FEWEST_TO_TEACH or len(taught) < FEWEST_LESSONS:
        taught = pl.DataFrame()
    rest = [own.filter(half != mine) for mine in (0, 1)]
    fits = [own, *(others if len(others) else own for others in rest)]
    # Each fit is on one core, and most of it lets others run (Cython without the interpreter).
    with ThreadPoolExecutor(CORES) as pool:
        voices, *strangers = pool.map(lambda days: _voices(days, taught, data), fits)
    scores = np.zeros(len(own))
    for mine, fitted in enumerate(strangers):
        rows = own.filter(half == mine)
        scores[(half == mine).to_numpy()] = fitted.joint(
            rows, fitted.surprises(rows), data.families
        )
    if len(own) >= FEWEST_TO_KNOW:
        known = voices.joint(own, voices.surprises(own), data.families)
        scores = scores + KNOWN_COUNTS * (known - scores)
    return Judge(voices, tails.fit(scores, JOINT_SCALE)), scores


def _voices(own: pl.DataFrame, taught: pl.DataFrame, data: Data) -> Voices:
    voices = joining.fit(own, data.families, data.settings.seed)
    if taught.is_empty():
        return voices
    return joining.taught(voices, own, taught, data.families, data.settings.seed)


def _alarms(own: pl.DataFrame, surprise: joining.Points, records: int) -> pl.DataFrame:
    """The honest days that could alert."""
    scored = own.with_columns(surprise=pl.Series(surprise))
    return scoring.alarms(scored.filter(material(records)))


def _threshold(alarms: pl.DataFrame, per_day: float, held_out: Sequence[date]) -> float:
    """The bar that honest held-out days pass ``per_day`` times a day.

    The first week only tells which runs had begun, unless there is little more.
    """
    begins = held_out[0] + timedelta(days=budget.RUN_DAYS)
    first = begins if len(held_out) >= 3 * budget.RUN_DAYS else held_out[0]
    return budget.threshold(alarms, per_day, first)


def _contaminated(whole: Learned) -> tuple[str, ...]:
    """Accounts whose level in training lies far above that of its own lowest month."""
    raised = [
        (pl.col(f"{m}_centre") - pl.col(f"{m}_floor")) / pl.col(f"{m}_spread")
        for m in ("statements", "log_rows")
    ]
    suspects = whole.levels.filter(
        pl.col("entity_kind") == ACCOUNT, pl.max_horizontal(raised) >= CONTAMINATED
    )
    return tuple(suspects["entity"].sort())


def _share_known(hours: pl.DataFrame) -> float:
    reading = hours.filter(pl.col("action").is_in(READING))
    statements = int(reading["statements"].sum())
    return 1.0 - int(reading["unknown_rows"].sum()) / statements if statements else 0.0
