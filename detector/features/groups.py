"""Peer groups: from the directory where there is one."""

from __future__ import annotations

import polars as pl

#: Accounts the directory does not name, and all accounts where there is no directory.
UNKNOWN = "unlisted"


def groups(accounts: pl.Series, directory: pl.DataFrame | None) -> pl.DataFrame:
    """One row per account: account, group.

    Service accounts are a group of their own kind within their group: a nightly job is no
    colleague of the people it works for.
    """
    frame = accounts.unique().sort().rename("account").to_frame()
    if directory is None:
        return frame.with_columns(group=pl.lit(UNKNOWN))
    named = pl.col("group").fill_null(UNKNOWN)
    listed = directory.select(
        "account",
        group=pl.when(pl.col("kind") == "service").then(named + " (services)").otherwise(named),
    )
    return frame.join(listed, on="account", how="left").with_columns(
        pl.col("group").fill_null(UNKNOWN)
    )
