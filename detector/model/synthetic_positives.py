"""Campaigns staged in the training span's own held-out days, for the trees to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from detector.campaigns import kinds, ledger_rows
from detector.campaigns.patterns import Campaign
from detector.campaigns.population import build_population
from detector.core.settings import Settings
from detector.features import aggregates
from detector.features import feature_table as features
from detector.features.aggregates import ACCOUNT
from detector.features.baseline_training import train_until
from detector.features.feature import Family
from detector.features.peer_groups import assign_groups as peer_groups
from detector.features.peer_groups import groups_by_usage

#: Campaigns of one kind on one stage: one for so many accounts, within limits, so that the crowd
#: of thieves stays small beside the honest.
ACCOUNTS_EACH, MOST_EACH = 150, 20
#: Stages: few where each is large.
STAGES, STAGES_OF_FEW, FEW = 2, 4, 1000
#: The first day of a campaign counts so much more than the last: what is found late is out.
FIRST_DAY_WEIGHT = 3.0


def synthetic_days(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    days: Sequence[date],
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
    hourly: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Entity-days of campaigns among ``days`` (the feature table at their end), with ``weight``.

    ``hours`` and ``touched`` reach from the beginning of training to the last of ``days``;
    ``hourly`` is ``measures.of_accounts`` of both, where that is at hand.
    """
    stage = build_population(
        hours,
        touched,
        peer_groups(hours["account"], directory, groups_by_usage(touched)),
        service_accounts(directory),
        days[0],
        days[-1],
        settings.timezone,
    )
    size = len(stage.baselines)
    each = max(1, min(MOST_EACH, size // ACCOUNTS_EACH))
    parts = []
    for number in range(STAGES_OF_FEW if size < FEW else STAGES):
        staged = kinds.build_campaigns(stage, settings.seed + number, each)
        if staged:
            acted = _campaign_table(
                hours, touched, staged, days, directory, settings, families, hourly
            )
            parts.append(acted)
    return add_weights(pl.concat(parts)) if parts else pl.DataFrame()


def service_accounts(directory: pl.DataFrame | None) -> set[str]:
    """The accounts that the directory calls services."""
    if directory is None:
        return set()
    return set(directory.filter(pl.col("kind") == "service")["account"])


def _campaign_table(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    staged: list[Campaign],
    days: Sequence[date],
    directory: pl.DataFrame | None,
    settings: Settings,
    families: Sequence[Family],
    hourly: pl.DataFrame | None,
) -> pl.DataFrame:
    """The feature table of the campaigns' entities on the campaigns' days; with ``campaign``."""
    acts = pl.concat(each.rows.with_columns(campaign=pl.lit(each.name)) for each in staged)
    all_hours, all_touched = ledger_rows.add_campaign(hours, touched, acts.drop("campaign"))
    if hourly is not None:
        hourly = _merge_hourly(hourly, acts["account"].unique(), all_hours, all_touched, settings)
    eve = days[0] - timedelta(days=1)
    before = train_until(all_hours, all_touched, eve, directory, settings, hourly)
    at_work = entity_days(acts, staged)
    table = features.build_table(
        all_hours, all_touched, days, before, directory, settings, families, ends=True,
        hourly=hourly, only=_by_kind(at_work),
    )  # fmt: skip
    return table.join(at_work, on=["entity_kind", "entity", "day"], how="inner")


def _by_kind(at_work: pl.DataFrame) -> dict[str, set[str]]:
    """The entities of each kind: of nobody else are features wanted."""
    parts = at_work.partition_by("entity_kind", as_dict=True)
    return {str(kind[0]): set(part["entity"]) for kind, part in parts.items()}


def _merge_hourly(
    hourly: pl.DataFrame,
    actors: pl.Series,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    settings: Settings,
) -> pl.DataFrame:
    """HOURLY with what ``actors`` do by HOURS and TOUCHED; the others do what they did."""
    theirs = pl.col("account").is_in(actors.implode())
    acted = aggregates.hourly_by_account(hours.filter(theirs), touched.filter(theirs), settings)
    rest = hourly.filter(~pl.col("entity").is_in(actors.implode()))
    return aggregates.sort_hourly(pl.concat([rest, acted]))


def entity_days(acts: pl.DataFrame, staged: list[Campaign]) -> pl.DataFrame:
    """campaign, entity_kind, entity, day: who is at work for which campaign on which day."""
    alone = acts.select("campaign", "day", entity="account", entity_kind=pl.lit(ACCOUNT))
    crowds = pl.DataFrame(
        [
            (each.name, kind, name)
            for each in staged
            for kind, name in each.targets
            if kind != ACCOUNT
        ],
        schema={"campaign": pl.String, "entity_kind": pl.String, "entity": pl.String},
        orient="row",
    )
    together = acts.select("campaign", "day").unique().join(crowds, on="campaign")
    columns = ["campaign", "entity_kind", "entity", "day"]
    return pl.concat([alone.select(columns), together.select(columns)]).unique(
        ["entity_kind", "entity", "day"], maintain_order=True
    )


def add_weights(days: pl.DataFrame) -> pl.DataFrame:
    """Adds ``weight``: all kinds weigh the same, all entities of a kind too; early days more."""
    kind = pl.col("campaign").str.replace(r"-\d+$", "")
    place = pl.col("day").rank("dense").over("campaign", "entity").cast(pl.Float64)
    last = pl.len().over("campaign", "entity")
    early = FIRST_DAY_WEIGHT - (FIRST_DAY_WEIGHT - 1) * (place - 1) / (last - 1).clip(1)
    entities = pl.struct("campaign", "entity").n_unique().over("kind")
    return days.with_columns(kind=kind).with_columns(weight=early / last / entities)
