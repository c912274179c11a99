"""Measures how fast logs of databases are read, beside reading their bytes and DuckDB's reader.

    python scripts/bench_logs.py [--mb 200] [--work DIR] [SOURCE ...]

Each log is a sample of tests/data repeated, with other numbers in its statements each time, so that
texts repeat as little as they do in life. Every figure is of a process of its own (``cpu_s``, of
all cores, does not change with what else the machine does); ``duckdb`` reads
the same file line by line (text) or as JSON. JSON lines on stdout: lines and MB a second, peak MB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = {
    "mysql_slow_log": "mysql_slow_log/mariadb10.11-full.log.gz",
    "mariadb_server_audit": "mariadb_server_audit/mariadb10.11-full.log.gz",
    "mysql_audit_json": "mysql_audit_json/percona-plugin.log",
    "mongodb_log": "mongodb_log/mongod.log",
    "mongodb_profiler": "mongodb_profiler/system.profile.json",
    "postgresql_csvlog": "postgresql/auto_explain_json.csv.gz",
    "postgresql_jsonlog": "postgresql/min_duration0.json.gz",
}
JSON = {"mysql_audit_json", "mongodb_log", "mongodb_profiler", "postgresql_jsonlog"}
NUMBER = re.compile(rb"(id *<?= *)\d+")


def made(name: str, folder: Path, size: int) -> Path:
    """A log of about ``size`` MB; kept for the next run."""
    from detector.reading.opening import chunks

    path = folder / f"{name}-{size}.log"
    if path.exists():
        return path
    sample = b"".join(data for data, _ in chunks(ROOT / "tests" / "data" / SAMPLES[name]))
    with path.open("wb") as file:
        for number in range(max(1, size * 1_000_000 // len(sample))):
            file.write(NUMBER.sub(rb"\g<1>%d" % (number * 7919), sample))
    return path


def detector(name: str, path: Path) -> int:
    """Events that our source reads."""
    from detector import registry
    from detector.settings import Settings

    batches = registry.sources()[name].read(path, Settings(), {})
    return sum(batch.events.height for batch in batches)


def floor(_name: str, path: Path) -> int:
    """The lines of the file, counted."""
    lines = 0
    with path.open("rb") as file:
        while data := file.read(8 << 20):
            lines += data.count(b"\n")
    return lines


def duckdb(name: str, path: Path) -> int:
    """What DuckDB's JSON reader, or its CSV reader with a line as one column, makes of it."""
    import duckdb as engine

    if name in JSON:
        how = "format = 'newline_delimited', ignore_errors = true, maximum_object_size = 100000000"
        query = f"select count(*), sum(length(x::varchar)) from read_json('{path}', {how}) x"
    elif name == "postgresql_csvlog":
        how = "header = false, all_varchar = true, parallel = false, max_line_size = 100000000"
        query = f"select count(*), sum(length(x::varchar)) from read_csv('{path}', {how}) x"
    else:
        how = "columns = {'line': 'varchar'}, delim = '\\x01', quote = '', escape = ''"
        query = f"select count(*), sum(length(line)) from read_csv('{path}', {how})"
    return int(engine.sql(query).fetchall()[0][0])


JOBS: dict[str, Callable[[str, Path], int]] = {
    "detector": detector, "floor": floor, "duckdb": duckdb,
}  # fmt: skip


def measured(job: str, name: str, path: Path) -> dict[str, object]:
    """One job in a process of its own."""
    command = [sys.executable, __file__, "--job", job, name, "--work", str(path)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return {"what": f"{job} {name}", "failed": done.returncode}
    found = json.loads(done.stdout)
    seconds, lines = found["seconds"], floor(name, path)
    return {
        "what": f"{job} {name}",
        "found": found["found"],
        "seconds": seconds,
        "cpu_s": found["cpu_s"],
        "lines_a_second": round(lines / seconds),
        "mb_a_second": round(path.stat().st_size / seconds / 1e6),
        "peak_mb": found["peak_mb"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", nargs="*", help=f"of {', '.join(SAMPLES)}; all by default")
    parser.add_argument("--mb", type=int, default=200, help="size of each log (default 200)")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "detector-logs")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        began = time.perf_counter()
        found = JOBS[options.job](options.sources[0], options.work)
        seconds = round(time.perf_counter() - began, 3)
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = round(used.ru_utime + used.ru_stime, 2)
        told = {"found": found, "seconds": seconds, "cpu_s": cpu, "peak_mb": used.ru_maxrss // 1024}
        print(json.dumps(told))
        return 0
    if unknown := set(options.sources) - set(SAMPLES):
        sys.exit(f"bench_logs: knows {', '.join(SAMPLES)}; not {min(unknown)}")
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.sources or SAMPLES:
        path = made(name, options.work, options.mb)
        for job in JOBS:
            print(json.dumps(measured(job, name, path)), flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    sys.exit(main())
