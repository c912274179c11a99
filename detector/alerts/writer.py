"""What ``score`` writes: four files, each whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import polars as pl

from detector.alerts.alert import Alert
from detector.alerts.incidents import Incident
from detector.core import files
from detector.core.errors import InputError
from detector.core.schema import SCORES, check, empty
from detector.features.aggregates import ACCOUNT


def concat_scores(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The scores of all days as one frame of SCORES."""
    return check(pl.concat(parts) if parts else empty(SCORES), SCORES, "scores")


def write(
    out: Path,
    scores: pl.DataFrame,
    alerts: Iterable[Alert],
    rejects: pl.LazyFrame,
    encode: Callable[[Alert], bytes],
) -> None:
    """Writes alerts.ndjson, rejects.ndjson and scores.parquet into ``out``.

    ``encode`` gives an alert as one line of JSON, without its end.

    A reader never sees half of one. Raises InputError where one cannot be written.
    """
    try:
        files.make_folder(out)
        files.write_atomically(
            out / "alerts.ndjson", b"".join(encode(alert) + b"\n" for alert in alerts)
        )
        with files.replacement(out / "rejects.ndjson") as fresh:
            rejects.sink_ndjson(fresh)
        with files.replacement(out / "scores.parquet") as fresh:
            scores.write_parquet(fresh, compression="zstd")
    except OSError as error:
        raise InputError.not_written(error, out) from error


def write_day_scores(out: Path, day: date, scores: pl.DataFrame) -> None:
    """Writes SCORES of one day into ``out``. Raises InputError."""
    try:
        files.make_folder(out / "scores")
        with files.replacement(out / "scores" / f"{day.isoformat()}.parquet") as fresh:
            check(scores, SCORES, "scores").write_parquet(
                fresh, compression="zstd", compression_level=1, statistics=False
            )
    except OSError as error:
        raise InputError.not_written(error, out) from error


def write_suppressed(out: Path, held: Iterable[Alert]) -> None:
    """Writes held.ndjson, beside the others: alerts that were expected. Raises InputError."""
    try:
        lines = "".join(f"{json.dumps(alert, ensure_ascii=True)}\n" for alert in held)
        files.write_atomically(out / "held.ndjson", lines.encode())
    except OSError as error:
        raise InputError.not_written(error, out) from error


def rows_since(scores: pl.DataFrame, incident: Incident) -> int:
    """Records read by an incident's accounts, each from the day of its first alert on.

    Where no account alerted, by the address, table or group that read the most.
    """
    first: dict[tuple[str, str], str] = {}
    for alert in incident.alerts:
        first.setdefault((alert["entity_kind"], alert["entity"]), alert["date"])
    since = pl.DataFrame(
        [(kind, entity, day) for (kind, entity), day in first.items()],
        schema={"entity_kind": pl.String, "entity": pl.String, "since": pl.String},
        orient="row",
    ).with_columns(pl.col("since").str.to_date())
    sums = (
        scores.join(since, on=["entity_kind", "entity"])
        .filter(pl.col("date") >= pl.col("since"))
        .group_by("entity_kind", "entity")
        .agg(pl.col("rows").sum())
    )
    accounts = sums.filter(pl.col("entity_kind") == ACCOUNT)["rows"].to_list()
    return sum(accounts) if accounts else max(sums["rows"].to_list(), default=0)
