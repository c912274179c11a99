"""Measures how fast each source reads, beside reading the bytes and DuckDB's readers.

    python -m benchmarks sources [--mb 100] [--repeat 1] [--work DIR] [--ledger] [SOURCE ...]

The logs come from samples.py, events.py and follow.py. Every figure is of a process of its own, the
fastest of ``--repeat``; loading libraries is not timed. ``bytes`` reads the file and counts its
lines; ``duckdb`` parses the same file, as JSON, as CSV or with each line as one column, and hashes
all of each row. CPU is that of all cores, and changes least with what else the machine does. With
``--ledger``, logs are read into a ledger instead, as ``detector train`` does, and the peak of its
memory is told. JSON lines on stdout, a table on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import ROOT, ingest, samples

#: Rows that events.py and follow.py make, by name: the source, the module and what it is
#: given, with how many events are in a megabyte.
EVENTS = {
    "csv": ("csv", "events", 7_000),
    "ndjson": ("ndjson", "follow", 6_000),
    "pgaudit": ("postgresql_csvlog", "events", 2_300),
}
NAMES = [*EVENTS, *samples.LOGS, *samples.EXPORTS]
TEXT = {"mysql_slow_log", "mariadb_server_audit"}
CSV = {"csv", "pgaudit", "postgresql_csvlog"}
#: Lines a second that are demanded: of text logs, and of JSON with an object a line.
TEXT_TARGET, JSON_TARGET = 150_000, 500_000
#: Megabytes that reading a log of any size may take.
MEMORY_MB = 1500


def made(name: str, folder: Path, size: int) -> Path:
    """The log, made by a module of its own: a process that measures others must stay small, as
    the kernel's account of a child's peak memory begins with what its parent held.
    """
    if name in EVENTS:
        _, module, per_mb = EVENTS[name]
        events = str(size * per_mb)
        if name == "ndjson":
            path = folder / f"{name}-{size}.ndjson"
            arguments = ["make", str(path), events]
        else:
            kind = "csvlog" if name == "pgaudit" else name
            arguments = [kind, str(folder), events, *([events] if name == "pgaudit" else [])]
    else:
        module = "samples"
        arguments = [name, str(folder), str(size)]
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"benchmarks sources: {' '.join(command)} failed with {done.returncode}")
    return path if name == "ndjson" else Path(done.stdout.strip())


def source_of(name: str) -> str:
    """The source that reads the log of this name."""
    return EVENTS[name][0] if name in EVENTS else name


def detector(name: str, path: Path) -> Callable[[], int]:
    """Records that our source accounts for: events, rejects, and what is skipped."""
    from detector import registry
    from detector.core.settings import Settings
    from detector.normalize.reader_state import ReaderState
    from detector.readers.log_input import LocalFile

    source = registry.sources()[source_of(name)]

    def run() -> int:
        batches = source.read(LocalFile(path), Settings(), ReaderState())
        return sum(len(each.events) + len(each.rejects) + each.skipped for each in batches)

    return run


def floor(_name: str, path: Path) -> Callable[[], int]:
    """The lines of the file, counted."""

    def run() -> int:
        lines = 0
        with path.open("rb", buffering=0) as file:
            while data := file.read(8 << 20):
                lines += data.count(b"\n")
        return lines

    return run


def duckdb(name: str, path: Path) -> Callable[[], int]:
    """Rows that DuckDB's JSON or CSV reader finds."""
    import duckdb as engine

    if name in TEXT:
        how = "columns = {'line': 'varchar'}, delim = '\\x01', quote = '', escape = ''"
        reader = f"read_csv('{path}', {how})"
    elif name == "csv":
        reader = f"read_csv('{path}')"
    elif name in CSV:  # texts with line breaks are beyond its parallel reader
        how = "header = false, all_varchar = true, parallel = false, max_line_size = 100000000"
        reader = f"read_csv('{path}', {how})"
    else:
        how = "format = 'newline_delimited', ignore_errors = true, maximum_object_size = 100000000"
        reader = f"read_json('{path}', {how})"
    query = f"select count(*), max(hash(x)) from {reader} x"
    return lambda: int(engine.sql(query).fetchall()[0][0])


def ledger(name: str, path: Path) -> Callable[[], int]:
    """Records that are summed in a ledger, or rejected."""

    def run() -> int:
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            told = ingest.ingest(source_of(name), path, Path(scratch))
        return told["events"] + told["rejects"]

    return run


FLOORS = {"detector": detector, "bytes": floor, "duckdb": duckdb}
JOBS = {**FLOORS, "ledger": ledger}


