"""The drill: campaigns put into a ledger's own tables, scored as the real log would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import polars as pl

from detector.alerts.alert import CLOSE, CREATE, Alert
from detector.alerts.episode_history import EpisodeHistory
from detector.campaigns.patterns import Campaign
from detector.core.schema import DRILL_RESULTS, check, empty
from detector.detection.batch import MAX_ACCOUNTS, score_by_week
from detector.detection.pipeline import Pipeline, TablesInMemory
from detector.drill import exposure, schedule
from detector.drill.window import DrillWindow
from detector.features import feature_table as features
from detector.features.baseline_training import train_until
from detector.features.feature import Family
from detector.model.lookback import restrict_suspects
from detector.model.model import Model
from detector.model.threshold import EPISODE_DAYS
from detector.model.training_data import MIN_DAYS

#: An alert so long after a campaign's last act is no longer about it.
ALERT_GRACE = timedelta(days=EPISODE_DAYS)

#: Told what share of the work is done, and in words what is being done.
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class DrillResult:
    """``campaigns`` (DRILL) in the order of their kinds; alerts a day on whom none of them touched.

    ``honest_alerts_per_day`` are the alerts on the stage without any campaign; ``chance_campaigns``
    is what these would make of the same campaigns (DRILL too): an honest alert on one of sixty
    accounts finds a crowd as well. ``rounds`` says how often campaigns were scored, each time
    others.
    """

    campaigns: pl.DataFrame
    chance_campaigns: pl.DataFrame
    benign_alerts_per_day: float
    honest_alerts_per_day: float
    rounds: int


def drill(
    stage: DrillWindow,
    model: Model,
    families: Sequence[Family],
    instances: int,
    seed: int,
    progress: Progress = lambda _share, _words: None,
) -> DrillResult:
    """Campaigns of all kinds, scored at the model's threshold; the same for the same ``seed``."""
    staged = schedule.stage_campaigns(stage.population(model), seed, instances)
    people = stage.peer_groups(model)
    rounds = schedule.rounds(staged, len(people))
    passes = len(rounds) + 1
    honest = alert_times(stage, [], model, families, _partial_progress(progress, 0.0, passes))
    parts, benign = [], 0
    for number, some in enumerate(rounds, start=1):
        share = _partial_progress(progress, number / passes, passes)
        messages = alert_times(stage.with_campaigns(some), some, model, families, share)
        parts.append(outcomes(some, messages, stage))
        benign += benign_alerts(messages, some, people).height
    a_day = benign / (len(stage.days) * max(1, len(rounds)))
    return DrillResult(
        _concat_outcomes(parts, staged, a_day),
        _concat_outcomes([outcomes(staged, honest, stage)] if staged else [], staged, a_day),
        a_day,
        honest.filter("begins_episode").height / len(stage.days),
        len(rounds),
    )


def _concat_outcomes(
    parts: list[pl.DataFrame], staged: Sequence[Campaign], a_day: float
) -> pl.DataFrame:
    """DRILL of some rounds' outcomes, in the order in which campaigns were cast."""
    order = {each.name: place for place, each in enumerate(staged)}
    found = (
        pl.concat([empty(DRILL_RESULTS).drop("benign_alerts_a_day"), *parts])
        .sort(pl.col("campaign").replace_strict(order, return_dtype=pl.Int64))
        .with_columns(benign_alerts_a_day=pl.lit(a_day))
    )
    return check(found.select(list(DRILL_RESULTS)), DRILL_RESULTS, "drill")


def _partial_progress(progress: Progress, done: float, parts: int) -> Progress:
    return lambda share, words: progress(done + share / parts, words)


