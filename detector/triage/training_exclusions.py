"""Days of confirmed thefts, taken out of what a model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT
from detector.features.peer_groups import assign_groups as peer_groups
from detector.features.peer_groups import groups_by_usage
from detector.ledger.aggregate import local_day
from detector.triage.history import EntityDay

ENTITY_DAY_SCHEMA = {"entity_kind": pl.String(), "entity": pl.String(), "day": pl.Date()}


@dataclass(frozen=True, slots=True)
class CleanTables:
    """HOURS and TOUCHED without them; ``left_out`` (entity_kind, entity, day) were there."""

    hours: pl.DataFrame
    touched: pl.DataFrame
    excluded_days: pl.DataFrame


def exclude_days(
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    confirmed: Sequence[EntityDay],
    directory: pl.DataFrame | None,
    settings: Settings,
    members: pl.DataFrame | None = None,
) -> CleanTables:
    """The tables without ``confirmed`` days.

    ``members`` (account, group) are told where the tables are of some accounts only. Of an account
    its whole day goes, of a group the day of all its members. Of an address or a
    table only what was touched there goes: the ledger's hours do not know it.
    """
    flagged = pl.DataFrame(confirmed, schema=ENTITY_DAY_SCHEMA, orient="row")
    if flagged.is_empty():
        return CleanTables(hours, touched, flagged)
    if members is None:
        members = peer_groups(hours["account"], directory, groups_by_usage(touched))
    of_groups = flagged.filter(pl.col("entity_kind") == GROUP).join(
        members.select("account", entity="group"), on="entity"
    )
    of_accounts = flagged.filter(pl.col("entity_kind") == ACCOUNT).with_columns(account="entity")
    people = pl.concat([of_accounts, of_groups])
    places = flagged.filter(pl.col("entity_kind").is_in([ADDRESS, OBJECT])).rename(
        {"entity_kind": "dimension", "entity": "value"}
    )
    own, there = ["account", "day"], ["dimension", "value", "day"]
    dated = hours.with_columns(day=local_day("hour", settings.timezone))
    left_out = pl.concat(
        [
            people.join(dated, on=own, how="semi").select(*ENTITY_DAY_SCHEMA),
            places.join(touched, on=there, how="semi").select(
                entity_kind="dimension", entity="value", day="day"
            ),
        ]
    )
    return CleanTables(
        dated.join(people, on=own, how="anti", maintain_order="left").drop("day"),
        touched.join(people, on=own, how="anti", maintain_order="left").join(
            places, on=there, how="anti", maintain_order="left"
        ),
        left_out.unique().sort(*ENTITY_DAY_SCHEMA),
    )