def job(name: str, job_name: str, path: Path) -> None:
    """Runs a job in this process and prints what it took."""
    run = JOBS[job_name](name, path)
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    found = run()
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    busy = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    told = {"found": found, "seconds": seconds, "cpu_s": busy, "peak_mb": used.ru_maxrss // 1024}
    print(json.dumps(told))


def measured(name: str, job_name: str, path: Path, repeat: int) -> dict[str, float]:
    """The fastest of some runs of a job, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sources", "--job", job_name]
    command += ["--work", str(path), name]
    runs = []
    for _ in range(repeat):
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"benchmarks sources: {job_name} {name} failed with {done.returncode}")
        runs.append(json.loads(done.stdout))
    return min(runs, key=lambda run: run["seconds"])


def row(name: str, path: Path, repeat: int) -> dict[str, object]:
    """All jobs of one log."""
    runs = {each: measured(name, each, path, repeat) for each in FLOORS}
    ours, size, lines = runs["detector"], path.stat().st_size / 1e6, runs["bytes"]["found"]
    wanted = TEXT_TARGET if name in TEXT | CSV else JSON_TARGET
    speed = lines / ours["seconds"]
    return {
        "source": name,
        "file_mb": round(size),
        "records": ours["found"],
        "lines_a_second": round(speed),
        "mb_a_second": round(size / ours["seconds"], 1),
        "cpu_us_a_line": round(ours["cpu_s"] / lines * 1e6, 2),
        "peak_mb": ours["peak_mb"],
        "bytes_mb_a_second": round(size / runs["bytes"]["seconds"]),
        "duckdb_lines_a_second": round(lines / runs["duckdb"]["seconds"]),
        "duckdb_cpu_us_a_line": round(runs["duckdb"]["cpu_s"] / lines * 1e6, 2),
        "seconds / bytes": round(ours["seconds"] / runs["bytes"]["seconds"], 1),
        "seconds / duckdb": round(ours["seconds"] / runs["duckdb"]["seconds"], 2),
        "cpu / duckdb": round(ours["cpu_s"] / runs["duckdb"]["cpu_s"], 2),
        "wanted_lines_a_second": wanted,
        "reached": speed >= wanted,
    }


def in_ledger(name: str, path: Path, repeat: int) -> dict[str, object]:
    """What it takes to read one log into a ledger."""
    run, size = measured(name, "ledger", path, repeat), path.stat().st_size / 1e6
    return {
        "source": name,
        "file_mb": round(size),
        "records": run["found"],
        "seconds": round(run["seconds"], 1),
        "cpu_s": round(run["cpu_s"], 1),
        "mb_a_second": round(size / run["seconds"], 1),
        "peak_mb": run["peak_mb"],
        "wanted_mb": MEMORY_MB,
        "reached": run["peak_mb"] <= MEMORY_MB,
    }


HEAD = (
    "| source | lines/s | MB/s | CPU µs/line | DuckDB lines/s | DuckDB CPU µs/line | bytes MB/s "  # noqa: RUF001 - a micro sign
    "| time / bytes | time / DuckDB | CPU / DuckDB | peak MB | wanted lines/s |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def markdown(line: dict[str, object]) -> str:
    """One row of the table."""
    cells = [
        *("source", "lines_a_second", "mb_a_second", "cpu_us_a_line", "duckdb_lines_a_second"),
        *("duckdb_cpu_us_a_line", "bytes_mb_a_second", "seconds / bytes", "seconds / duckdb"),
        *("cpu / duckdb", "peak_mb"),
    ]
    shown = [f"{line[cell]:,}" if cell != "source" else f"`{line[cell]}`" for cell in cells]
    verdict = "reached" if line["reached"] else "missed"
    return f"| {' | '.join(shown)} | {line['wanted_lines_a_second']:,} {verdict} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", nargs="*", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--mb", type=int, default=100, help="size of each log (default 100)")
    parser.add_argument("--repeat", type=int, default=1, help="take the fastest of so many runs")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "detector-logs")
    parser.add_argument("--ledger", action="store_true", help="into a ledger: how much memory")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job(options.sources[0], options.job, options.work)
        return 0
    if unknown := set(options.sources) - set(NAMES):
        sys.exit(f"benchmarks sources: knows {', '.join(NAMES)}; not {min(unknown)}")
    options.work.mkdir(parents=True, exist_ok=True)
    if options.ledger:
        for name in options.sources or NAMES:
            path = made(name, options.work, options.mb)
            print(json.dumps(in_ledger(name, path, options.repeat)), flush=True)
        return 0
    print(HEAD, file=sys.stderr)
    for name in options.sources or NAMES:
        line = row(name, made(name, options.work, options.mb), options.repeat)
        print(json.dumps(line), flush=True)
        print(markdown(line), file=sys.stderr, flush=True)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{os.cpu_count()} cores; load of the last 1, 5, 15 minutes: {load}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    sys.exit(main())