def alert_times(
    window: DrillWindow,
    staged: Sequence[Campaign],
    model: Model,
    families: Sequence[Family],
    progress: Progress = lambda _share, _words: None,
) -> pl.DataFrame:
    """The messages (ALERT_TIMES) of a window with the acts of ``staged`` in it: alerts, and the
    updates that a theft sends which falls into an honest episode.
    """
    progress(0.0, "learning baselines")
    model = replace(model, baselines=_stage_baselines(window, staged, model))
    # At the threshold of training: so many thefts at once would move it as no real month does.
    history = EpisodeHistory(window.settings.timezone, adapts_threshold=False)
    pipeline = Pipeline(model, window.directory, window.settings, families, history=history)
    tables = TablesInMemory(window.hours, window.touched, window.settings)
    days = [day for day in tables.days() if day >= window.first]  # the log may have holes
    found, done = list[Alert](), 0
    for result in score_by_week(pipeline, tables, days, MAX_ACCOUNTS):
        done += len(result.days)
        progress(done / len(days), f"scored {result.days[-1]}")
        found += [each for each in result.alerts if each["activity"] != CLOSE]
    return pl.DataFrame(
        [
            (
                each["entity_kind"],
                each["entity"],
                datetime.fromisoformat(each["time"]),
                each["activity"] == CREATE,
            )
            for each in found
        ],
        schema=dict(exposure.ALERT_TIMES),
        orient="row",
    ).sort("time", "entity_kind", "entity")


def _stage_baselines(
    window: DrillWindow, staged: Sequence[Campaign], model: Model
) -> features.TrainedBaselines:
    """What is usual to the model, without the stage and with the acts that were done before it.

    The model's own, where it was trained before the stage and nobody acted yet.
    """
    acted = any((each.rows["day"] < window.first).any() for each in staged)
    before = window.first - timedelta(days=1)
    if model.last_day <= before and not acted:
        return model.baselines
    until = min(model.last_day, before)
    begins = window.touched["day"].min()
    if not isinstance(begins, date) or (until - begins).days < MIN_DAYS:
        return model.baselines  # the ledger no longer holds what the model was trained on
    learned = train_until(window.hours, window.touched, until, window.directory, window.settings)
    return restrict_suspects(learned, pl.Series(model.suspects, dtype=pl.String))


def outcomes(
    staged: Sequence[Campaign], messages: pl.DataFrame, stage: DrillWindow
) -> pl.DataFrame:
    """What became of each campaign, by its acts on the stage: DRILL but for benign alerts."""
    on_stage = [
        replace(each, rows=each.rows.filter(pl.col("day") >= stage.first)) for each in staged
    ]
    taken = pl.concat(
        each.rows.select(pl.lit(each.name).alias("campaign"), "hour", "rows") for each in on_stage
    )
    suspects = [
        (each.name, kind, entity, each.rows["hour"].min(), _last_alert_time(each))
        for each in on_stage
        for kind, entity in each.targets
        if not each.rows.is_empty()
    ]
    who = pl.DataFrame(suspects, schema=dict(exposure.SUSPECTS), orient="row")
    facts = pl.DataFrame(
        [
            (
                each.name,
                schedule.campaign_kind(each.name),
                sorted({kind for kind, _ in each.targets}),
                len(schedule.thieves(each)),
            )
            for each in on_stage
        ],
        schema={
            name: DRILL_RESULTS[name] for name in ("campaign", "kind", "entity_kinds", "accounts")
        },
        orient="row",
    )
    found = facts.join(exposure.measure(who, taken, messages), on="campaign", maintain_order="left")
    return found.select(name for name in DRILL_RESULTS if name != "benign_alerts_a_day")


def _last_alert_time(staged: Campaign) -> object:
    return staged.rows.select(pl.col("hour").max() + exposure.HOUR + ALERT_GRACE).item()


def benign_alerts(
    messages: pl.DataFrame, staged: Sequence[Campaign], people: pl.DataFrame
) -> pl.DataFrame:
    """The alerts on entities that no campaign touched: benign, as far as the ledger is honest.

    Touched are the campaigns' accounts, their groups (``people`` has account, group), and the
    addresses and objects of their acts.
    """
    acts = pl.concat([each.rows for each in staged]).join(people, on="account", how="left")
    targets = sorted({target for each in staged for target in each.targets})
    kinds = {"entity_kind": pl.String, "entity": pl.String}
    used = [
        acts.select(pl.lit(kind).alias("entity_kind"), entity=kind).drop_nulls().unique()
        for kind in ("account", "group", "client_address", "object")
    ]
    touched = pl.concat([pl.DataFrame(targets, schema=kinds, orient="row"), *used])
    return messages.filter("begins_episode").join(touched, on=["entity_kind", "entity"], how="anti")
