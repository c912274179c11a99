"""Peer groups: from the directory where there is one, else from what accounts use."""

from __future__ import annotations

import polars as pl

from detector.ledger.summary import most_used

#: What ``by_use`` gives.
GROUPS = {"account": pl.String(), "group": pl.String()}
#: Accounts the directory does not name.
UNKNOWN = "unlisted"
#: The account that many accounts which nobody knows are together.
OTHERS = "(other new accounts)"
#: A learned group of fewer accounts joins the one that shares its program, or the rest.
SMALLEST = 5
REST = "various"


def groups(
    accounts: pl.Series, directory: pl.DataFrame | None, learned: pl.DataFrame | None = None
) -> pl.DataFrame:
    """One row per account: account, group, hired (null where that is not known), service; sorted.

    Service accounts are a group of their own kind within their group: a nightly job is no
    colleague of the people it works for. Without a directory, ``learned`` (``by_use``) says.
    """
    frame = accounts.unique().sort().rename("account").to_frame()
    if directory is None:
        rest = REST
        listed = pl.DataFrame(schema=GROUPS) if learned is None else learned
        listed = listed.with_columns(hired=pl.lit(None, pl.Date), service=pl.lit(value=False))
    else:
        rest = UNKNOWN
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


def group_of(accounts: pl.DataFrame) -> dict[str, str]:
    """The group of each account of ``groups``."""
    return dict(accounts.select(list(GROUPS)).iter_rows())


def by_use(touched: pl.DataFrame) -> pl.DataFrame:
    """account, group: who works most with the same table through the same program.

    From TOUCHED. A group is named by them; small ones join others with the same program.
    """
    return by_dominant(dominant(touched))


def dominant(touched: pl.DataFrame) -> pl.DataFrame:
    """account, application, object: those that each account uses most, from TOUCHED."""
    found = touched.select(pl.col("account").unique().sort())
    for dimension in ("application", "object"):
        found = found.join(most_used(touched, dimension), on="account", how="left")
    return found


def by_dominant(dominant: pl.DataFrame) -> pl.DataFrame:
    """``by_use``, of ``dominant``."""
    program = pl.col("application").fill_null("?")
    fine = pl.concat_str(
        pl.lit("mostly "), pl.col("object").fill_null("?"), pl.lit(" by "), program
    )
    coarse = pl.concat_str(pl.lit("by "), program)
    named = dominant.with_columns(fine=fine, coarse=coarse)
    few_fine = pl.len().over("fine") < SMALLEST
    named = named.with_columns(group=pl.when(few_fine).then("coarse").otherwise("fine"))
    few = pl.len().over("group") < SMALLEST
    return named.select("account", group=pl.when(few).then(pl.lit(REST)).otherwise("group")).sort(
        "account"
    )
