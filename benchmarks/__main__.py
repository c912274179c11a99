"""Measures detector beside two yardsticks, and says whether the targets are reached.

    python -m benchmarks [--quick] [--size MILLIONS] [--work DIR]
                         [--only parquet,csv,csvlog,memory,sources,score,sinks,watch,drill]
    python -m benchmarks sources|watch|start|peers|pseudonyms|large [--help] ...

The floor is polars reading the same columns and summing them; the other is DuckDB computing
the same two tables by SQL. Every figure is of a process of its own, started anew; with
``--repeat N`` the fastest of N. JSON lines go to stdout, Markdown to stderr. Generated logs are
kept in ``--work``. The section sources reads a log of each source, beside reading its bytes and
DuckDB's reader. The section sinks has alerts a second for each sink, and the cost of the outbox
beside writing the same lines to a file. The section watch follows logs, beside parsing the same
bytes and beside river's HalfSpaceTrees fed with each event. The section drill, which runs only
where ``--only`` names it, takes ten minutes: it stages thefts for detector and for other ways to
detect. Exits with 1 if a target is missed (not with ``--quick``: small runs are mostly start-up).

The second form runs one measurement by itself: of sources, of watch (how soon alerts come), of
its start after a kill, of the peers in a drill, of pseudonyms, and of many accounts.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import ROOT

MILLION = 1_000_000
KINDS = ("parquet", "csv", "csvlog")
#: What measures something by itself, with options of its own.
ALONE = ("sources", "watch", "start", "peers", "pseudonyms", "large")
OTHERS = ("memory", "sources", "score", "sinks", "watch", "drill")
FLOOR_RATIO = 6.0
MEMORY_MB = 1500
GROWTH = 1.2
SCORE_GROWTH = 1.5
DRILL_S = 180
SINK_JOBS = ("plain", "put", "file", "webhook", "splunk", "elastic", "syslog", "mail", "kafka")


def measure(command: list[str]) -> dict[str, object]:
    """Wall seconds, CPU seconds and peak resident MB of a process, and the JSON it printed."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"benchmarks: {' '.join(command)} failed with {child.returncode}")
        out.seek(0)
        told = out.read()
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": used.ru_maxrss // 1024,
        **json.loads(told or b"{}"),
    }


def module(name: str) -> list[str]:
    """The command of a process of its own."""
    return [sys.executable, "-m", f"benchmarks.{name}"]


def made(name: str, *arguments: object) -> str:
    """What another module printed. This process must stay small: the kernel's account of a
    child's peak memory begins with what its parent held.
    """
    command = [*module(name), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"benchmarks: {' '.join(command)} failed with {done.returncode}")
    return done.stdout.strip()


def log_of(kind: str, work: Path, *sizes: int) -> Path:
    return Path(made("events", kind, work, *sizes))


def job(name: str, kind: str, log: Path, work: Path, repeat: int = 1) -> dict[str, object]:
    """The fastest of some runs of a job; what it wrote is thrown away."""
    runs = []
    for _ in range(repeat):
        scratch = Path(tempfile.mkdtemp(dir=work))
        command = [*module("ingest"), name, kind, str(log), str(scratch)]
        runs.append(measure(command))
        shutil.rmtree(scratch)
    best = min(runs, key=lambda run: run["wall_s"])
    size = log.stat().st_size / MILLION
    return tell({"what": f"{name} {kind}", **best, "file_mb": round(size)})


def tell(line: dict[str, object]) -> dict[str, object]:
    print(json.dumps(line), flush=True)
    return line


def target(words: str, value: float, limit: float) -> dict[str, object]:
    return tell(
        {"target": words, "value": round(value, 2), "limit": limit, "reached": value <= limit}
    )


