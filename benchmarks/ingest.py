"""Taking a log in, and its yardsticks, each in a process of its own; what pseudonyms cost.

    python -m benchmarks.ingest ingest|floor|duckdb parquet|csv|csvlog LOG SCRATCH

*ingest* takes the name of any source in place of parquet, csv and csvlog.
Prints one JSON object with what was computed, so that the jobs can be compared.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

DIMENSIONS = ("object", "client_address", "application", "database", "statement")
TEXT = ("account", "action", *DIMENSIONS)
SOURCES = {"parquet": "parquet", "csv": "csv", "csvlog": "postgresql_csvlog"}
CSVLOG_COLUMNS = 26


def ingest(kind: str, log: Path, scratch: Path) -> dict[str, int]:
    """Both ledger tables, through detector's own ingest."""
    from detector import registry
    from detector.core.settings import Settings
    from detector.ledger.ingest import ingest as run
    from detector.ledger.store import Ledger
    from detector.readers.log_input import LocalFile

    found = {name.replace("-", "_"): source for name, source in registry.sources().items()}
    source = found[SOURCES.get(kind, kind)]
    ledger = Ledger.open(scratch / "ledger", "UTC")
    files = [(LocalFile(log), source)]
    report = run(files, ledger, Settings(), lambda _done, _words: None).files[0]
    return {
        "events": report.events,
        "rejects": report.rejects,
        "hours_rows": _stored(scratch / "ledger" / "hours"),
        "touched_rows": _stored(scratch / "ledger" / "touched"),
    }


def _stored(folder: Path) -> int:
    """Rows in the Parquet files of a folder, from their footers."""
    from pyarrow.parquet import read_metadata

    return sum(read_metadata(path).num_rows for path in folder.rglob("*.parquet"))


def floor(kind: str, log: Path, _scratch: Path) -> dict[str, int]:
    """Polars reading the same columns and summing them: lengths for text."""
    import polars as pl

    if kind == "csvlog":
        frame = pl.scan_csv(log, has_header=False, schema={
            f"column_{n}": pl.String for n in range(1, CSVLOG_COLUMNS + 1)
        })  # fmt: skip
        sums = frame.select(pl.len().alias("events"), pl.all().str.len_bytes().sum())
    else:
        parquet = kind == "parquet"
        frame = pl.scan_parquet(log) if parquet else pl.scan_csv(log, try_parse_dates=True)
        sums = frame.select(
            pl.len().alias("events"),
            pl.col("rows", "bytes", "success").sum(),
            pl.col("timestamp").max(),
            *(pl.col(name).str.len_bytes().sum() for name in TEXT),
        )
    return {"events": int(sums.collect(engine="streaming")["events"][0])}


def duckdb(kind: str, log: Path, scratch: Path) -> dict[str, int]:
    """The same two tables by SQL, in the fastest way we found, written as Parquet.

    One pass with grouping sets for *touched*: five separate queries take three times as long.
    """
    import duckdb as engine

    con = engine.connect()
    con.execute("set preserve_insertion_order = false")
    con.execute(f"set temp_directory = '{scratch / 'duckdb'}'")
    source = _duckdb_source(kind, log)
    if kind != "parquet":  # parsing twice would cost more than a table in between
        con.execute(f"create temp table parsed as {source}")
        source = "select * from parsed"
    con.execute(f"copy ({_hours(source)}) to '{scratch / 'hours.parquet'}' (compression zstd)")
    con.execute(f"copy ({_touched(source)}) to '{scratch / 'touched.parquet'}' (compression zstd)")
    counted = con.execute(
        f"select sum(statements), count(*), (select count(*) from '{scratch / 'touched.parquet'}') "
        f"from '{scratch / 'hours.parquet'}'"
    ).fetchall()[0]
    return dict(zip(("events", "hours_rows", "touched_rows"), map(int, counted), strict=True))


def _duckdb_source(kind: str, log: Path) -> str:
    hour = "epoch_us(timestamp) // 3600000000 as hour"
    plain = f"{hour}, rows, bytes, success, {', '.join(TEXT)}"
    if kind == "parquet":
        return f"select {plain} from read_parquet('{log}')"
    if kind == "csv":
        return f"select {plain} from read_csv('{log}')"
    names = ", ".join(f"'c{number}': 'varchar'" for number in range(CSVLOG_COLUMNS))
    # The first line of a message holds all but the text; its last number is the row count.
    pattern = r"^AUDIT: \w+,\d+,\d+,(\w*),([^,]*),(\w*),([^,]*),"
    return f"""
        select epoch_us(strptime(c0[:23], '%Y-%m-%d %H:%M:%S.%g')) // 3600000000 as hour,
            c1 as account, c2 as database, regexp_extract(c4, '^(.*):\\d+$', 1) as client_address,
            c22 as application, lower(m.action) as action, m.object as object,
            md5(regexp_replace(c13, $$'[^']*'|\\b\\d+\\b$$, '?', 'g')) as statement,
            try_cast(regexp_extract(c13, ',(\\d+)$', 1) as bigint) as rows,
            null::bigint as bytes, true as success
        from (select *, regexp_extract(c13, '{pattern}', ['action', 'command', 'type', 'object'])
            as m from read_csv('{log}', header = false, columns = {{{names}}}, quote = '"',
            escape = '"', delim = ','))
        where c13 like 'AUDIT:%'"""


def _hours(source: str) -> str:
    return f"""
        select hour, account, action, count(*) as statements, coalesce(sum(rows), 0) as rows,
            count(*) filter (rows is null and success and action in ('read', 'export'))
                as unknown_rows,
            max(rows) as largest, sum(round(ln(1 + rows) * 1e6)::bigint) as log_rows,
            sum(bytes) as bytes, count(*) filter (not success) as failures
        from ({source}) group by all"""


def _touched(source: str) -> str:
    sets = ", ".join(f"(day, account, {name})" for name in DIMENSIONS)
    which = " ".join(f"when grouping({name}) = 0 then '{name}'" for name in DIMENSIONS)
    value = " ".join(f"when grouping({name}) = 0 then {name}" for name in DIMENSIONS)
    return f"""
        select * from (
            select day, account, case {which} end as dimension, case {value} end as value,
                count(*) as statements, coalesce(sum(rows), 0) as rows, min(hour) as first_hour
            from (select *, hour // 24 as day from ({source})) group by grouping sets ({sets}))
        where value is not null"""


JOBS = {"ingest": ingest, "floor": floor, "duckdb": duckdb}

if __name__ == "__main__":
    job, kind, log, scratch = sys.argv[1:]
    print(json.dumps(JOBS[job](kind, Path(log), Path(scratch))))
