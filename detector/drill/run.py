"""The drill: campaigns put into a ledger's own tables, scored as the real log would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import polars as pl

from detector.campaigns.patterns import Staged
from detector.core.schema import DRILL, check, empty
from detector.drill import exposure, schedule
from detector.drill.window import Stage
from detector.features import feature_table as features
from detector.features.aggregates import local_day
from detector.features.baseline_training import learn_until
from detector.features.feature import Family
from detector.model.lookback import kept_honest
from detector.model.model import Model
from detector.model.scoring import LOOKBACK, Scorer
from detector.model.threshold import RUN_DAYS
from detector.model.training_data import FEWEST_DAYS

#: Days scored together. More share the reading of the past, fewer need less memory.
TOGETHER = 14
#: An alert so long after a campaign's last act is no longer about it.
AFTER = timedelta(days=RUN_DAYS)

#: Told what share of the work is done, and in words what is being done.
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Drilled:
    """``campaigns`` (DRILL) in the order of their kinds; alerts a day on whom none of them touched.

    ``honest_a_day`` are the alerts on the stage without any campaign; ``by_chance`` is what these
    would make of the same campaigns (DRILL too): an honest alert on one of sixty accounts finds a
    crowd as well. ``rounds`` says how often campaigns were scored, each time others.
    """

    campaigns: pl.DataFrame
    by_chance: pl.DataFrame
    benign_a_day: float
    honest_a_day: float
    rounds: int


def drill(
    stage: Stage,
    model: Model,
    families: Sequence[Family],
    instances: int,
    seed: int,
    progress: Progress = lambda _share, _words: None,
) -> Drilled:
    """Campaigns of all kinds, scored at the model's threshold; the same for the same ``seed``."""
    staged = schedule.cast(stage.world(model), seed, instances)
    people = stage.people(model)
    rounds = schedule.rounds(staged, len(people))
    passes = len(rounds) + 1
    honest = rung(stage, [], model, families, _part(progress, 0.0, passes))
    parts, benign = [], 0
    for number, some in enumerate(rounds, start=1):
        told = _part(progress, number / passes, passes)
        rings = rung(stage.robbed(some), some, model, families, told)
        parts.append(outcomes(some, rings, stage))
        benign += len(untouched(rings, some, people))
    a_day = benign / (len(stage.days) * max(1, len(rounds)))
    return Drilled(
        _joined(parts, staged, a_day),
        _joined([outcomes(staged, honest, stage)] if staged else [], staged, a_day),
        a_day,
        len(honest) / len(stage.days),
        len(rounds),
    )


def _joined(parts: list[pl.DataFrame], staged: Sequence[Staged], a_day: float) -> pl.DataFrame:
    """DRILL of some rounds' outcomes, in the order in which campaigns were cast."""
    order = {each.name: place for place, each in enumerate(staged)}
    found = (
        pl.concat([empty(DRILL).drop("benign_alerts_a_day"), *parts])
        .sort(pl.col("campaign").replace_strict(order, return_dtype=pl.Int64))
        .with_columns(benign_alerts_a_day=pl.lit(a_day))
    )
    return check(found.select(list(DRILL)), DRILL, "drill")


def _part(progress: Progress, done: float, parts: int) -> Progress:
    return lambda share, words: progress(done + share / parts, words)


