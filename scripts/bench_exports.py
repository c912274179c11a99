"""Measures how fast exports of data platforms and audit trails are read.

Usage:

    python scripts/bench_exports.py [--lines 300000] [SOURCE ...]

For each source it writes a log from its sample in tests/data, of which every line has its own
literal, address and time, and reads it. Beside it stand two floors of the same run: reading the
bytes, and DuckDB's JSON reader asked for three of the columns. Times are of the wall clock; busy
seconds of the processor are told too, as other work on the machine does not change them much.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import duckdb

from detector import registry
from detector.reading.export import Preset
from detector.settings import Settings

DATA = Path(__file__).parents[1] / "tests" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("sources", nargs="*")
    chosen = parser.parse_args()
    sources = registry.sources()
    presets = [n for n, s in sources.items() if isinstance(getattr(s.read, "__self__", 0), Preset)]
    print(
        "source                  lines/s   MB/s  cpu us/line  bytes MB/s  DuckDB lines/s  peak MB"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.sources or presets:
            path = Path(folder) / "log.ndjson"
            write(name, path, chosen.lines)
            measure(name, path, chosen.lines)


def entries(name: str) -> list[str]:
    """The entries of a sample, as JSON without superfluous space."""
    path = min((DATA / name).glob("*.ndjson"))
    found = [json.loads(line) for line in path.read_text().splitlines()]
    single = [each for entry in found for each in entry.get("databaseActivityEventList", [entry])]
    return [json.dumps(each, separators=(",", ":")) for each in single if len(each) > 1]


def write(name: str, path: Path, lines: int) -> None:
    texts = entries(name)
    with path.open("w") as file:
        for i in range(lines):
            text = texts[i % len(texts)]
            for word, own in (
                ("SECRET-4711", f"p{i}"),
                ("alice", f"agent{i % 3000}"),
                ("ALICE", f"AGENT{i % 3000}"),
                ("10.1.2.3", f"10.1.{i % 200}.{i % 250}"),
                (":00.123", f":{i % 60:02}.{i % 1000:03}"),
                ('"statementId":8', f'"statementId":8{i // 3}'),
                ('"STATEMENT_ID":1', f'"STATEMENT_ID":1{i // 2}'),
                ('"session_id":54', f'"session_id":{i // 2}'),
                ("yKOgWn2C", f"yK{i // 2}"),
            ):
                text = text.replace(word, own)
            file.write(text + "\n")


def measure(name: str, path: Path, lines: int) -> None:
    source = registry.sources()[name]
    start, busy = time.perf_counter(), time.process_time()
    done = 0
    for batch in source.read(path, Settings(), {}):
        done += len(batch.events) + len(batch.rejects) + batch.skipped
    took, busy = time.perf_counter() - start, time.process_time() - busy
    if done != lines:
        raise SystemExit(f"{name}: {done} of {lines} lines are accounted for")
    size = path.stat().st_size / 1e6
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 23):
            pass
    raw = time.perf_counter() - start
    columns = ", ".join(f'"{key}"' for key in list(json.loads(entries(name)[0]))[:3])
    start = time.perf_counter()
    json_reader = f"read_json('{path}', format = 'newline_delimited')"
    duckdb.sql(f"SELECT max(hash({columns})) FROM {json_reader}").fetchall()
    duck = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"{name:22}{lines / took:9,.0f}{size / took:7.0f}{busy / lines * 1e6:13.1f}"
        f"{size / raw:12,.0f}{lines / duck:16,.0f}{peak:9.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
