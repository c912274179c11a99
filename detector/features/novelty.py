"""Values that an account has not touched for four weeks, and how much each of them says.

An address says little where many share it (a VPN, a terminal server), where its network is known,
or where the account's colleagues have new ones on the same day (a site that was renumbered); nor
does a program that is rolled out to all of them. A table or a program says the more, the fewer of
the account's group use it: to a newcomer everything is new.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.features.aggregates import SLOTS
from detector.features.expectation import CUSUM_DAYS, RECENT_DAYS
from detector.features.robust_stats import Floats, Integers

#: Columns of what a model remembers of values seen in training: the last day of each.
KNOWN_SCHEMA = {
    "account": pl.String(),
    "dimension": pl.String(),
    "value": pl.String(),
    "day": pl.Date(),
}
#: How many members of a group used a table or a program in training.
USAGE_SCHEMA = {
    "group": pl.String(),
    "dimension": pl.String(),
    "value": pl.String(),
    "members": pl.Int64(),
}

#: The dimensions looked at, and what they are called in features. A network is made of an address.
DIMENSION_NAMES = {
    "client_address": "addresses",
    "network": "networks",
    "object": "objects",
    "application": "applications",
}
#: Of which it counts how many of a group use them; and of which it does not count what colleagues
#: have new on the same day.
USAGE_DIMENSIONS = ("object", "application")
PEER_DIMENSIONS = ("client_address", "network", "application")
#: An address with so many other accounts in four weeks is shared.
SHARED_ACCOUNTS = 3
#: A network that nobody in the organisation used before these last days is foreign.
FOREIGN_DAYS = 14
#: Colleagues with new addresses are held against at least so many colleagues.
MIN_PEERS = 3
#: A site with new addresses, a roll-out: with this share of colleagues alike, what is new says
#: nothing.
PEER_SHARE_LIMIT = 0.5


def add_networks(touched: pl.DataFrame) -> pl.DataFrame:
    """TOUCHED of the dimensions in NAMES; networks as further rows.

    A network is an IPv4 address's /24, an IPv6 address's /64, a host's domain.
    """
    kept = touched.filter(pl.col("dimension").is_in(list(DIMENSION_NAMES)))
    addresses = kept.filter(pl.col("dimension") == "client_address")
    networks = addresses.select(pl.col("value").unique()).with_columns(network=_network("value"))
    made = (
        addresses.join(networks, on="value")
        .group_by("day", "account", value="network")
        .agg(pl.col("statements", "rows").sum(), pl.col("first_hour").min())
        .with_columns(dimension=pl.lit("network"))
    )
    return pl.concat([kept, made.select(kept.columns)])


def _network(column: str) -> pl.Expr:
    value = pl.col(column)
    return pl.coalesce(
        value.str.extract(r"^(?:::ffff:)?(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}$"),
        value.str.extract(r"^((?:[0-9a-fA-F]{0,4}:){4})[0-9a-fA-F:.]*$"),
        value.str.extract(r"^[^.]+\.(.+)$"),
        value,
    )


def known_values(networked: pl.DataFrame, last: date) -> pl.DataFrame:
    """KNOWN of the days up to ``last``, from ``add_networks``."""
    return (
        networked.filter(pl.col("day") <= last, pl.col("day") > last - timedelta(days=RECENT_DAYS))
        .group_by("account", "dimension", "value")
        .agg(pl.col("day").max())
        .sort("account", "dimension", "value")
    )


def group_usage(touched: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """USED, from TOUCHED and groups (account, group)."""
    return (
        touched.filter(pl.col("dimension").is_in(USAGE_DIMENSIONS))
        .join(groups, on="account")
        .group_by("group", "dimension", "value")
        .agg(members=pl.col("account").n_unique().cast(pl.Int64))
        .select(*USAGE_SCHEMA)
        .sort("group", "dimension", "value")
    )


def merge_usage(parts: pl.DataFrame) -> pl.DataFrame:
    """USED of the whole, from that of disjoint accounts, one under the other."""
    keys = ["group", "dimension", "value"]
    return parts.group_by(keys).agg(pl.col("members").sum()).sort(keys)


def first_touches(networked: pl.DataFrame, remembered: pl.DataFrame) -> pl.DataFrame:
    """First touches after RECENT days without: account, day, hour, dimension, value; sorted.

    ``remembered`` (KNOWN) stands in for the ledger where that does not reach back.
    """
    keys = ["account", "dimension", "value"]
    seen = pl.concat(
        [
            networked.select(*keys, "day", hour="first_hour"),
            remembered.select(*keys, "day", hour=pl.lit(None, networked.schema["first_hour"])),
        ]
    ).sort(*keys, "day", "hour", nulls_last=True)
    before = pl.col("day").shift().over(keys)
    return (
        seen.filter(
            before.is_null() | ((pl.col("day") - before).dt.total_days() > RECENT_DAYS),
            pl.col("hour").is_not_null(),
        )
        .select("account", "day", "hour", "dimension", "value")
        .sort("account", "hour", "dimension", "value")
    )


def add_weights(
    new: pl.DataFrame,
    networked: pl.DataFrame,
    remembered: pl.DataFrame,
    groups: pl.DataFrame,
    users: pl.DataFrame,
) -> pl.DataFrame:
    """``first_touches`` with ``weight`` (how much each says by itself) and ``foreign`` (of
    networks).

    ``groups`` is (account, group), ``users`` are USED.
    """
    size = users.group_by("group").agg(size=pl.col("members").max())
    all_members = users.group_by("dimension", "value").agg(all_members=pl.col("members").sum())
    by_use = pl.col("dimension").is_in(USAGE_DIMENSIONS)
    used_by_few = (
        new.filter(by_use)
        .join(groups, on="account", how="left")
        .join(users, on=["group", "dimension", "value"], how="left")
        .join(size, on="group", how="left")
        .join(all_members, on=["dimension", "value"], how="left")
        .with_columns(
            # Of a group that training did not know, everyone's use tells.
            weight=pl.when(pl.col("size").is_null())
            .then(_rarity(pl.lit(size["size"].sum()), pl.col("all_members")))
            .otherwise(_rarity(pl.col("size"), pl.col("members"))),
            foreign=pl.lit(0.0),
        )
    )
    others = new.filter(~by_use)
    before = _accounts_before(others, networked, remembered)
    others = others.join(before, on=["dimension", "value", "day"], how="left").with_columns(
        weight=(pl.col("recent").fill_null(0) < SHARED_ACCOUNTS).cast(pl.Float64),
        foreign=((pl.col("dimension") == "network") & (pl.col("long_ago").fill_null(0) == 0)).cast(
            pl.Float64
        ),
    )
    columns = [*new.columns, "weight", "foreign"]
    return pl.concat([used_by_few.select(columns), others.select(columns)])


def _rarity(size: pl.Expr, members: pl.Expr) -> pl.Expr:
    """In nats, of what ``members`` of so many use; none where it is null."""
    return ((size + 1) / (members.fill_null(0) + 1)).log()


def _accounts_before(
    new: pl.DataFrame, networked: pl.DataFrame, remembered: pl.DataFrame
) -> pl.DataFrame:
    """By new value and day: accounts that used it in the weeks before, and earlier."""
    asked = new.select("dimension", "value", "day").unique()
    keys = ["dimension", "value"]
    uses = pl.concat(
        [
            networked.select(*keys, "account", on="day"),
            remembered.select(*keys, "account", on="day"),
        ]
    ).join(asked.select(keys).unique(), on=keys, how="semi")
    age = (pl.col("day") - pl.col("on")).dt.total_days()
    return (
        asked.join(uses, on=keys)
        .with_columns(age=age)
        .filter(pl.col("age").is_between(1, CUSUM_DAYS))
        .group_by(*keys, "day")
        .agg(
            recent=pl.col("account").filter(pl.col("age") <= RECENT_DAYS).n_unique(),
            long_ago=pl.col("account").filter(pl.col("age") >= FOREIGN_DAYS).n_unique(),
        )
    )


def cumulative_weights(at: Integers, slot: Integers, weight: Floats, entities: int) -> Floats:
    """Sums of weights so far that day: (entities, SLOTS)."""
    found = np.zeros((entities, SLOTS))
    np.add.at(found, (at, slot), weight)
    return np.cumsum(found, axis=1)


def discount_by_peers(
    new: Floats, active: NDArray[np.bool_], codes: Integers, places: list[Integers]
) -> Floats:
    """``new``, less of it the more colleagues, of those active, have something new as well.

    ``new`` and ``active`` are so far that day, or of whole days: (entities, columns).
    """
    has, here = (new > 0).astype(np.float64), active.astype(np.float64)
    have = np.stack([has[mine].sum(axis=0) for mine in places])[codes] - has
    are = np.stack([here[mine].sum(axis=0) for mine in places])[codes] - here
    alike = have / np.maximum(are, MIN_PEERS)
    found: Floats = new * np.clip(1 - alike / PEER_SHARE_LIMIT, 0.0, 1.0)
    return found
