"""The tables the stages meet through. Nothing else is shared between them.

Each schema maps column names to polars types; ``check`` refuses a frame that differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import polars as pl

Schema: TypeAlias = Mapping[str, pl.DataType]

TIMESTAMP: Final = pl.Datetime("us", "UTC")

#: One statement (or one record access) by one account at one time.
#: ``rows`` null means the log does not say, which is not 0. ``statement`` is a fingerprint,
#: never the text. ``other_objects`` are the further relations that the same statement named
#: (a join): they are counted in *touched*, while the statement and its rows count once.
#: ``subject`` is the keyed hash of whose record was read, never the id.
EVENTS: Final[Schema] = {
    "timestamp": TIMESTAMP,
    "account": pl.String(),
    "client_address": pl.String(),
    "application": pl.String(),
    "database": pl.String(),
    "object": pl.String(),
    "other_objects": pl.List(pl.String()),
    "subject": pl.String(),
    "action": pl.String(),
    "rows": pl.Int64(),
    "bytes": pl.Int64(),
    "duration_ms": pl.Float64(),
    "statement": pl.String(),
    "success": pl.Boolean(),
}

ACTIONS: Final = ("read", "write", "export", "schema", "login", "other")

#: Actions that return records. A login or a schema change has no row count to miss, and a
#: write is not a reading of records, so only these can be of unknown size.
READ_ACTIONS: Final = ("read", "export")

#: A line of a log that could not become an event. ``line`` counts from 1; for Parquet it is
#: the row.
REJECTS: Final[Schema] = {
    "file": pl.String(),
    "line": pl.Int64(),
    "reason": pl.String(),
}

#: Sums per hour (UTC), account and action. ``largest`` is the largest known single result;
#: ``log_rows`` is the sum of log1p(rows) in millionths (integers, so that sums do not depend
#: on their order), ``lists`` and ``log_list_rows`` count the statements that returned two records
#: or more, and their part of ``log_rows``: a look at one record says nothing of how long lists are.
#: ``unknown_rows`` counts statements whose row count the log does not give.
#: ``minutes`` has bit k set where a statement was made in minute k of the hour: parts merge by or.
HOURLY_SUMS: Final[Schema] = {
    "hour": TIMESTAMP,
    "account": pl.String(),
    "action": pl.String(),
    "statements": pl.Int64(),
    "rows": pl.Int64(),
    "unknown_rows": pl.Int64(),
    "largest": pl.Int64(),
    "log_rows": pl.Int64(),
    "lists": pl.Int64(),
    "log_list_rows": pl.Int64(),
    "bytes": pl.Int64(),
    "failures": pl.Int64(),
    "minutes": pl.Int64(),
}

#: What each account touched on each day (of the ledger's time zone), one row per value of each
#: dimension. Of subjects a sample is kept (``ledger.sketch``), and only when each was first read:
#: their statements and rows are 0.
TOUCHED_VALUES: Final[Schema] = {
    "day": pl.Date(),
    "account": pl.String(),
    "dimension": pl.String(),
    "value": pl.String(),
    "statements": pl.Int64(),
    "rows": pl.Int64(),
    "first_hour": TIMESTAMP,
}

SUBJECT: Final = "subject"
DIMENSIONS: Final = ("object", "client_address", "application", "database", "statement", SUBJECT)

#: What ``score`` writes: one row per entity and hour in which it was active.
#: ``time`` is the end of that hour. ``surprise`` is -log10 of the calibrated p-value of the day
#: so far, null where the entity could not be scored. ``rows`` are the records read or exported
#: in that hour; ``expected_rows`` its usual day spread over its usual number of active hours.
SCORES: Final[Schema] = {
    "date": pl.Date(),
    "time": TIMESTAMP,
    "entity_kind": pl.String(),
    "entity": pl.String(),
    "surprise": pl.Float64(),
    "rows": pl.Int64(),
    "expected_rows": pl.Float64(),
    "alert_id": pl.String(),
}

#: What ``drill`` writes: one row per staged campaign. ``records`` are those taken on the stage,
#: ``exposure`` the share of them out before the first alert (1 if there was none), ``days`` from
#: the first act to the first alert, ``found_by`` the kind of entity that alert was on.
DRILL_RESULTS: Final[Schema] = {
    "campaign": pl.String(),
    "kind": pl.String(),
    "entity_kinds": pl.List(pl.String()),
    "accounts": pl.Int64(),
    "first_act": TIMESTAMP,
    "first_alert": TIMESTAMP,
    "days": pl.Float64(),
    "records": pl.Int64(),
    "exposure": pl.Float64(),
    "found_by": pl.String(),
    "benign_alerts_a_day": pl.Float64(),
}

#: What really happened, as far as it is known: one row per entity of an incident. Rows of one
#: ``campaign`` are one incident.
INCIDENTS: Final[Schema] = {
    "campaign": pl.String(),
    "kind": pl.String(),
    "entity_kind": pl.String(),
    "entity": pl.String(),
    "start": TIMESTAMP,
    "end": TIMESTAMP,
    "records": pl.Int64(),
}

#: The directory of accounts, optional.
DIRECTORY: Final[Schema] = {
    "account": pl.String(),
    "group": pl.String(),
    "role": pl.String(),
    "kind": pl.String(),
    "hired": pl.Date(),
}


def empty(schema: Schema) -> pl.DataFrame:
    """A frame of ``schema`` without rows."""
    return pl.DataFrame(schema=dict(schema))


def check(frame: pl.DataFrame, schema: Schema, name: str) -> pl.DataFrame:
    """The frame itself, if its columns and types are exactly ``schema``'s.

    Raises TypeError otherwise: a stage that breaks its contract is a defect, not bad input.
    """
    got = dict(frame.schema)
    wanted = dict(schema)
    if got != wanted or list(got) != list(wanted):
        differing = {
            column: (got.get(column), wanted.get(column))
            for column in {*got, *wanted}
            if got.get(column) != wanted.get(column)
        }
        raise TypeError(f"{name} has other columns than its schema: {differing or list(got)}")
    return frame
