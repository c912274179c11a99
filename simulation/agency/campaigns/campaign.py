"""One theft: the statements it adds to the log, and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.addresses import Addresses
from simulation.agency.people import People
from simulation.agency.reads import Statements, seconds

INSTANT = pl.Datetime("us", "UTC")
INCIDENTS = {
    "campaign": pl.String(),
    "kind": pl.String(),
    "entity_kind": pl.String(),
    "entity": pl.String(),
    "start": INSTANT,
    "end": INSTANT,
    "records": pl.Int64(),
}
STOLEN = {
    "campaign": pl.String(),
    "timestamp": INSTANT,
    "account": pl.String(),
    "rows": pl.Int64(),
}


@dataclass(frozen=True, slots=True)
class Campaign:
    """One theft.

    ``taken`` is the stolen records of each statement: what the log says of an export is
    nothing, and of a long list a part was the account's own work. Besides its accounts it can be
    known by ``hosts`` (addresses, as indices), ``tables`` (names) and ``groups`` (indices) that
    are its own. On the days from ``instead[1]`` to before ``instead[2]`` it tells the own work
    of the account ``instead[0]`` too.
    """

    name: str
    kind: str
    statements: Statements
    taken: NDArray[np.int64]
    hosts: tuple[int, ...] = ()
    tables: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    instead: tuple[int, int, int] | None = None


def incidents(
    campaigns: list[Campaign],
    accounts: list[str],
    people: People,
    addresses: Addresses,
    hours: NDArray[np.int64],
) -> pl.DataFrame:
    """The truth, an entity a row: campaign, kind, entity_kind, entity, start and end (UTC, of
    the first and last record stolen by or through the entity), records (of the whole campaign).

    ``accounts`` are all names, those that no directory knows after those of the people.
    """
    if not campaigns:
        return pl.DataFrame(schema=INCIDENTS)
    rows = [
        (one.name, one.kind, entity_kind, entity, start, end, int(one.taken.sum()))
        for one in campaigns
        for entity_kind, entity, start, end in _entities(one, accounts, people, addresses, hours)
    ]
    frame = pl.DataFrame(
        rows, schema={**INCIDENTS, "start": pl.Int64(), "end": pl.Int64()}, orient="row"
    )
    moments = (pl.from_epoch(name).dt.replace_time_zone("UTC") for name in ("start", "end"))
    return (
        frame.with_columns(moments)
        .cast(INCIDENTS)  # type: ignore[arg-type]
        .sort("start", "campaign", "entity_kind", "entity")
    )


def stolen(
    campaigns: list[Campaign], accounts: list[str], hours: NDArray[np.int64]
) -> pl.DataFrame:
    """Stolen records by campaign, hour (UTC) and account, those the log is silent about too."""
    frames = []
    for one in campaigns:
        took = one.taken > 0
        hour = seconds(one.statements, hours)[took] // 3600 * 3600
        names = [accounts[account] for account in one.statements.account[took]]
        columns = {"timestamp": hour, "account": names, "rows": one.taken[took]}
        frames.append(pl.DataFrame(columns).with_columns(pl.lit(one.name).alias("campaign")))
    if not frames:
        return pl.DataFrame(schema=STOLEN)
    return (
        pl.concat(frames)
        .with_columns(pl.from_epoch("timestamp").dt.replace_time_zone("UTC"))
        .select(pl.col(name).cast(kind) for name, kind in STOLEN.items())
        .group_by("campaign", "timestamp", "account")
        .agg(pl.col("rows").sum())
        .sort("campaign", "timestamp", "account")
    )


def _entities(
    one: Campaign,
    accounts: list[str],
    people: People,
    addresses: Addresses,
    hours: NDArray[np.int64],
) -> list[tuple[str, str, int, int]]:
    took = one.taken > 0
    time = seconds(one.statements, hours)[took]
    account, host = one.statements.account[took], one.statements.address[took]
    table = np.array([item.table for item in catalogue.ALL])[one.statements.template[took]]
    found = [
        *(("account", accounts[code], account == code) for code in np.unique(account)),
        *(("client_address", addresses.book[code], host == code) for code in one.hosts),
        *(("object", name, table == name) for name in one.tables),
        *(("group", people.groups[code], people.group[account] == code) for code in one.groups),
    ]
    return [
        (kind, entity, int(time[mine].min()), int(time[mine].max()))
        for kind, entity, mine in found
        if mine.any()
    ]