def rung(
    robbed: Stage,
    staged: Sequence[Staged],
    model: Model,
    families: Sequence[Family],
    progress: Progress = lambda _share, _words: None,
) -> pl.DataFrame:
    """The alerts (RINGS) that the model raises on a stage with the acts of ``staged`` in it."""
    progress(0.0, "learning what is usual")
    model = replace(model, learned=_learned(robbed, staged, model))
    scorer = Scorer(model, robbed.directory, robbed.settings, families)
    found = []
    for start in range(0, len(robbed.days), TOGETHER):
        days = robbed.days[start : start + TOGETHER]
        progress(start / len(robbed.days), f"scoring {days[0]} to {days[-1]}")
        since = days[0] - timedelta(days=LOOKBACK)
        hours = robbed.hours.filter(local_day("hour", robbed.settings).is_between(since, days[-1]))
        touched = robbed.touched.filter(pl.col("day").is_between(since, days[-1]))
        if not touched["day"].is_in(days).any():
            continue  # a hole in the log
        scored = scorer.score(hours, touched, days)
        ringing = scored.filter("alarming").with_columns(time=pl.col("hour") + exposure.HOUR)
        found.append(ringing.select(list(exposure.RINGS)))
    return pl.concat([empty(exposure.RINGS), *found]).sort("time", "entity_kind", "entity")


def _learned(robbed: Stage, staged: Sequence[Staged], model: Model) -> features.Learned:
    """What is usual to the model, without the stage and with the acts that were done before it.

    The model's own, where it was trained before the stage and nobody acted yet.
    """
    acted = any((each.acts["day"] < robbed.first).any() for each in staged)
    before = robbed.first - timedelta(days=1)
    if model.last_day <= before and not acted:
        return model.learned
    until = min(model.last_day, before)
    begins = robbed.touched["day"].min()
    if not isinstance(begins, date) or (until - begins).days < FEWEST_DAYS:
        return model.learned  # the ledger no longer holds what the model was trained on
    learned = learn_until(robbed.hours, robbed.touched, until, robbed.directory, robbed.settings)
    return kept_honest(learned, pl.Series(model.suspects, dtype=pl.String))


def outcomes(staged: Sequence[Staged], rings: pl.DataFrame, stage: Stage) -> pl.DataFrame:
    """What became of each campaign, by its acts on the stage: DRILL but for benign alerts."""
    on_stage = [
        replace(each, acts=each.acts.filter(pl.col("day") >= stage.first)) for each in staged
    ]
    taken = pl.concat(
        each.acts.select(pl.lit(each.name).alias("campaign"), "hour", "rows") for each in on_stage
    )
    suspects = [
        (each.name, kind, entity, each.acts["hour"].min(), _until(each))
        for each in on_stage
        for kind, entity in each.targets
        if not each.acts.is_empty()
    ]
    who = pl.DataFrame(suspects, schema=dict(exposure.SUSPECTS), orient="row")
    facts = pl.DataFrame(
        [
            (
                each.name,
                schedule.kind_of(each.name),
                sorted({kind for kind, _ in each.targets}),
                len(schedule.thieves(each)),
            )
            for each in on_stage
        ],
        schema={name: DRILL[name] for name in ("campaign", "kind", "entity_kinds", "accounts")},
        orient="row",
    )
    found = facts.join(exposure.measured(who, taken, rings), on="campaign", maintain_order="left")
    return found.select(name for name in DRILL if name != "benign_alerts_a_day")


def _until(staged: Staged) -> object:
    return staged.acts.select(pl.col("hour").max() + exposure.HOUR + AFTER).item()


def untouched(rings: pl.DataFrame, staged: Sequence[Staged], people: pl.DataFrame) -> pl.DataFrame:
    """The alerts on entities that no campaign touched: benign, as far as the ledger is honest.

    Touched are the campaigns' accounts, their groups (``people`` has account, group), and the
    addresses and objects of their acts.
    """
    acts = pl.concat([each.acts for each in staged]).join(people, on="account", how="left")
    targets = sorted({target for each in staged for target in each.targets})
    kinds = {"entity_kind": pl.String, "entity": pl.String}
    used = [
        acts.select(pl.lit(kind).alias("entity_kind"), entity=kind).drop_nulls().unique()
        for kind in ("account", "group", "client_address", "object")
    ]
    touched = pl.concat([pl.DataFrame(targets, schema=kinds, orient="row"), *used])
    return rings.join(touched, on=["entity_kind", "entity"], how="anti")
