"""From codes to canonical events."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.addresses import Addresses
from simulation.agency.reads import Statements, seconds


def events(
    statements: Statements,
    accounts: list[str],
    addresses: Addresses,
    hours: NDArray[np.int64],
    releases: NDArray[np.int64],
) -> pl.DataFrame:
    """Events in the order of time: ``schema.EVENTS`` without ``other_objects``.

    ``hours`` is when each local hour begins (``workdays.utc_hours``). ``releases`` is day x
    template (``systems.releases``). Times are whole seconds.
    """
    time = seconds(statements, hours)
    order = np.argsort(time, kind="stable")
    template, variant = statements.template[order], statements.variant[order]
    rows = statements.rows[order]
    release = releases[statements.day[order], template]
    statement = (release * len(catalogue.ALL) + template) * catalogue.VARIANTS + variant
    unknown = pl.Series(rows < 0)
    count = len(order)
    return pl.DataFrame(
        {
            "timestamp": pl.Series(time[order] * 1_000_000).cast(pl.Datetime("us", "UTC")),
            "account": _named(accounts, statements.account[order]),
            "client_address": _named(addresses.book, statements.address[order]),
            "application": _named([one.application for one in catalogue.ALL], template),
            "database": pl.repeat(catalogue.DATABASE, count, eager=True),
            "object": _named([one.table or None for one in catalogue.ALL], template),
            "action": _named([one.action for one in catalogue.ALL], template),
            "rows": pl.Series(rows).set(unknown, None),
            "bytes": pl.Series(rows * _widths()[template]).set(unknown, None),
            "duration_ms": pl.repeat(None, count, dtype=pl.Float64, eager=True),
            "statement": _named(_fingerprints(int(releases.max())), statement),
            "success": pl.Series(statements.success[order]),
        }
    )


def _widths() -> NDArray[np.int64]:
    """Bytes of a row, by template."""
    widths = [catalogue.TABLES[one.table][1] if one.table else 0 for one in catalogue.ALL]
    return np.array(widths, dtype=np.int64)


def _fingerprints(last: int) -> list[str | None]:
    """Fingerprints by release, template and variant, the variants of a template together."""
    templates, variants = range(len(catalogue.ALL)), range(catalogue.VARIANTS)
    return [
        catalogue.fingerprint(one, variant, release)
        for release in range(last + 1)
        for one in templates
        for variant in variants
    ]


def _named(names: list[str] | list[str | None], codes: NDArray[np.int64]) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(pl.Series(codes.astype(np.uint32)))
