"""Which accounts stand for all where there are too many: whole groups, drawn by their names.

What is usual is learned of every account; but how odd honest days get, and what campaigns look
like, some thousands of accounts tell as well as a hundred thousand.
"""

from __future__ import annotations

import hashlib

import polars as pl

#: Accounts in a sample; so many or fewer are all looked at.
SAMPLE_SIZE = 6000
#: No group is more than this share of a sample, while there are others.
MAX_GROUP_SHARE = 0.25


def sample_accounts(groups: pl.DataFrame, size: int = SAMPLE_SIZE) -> pl.Series:
    """About ``size`` of the accounts of ``groups`` (account, group), sorted; all if they are fewer.

    Groups come whole, in the order of a digest of their names, since a group's members are judged
    by each other; one of more than LARGEST of the sample is cut to that.
    """
    if len(groups) <= size:
        return groups["account"].sort()
    drawn = groups.with_columns(
        draw=_digest(groups["group"]), each=_digest(groups["account"])
    ).sort("draw", "group", "each", "account")
    place = pl.int_range(pl.len()).over("group")
    first = drawn.filter(place < max(1, int(size * MAX_GROUP_SHARE)))
    rest = drawn.join(first.select("account"), on="account", how="anti")
    return pl.concat([first, rest]).head(size)["account"].sort()


def _digest(names: pl.Series) -> pl.Series:
    """The same draw on any machine and in any version."""
    return names.map_elements(
        lambda name: hashlib.blake2b(name.encode(), digest_size=8).hexdigest(),
        return_dtype=pl.String,
    )