def bench_ingest(
    kind: str, log: Path, work: Path, repeat: int
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """One format beside its floor and DuckDB."""
    found = {name: job(name, kind, log, work, repeat) for name in ("floor", "duckdb", "ingest")}
    ours = found["ingest"]
    targets = [
        target(f"{kind}: peak memory, MB", ours["peak_mb"], MEMORY_MB),
        target(f"{kind}: ingest / DuckDB", ours["wall_s"] / found["duckdb"]["wall_s"], 1.0),
    ]
    ratio = ours["wall_s"] / found["floor"]["wall_s"]
    if kind == "parquet":
        targets.append(target("parquet: ingest / floor", ratio, FLOOR_RATIO))
    else:
        tell({"ratio": f"{kind}: ingest / floor", "value": round(ratio, 2)})
    return list(found.values()), targets


def bench_memory(
    events: int, work: Path
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The same log, three times as long."""
    one = job("ingest", "parquet", log_of("parquet", work, events), work)
    three = job("ingest", "parquet", log_of("parquet", work, 3 * events), work)
    return [one, three], [
        target("memory of three times the events", three["peak_mb"] / one["peak_mb"], GROWTH)
    ]


def markdown(lines: list[dict[str, object]], targets: list[dict[str, object]]) -> str:
    rows = ["| what | events | wall s | CPU s | peak MB |", "|---|---:|---:|---:|---:|"]
    rows += [
        f"| {line['what']} | {line.get('events', 0):,} | {line['wall_s']} | {line['cpu_s']} "
        f"| {line['peak_mb']} |"
        for line in lines
    ]
    rows += ["", "| target | value | at most | |", "|---|---:|---:|---|"]
    rows += [
        f"| {line['target']} | {line['value']} | {line['limit']} "
        f"| {'reached' if line['reached'] else 'MISSED'} |"
        for line in targets
    ]
    return "\n".join(rows)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=(__doc__ or "").splitlines()[0],
        epilog=f"By itself, with options of its own: {', '.join(ALONE)}",
    )
    parser.add_argument("--quick", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--size", type=float, default=10.0, help="million events (default 10)")
    parser.add_argument("--repeat", type=int, default=1, help="take the fastest of so many runs")
    parser.add_argument("--only", default="parquet,csv,csvlog,memory,sources,score,sinks,watch")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "detector-bench")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    wanted = set(chosen.only.split(","))
    if unknown := wanted - {*KINDS, *OTHERS}:
        known = ", ".join((*KINDS, *OTHERS))
        sys.exit(f"benchmarks: --only knows {known}; not {min(unknown)}")
    chosen.work.mkdir(parents=True, exist_ok=True)
    events = 200_000 if chosen.quick else round(chosen.size * MILLION)
    makers = {
        "parquet": lambda: log_of("parquet", chosen.work, events),
        "csv": lambda: log_of("csv", chosen.work, events),
        "csvlog": lambda: log_of("csvlog", chosen.work, events // 5, events),
    }
    lines: list[dict[str, object]] = []
    targets: list[dict[str, object]] = []
    sections = [
        lambda kind=kind: bench_ingest(kind, makers[kind](), chosen.work, chosen.repeat)
        for kind in KINDS
        if kind in wanted
    ]
    if "memory" in wanted:
        sections.append(lambda: bench_memory(events, chosen.work))
    if "sources" in wanted:
        sections.append(lambda: sources(chosen.work, chosen.repeat, quick=chosen.quick))
    if "score" in wanted:
        sections.append(lambda: score(chosen.work, quick=chosen.quick))
    if "sinks" in wanted:
        sections.append(lambda: sinks(chosen.work, quick=chosen.quick))
    if "watch" in wanted:
        sections.append(lambda: watch(chosen.work, events, quick=chosen.quick))
    if "drill" in wanted:
        sections.append(lambda: drill(chosen.work, quick=chosen.quick))
    for section in sections:
        measured, judged = section()
        lines += measured
        targets += judged
    print(markdown(lines, targets), file=sys.stderr)
    return 0 if chosen.quick or all(line["reached"] for line in targets) else 1


def sources(
    work: Path, repeat: int, *, quick: bool
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The sources' table on stderr, and a target of lines a second for each."""
    size = "5" if quick else "200"
    script = [*module("sources"), "--work", str(work)]
    command = [*script, "--mb", size, "--repeat", str(repeat)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"benchmarks: sources failed with {done.returncode}")
    lines = [tell(json.loads(line)) for line in done.stdout.splitlines()]
    return [], [
        target(
            f"{line['source']}: {line['wanted_lines_a_second']:,} / lines a second",
            line["wanted_lines_a_second"] / line["lines_a_second"],
            1.0,
        )
        for line in lines
    ]


def score(work: Path, *, quick: bool) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """One more day, with a short and with a long history behind it."""
    short, long = (30, 60) if quick else (30, 400)
    lines = []
    for days in (short, long):
        command = json.loads(made("score", work, days, 1_000 if quick else 20_000))
        lines.append(tell({"what": f"score a day, {days} days of history", **measure(command)}))
    ratio = lines[1]["wall_s"] / lines[0]["wall_s"]
    return lines, [target(f"score: {long} days of history / {short}", ratio, SCORE_GROWTH)]


def sinks(work: Path, *, quick: bool) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Alerts a second for each sink; no target, since a receiver on loopback is nobody's SIEM."""
    count = 1_000 if quick else 10_000
    lines = {}
    for name in SINK_JOBS:
        scratch = Path(tempfile.mkdtemp(dir=work))
        script = [*module("sinks"), name, str(count), str(scratch)]
        line = measure(script)
        line["what"] = f"sinks {name}: {line['alerts_a_second']:,} alerts/s"
        lines[name] = tell(line)
        shutil.rmtree(scratch)
    whole = lines["put"]["job_s"] + lines["file"]["job_s"]
    tell(
        {
            "ratio": "outbox and file / plain file",
            "value": round(whole / lines["plain"]["job_s"], 1),
        }
    )
    return list(lines.values()), []


def watch(
    work: Path, events: int, *, quick: bool
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Logs followed, beside parsing the same bytes, and river."""
    size = 100_000 if quick else 3 * MILLION
    plain = work / f"watch-{size}.ndjson"
    made("follow", "make", plain, size)
    csvlog = log_of("csvlog", work, max(1, size // 3), max(1, events))
    lines = {}
    for name, log in (
        *((name, plain) for name in ("floor", "watch", "steady", "river")),
        *((name, csvlog) for name in ("floor", "watch")),
    ):
        scratch = Path(tempfile.mkdtemp(dir=work))
        script = [*module("follow"), name, str(log), str(scratch)]
        line = measure(script)
        shutil.rmtree(scratch)
        kind = f"{name} {'ndjson' if log is plain else 'csvlog'}"
        line["what"] = f"{kind}: {line['events_per_second']:,} events/s"
        lines[kind] = tell(line)
    each = {kind: line["events_per_second"] for kind, line in lines.items()}
    return list(lines.values()), [
        target("watch: 100,000 / canonical events a second", 1e5 / each["watch ndjson"], 1.0),
        target("watch: 40,000 / csvlog entries a second", 4e4 / each["watch csvlog"], 1.0),
        target("watch: peak memory, MB", max(lines[kind]["peak_mb"] for kind in lines), 1000),
        target("watch: seconds behind 100,000 events a second",
               lines["steady ndjson"]["seconds_behind"], 2.0),
    ]  # fmt: skip


def drill(work: Path, *, quick: bool) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The peers' table on stderr, and the time that the command takes on one of their ledgers."""
    accounts, days, seeds = (300, 120, (11,)) if quick else (3000, 150, (11, 12))
    size = ["--accounts", str(accounts), "--days", str(days), "--work", str(work)]
    script = [*module("peers"), *size, "--json", "--seeds"]
    done = subprocess.run([*script, *map(str, seeds)], check=False)
    if done.returncode:
        sys.exit(f"benchmarks: peers failed with {done.returncode}")
    place = work / f"peers-{accounts}-{days}-{seeds[0]}"
    command = [sys.executable, "-c", "from detector.cli.app import run; run()", "drill"]
    for option, name in (("ledger",) * 2, ("model",) * 2, ("directory", "directory.csv")):
        command += [f"--{option}", str(place / name)]
    line = tell({"what": f"drill, {accounts:,} accounts", **measure(command)})
    return [line], [target("drill: seconds", line["wall_s"], DRILL_S)]


def in_environment() -> None:
    """Starts again with the project's own Python where this is another one."""
    python = ROOT / ".venv" / "bin" / "python"
    if Path(sys.prefix).resolve() != python.parents[1].resolve():
        subprocess.run([ROOT / "scripts" / "environment"], check=True)
        os.execv(python, [str(python), "-m", "benchmarks", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    in_environment()
    if sys.argv[1:2] and sys.argv[1] in ALONE:
        runpy.run_module(f"benchmarks.{sys.argv.pop(1)}", run_name="__main__", alter_sys=True)
    else:
        sys.exit(main())
