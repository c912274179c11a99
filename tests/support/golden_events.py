"""What each sample of a log must be read as, kept beside the samples.

To write the files anew after a change that is meant (and look at the difference before it is kept):

    python tests/support/golden_events.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
from export_logs import SAMPLES as EXPORTS

from detector import registry
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "golden"
SOURCES = registry.sources()
OWN = (
    *("mysql_slow_log", "mariadb_server_audit", "mysql_audit_json"),
    *("mongodb_log", "mongodb_profiler"),
)
PLANS = [
    *("auto_explain_json", "auto_explain_text", "log_statement_duration", "min_duration0"),
    *("pgaudit_plus_autoexplain", "pg17-auto_explain", "pg18-auto_explain"),
]


def samples() -> list[tuple[str, Path]]:
    """(source, sample)."""
    found = [(name, path) for name in OWN for path in sorted((DATA / name).iterdir())]
    csvs = [DATA / "postgresql" / f"{name}.csv.gz" for name in PLANS]
    return found + [("postgresql_csvlog", path) for path in csvs]


def golden(name: str, path: Path) -> Path:
    return GOLDEN / f"{name}-{path.name.split('.gz')[0]}.csv"


def read(name: str, path: Path) -> str:
    """The events of a sample as CSV, then a line of what became of the rest."""
    batches = list(SOURCES[name].read(LocalFile(path), Settings(), ReaderState()))
    events = pl.concat([batch.events for batch in batches])
    rejected = sum(batch.rejects.height for batch in batches)
    skipped = sum(batch.skipped for batch in batches)
    others = pl.col("other_objects").list.join(" & ")
    table = events.with_columns(others, pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    return f"{table.write_csv()}# {rejected} rejects, {skipped} skipped\n"


def golden_export(name: str, file: str) -> Path:
    """Of a sample of an export."""
    return DATA / name / "golden" / f"{file.rsplit('.', 1)[0]}.json"


def lines(events: pl.DataFrame) -> list[dict[str, Any]]:
    """Events as plain rows, in an order of their own."""
    told = events.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    return sorted(told.to_dicts(), key=lambda row: (row["timestamp"], str(row)))


def write_exports() -> None:
    for name, file in EXPORTS:
        batches = list(SOURCES[name].read(LocalFile(DATA / name / file), Settings(), ReaderState()))
        events = pl.concat([batch.events for batch in batches])
        rows = ",\n  ".join(json.dumps(row) for row in lines(events))
        skipped = sum(batch.skipped for batch in batches)
        path = golden_export(name, file)
        path.parent.mkdir(exist_ok=True)
        text = f'{{"events": [\n  {rows}],\n "skipped": {skipped}}}\n'
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for source, sample in samples():
        golden(source, sample).write_text(read(source, sample), encoding="utf-8")
    write_exports()
