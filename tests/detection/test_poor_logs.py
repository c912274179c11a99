"""Logs that say little: no addresses, no tables, no row counts, one account at each address."""

from __future__ import annotations

import polars as pl
import pytest
from small_office import CUT, SCORED, Office, joined, pages


def _of(log: pl.DataFrame) -> pl.DataFrame:
    """A quarter of the office, robbed after the cut."""
    robbed = joined(log, pages(0, SCORED, 900))
    few = (pl.col("account") < "agent24") & (pl.col("timestamp").dt.date() < SCORED[4])
    return robbed.filter(few)


POOR = {
    "no tables": ["object"],
    "no addresses": ["client_address"],
    "no rows": ["rows"],
}


def _scored(log: pl.DataFrame) -> pl.DataFrame:
    office = Office.of(log)
    return office.score(office.before(CUT).model(), SCORED[:3])


@pytest.mark.slow
@pytest.mark.parametrize("missing", POOR)
def test_a_log_without_a_column_still_finds_bulk_theft(missing, honest_log):
    log = _of(honest_log).with_columns(
        pl.lit(None).cast(pl.Int64 if name == "rows" else pl.String).alias(name)
        for name in POOR[missing]
    )
    scored = _scored(log)
    assert scored.filter(pl.col("entity") == "agent00")["alarming"].any()


@pytest.mark.slow
def test_a_log_of_times_accounts_and_rows_alone_finds_bulk_theft(honest_log):
    log = _of(honest_log).with_columns(
        pl.lit(None, pl.String).alias(name) for name in ("object", "client_address", "application")
    )
    assert _scored(log).filter(pl.col("entity") == "agent00")["alarming"].any()


@pytest.mark.slow
def test_a_log_without_shared_addresses_is_learned_and_scored(honest_log):
    log = _of(honest_log).with_columns(
        client_address=pl.concat_str(pl.lit("10.0.0."), pl.col("account").str.slice(-2))
    )
    scored = _scored(log)
    assert "client_address" not in set(scored["entity_kind"])
    assert scored.filter(pl.col("entity") == "agent00")["alarming"].any()
