"""Peer groups: from the directory where there is one, else from what accounts use."""

from __future__ import annotations

import polars as pl

from detector.ledger.summary import most_used

#: What ``groups_by_usage`` gives.
GROUPS_SCHEMA = {"account": pl.String(), "group": pl.String()}
#: Accounts the directory does not name.
UNLISTED_GROUP = "unlisted"
#: The account that many accounts which nobody knows are together.
OTHERS = "(other new accounts)"
#: A learned group of fewer accounts joins the one that shares its program, or the rest.
MIN_GROUP_SIZE = 5
OTHER_GROUP = "various"


def assign_groups(
    accounts: pl.Series, directory: pl.DataFrame | None, learned: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per account: account, group, hired (null where that is not known), service; sorted.

    Service accounts are a group of their own kind within their group: a nightly job is no colleague
    of the people it works for. Without a directory, ``learned`` (``groups_by_usage``) says.
    """
    frame = accounts.unique().sort().rename("account").to_frame()
    if directory is None:
        rest = OTHER_GROUP
        listed = pl.DataFrame(schema=GROUPS_SCHEMA) if learned is None else learned
        listed = listed.with_columns(hired=pl.lit(None, pl.Date), service=pl.lit(value=False))
    else:
        rest = UNLISTED_GROUP
        named = pl.col("group").fill_null(rest)
        service = pl.col("kind") == "service"
        listed = directory.select(
            "account",
            "hired",
            group=pl.when(service).then(named + " (services)").otherwise(named),
            service=service.fill_null(value=False),
        )
    found = frame.join(listed, on="account", how="left", maintain_order="left")
    return found.select(
        "account",
        pl.col("group").fill_null(rest),
        "hired",
        # Whom nobody calls a service is taken for a person: of a person less is excused.
        pl.col("service").fill_null(value=False),
    )


def groups_by_account(accounts: pl.DataFrame) -> dict[str, str]:
    """The group of each account of ``assign_groups``."""
    return dict(accounts.select(list(GROUPS_SCHEMA)).iter_rows())


def groups_by_usage(touched: pl.DataFrame) -> pl.DataFrame:
    """account, group: who works most with the same table through the same program.

    From TOUCHED. A group is named by them; small ones join others with the same program.
    """
    return groups_by_main_usage(main_usage(touched))


def main_usage(touched: pl.DataFrame) -> pl.DataFrame:
    """account, application, object: those that each account uses most, from TOUCHED."""
    found = touched.select(pl.col("account").unique().sort())
    for dimension in ("application", "object"):
        found = found.join(most_used(touched, dimension), on="account", how="left")
    return found


def groups_by_main_usage(dominant: pl.DataFrame) -> pl.DataFrame:
    """``groups_by_usage``, of ``dominant``."""
    program = pl.col("application").fill_null("?")
    fine = pl.concat_str(
        pl.lit("mostly "), pl.col("object").fill_null("?"), pl.lit(" by "), program
    )
    coarse = pl.concat_str(pl.lit("by "), program)
    named = dominant.with_columns(fine=fine, coarse=coarse)
    few_fine = pl.len().over("fine") < MIN_GROUP_SIZE
    named = named.with_columns(group=pl.when(few_fine).then("coarse").otherwise("fine"))
    few = pl.len().over("group") < MIN_GROUP_SIZE
    return named.select(
        "account", group=pl.when(few).then(pl.lit(OTHER_GROUP)).otherwise("group")
    ).sort("account")
