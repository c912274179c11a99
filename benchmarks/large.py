"""Trains on a hundred thousand accounts and sixty days: how long, and in how much memory.

    python -m benchmarks large [--accounts 100000] [--days 60] [--work DIR]

Makes an agency of 2,500 accounts, takes its log in once for each of so many sites (every account,
group and address by another name, the tables shared), and runs ``detector train``, and ``detector
score`` on the log of one more day, as a user would. JSON lines on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import polars as pl

from simulation import make_agency

#: Accounts of one site.
SITE = 2500
TRAIN_MB = 8 * 1024


def measured(name: str, *arguments: object) -> dict[str, object]:
    """Runs detector; its wall seconds and peak memory."""
    command = [str(Path(sys.executable).parent / "detector"), *map(str, arguments)]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"benchmarks large: {name} failed\n{said}")
    print(said, file=sys.stderr)
    return {
        "job": name,
        "wall_s": round(time.perf_counter() - began, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": used.ru_maxrss // 1024,
    }


def named(log: pl.LazyFrame, number: int) -> pl.LazyFrame:
    """The log of a site, with the site's own names."""
    end = pl.lit(f".{number}")
    return log.with_columns(pl.col("account") + end, pl.col("client_address") + end)


def site(log: Path, people: pl.DataFrame, number: int, work: Path) -> pl.DataFrame:
    """Writes the log of one site to ``work``/log; its directory."""
    end = pl.lit(f".{number}")
    for path in sorted(log.glob("*.parquet")):
        named(pl.scan_parquet(path), number).sink_parquet(
            work / "log" / path.name, compression="lz4"
        )
    return people.with_columns(pl.col("account") + end, pl.col("group") + end)


def one_more_day(work: Path, sites: int) -> Path:
    """A log of all sites: what they did on the busiest day of their last week, a week later."""
    path = work / "next.parquet"
    if not path.exists():
        log = pl.scan_parquet(sorted((work / "site").glob("*.parquet")))
        day = pl.col("timestamp").dt.date()
        days = log.group_by(day=day).len().sort("day").tail(7).sort("len").collect()["day"]
        last = log.filter(day == days[-1]).with_columns(pl.col("timestamp").dt.offset_by("1w"))
        pl.concat(named(last, number) for number in range(sites)).sink_parquet(path)
    return path


def take_in(work: Path, accounts: int, days: int) -> tuple[Path, Path]:
    """The ledger of all sites, and their directory. Kept in ``work``."""
    ledger, directory = work / "ledger", work / "directory.csv"
    if directory.exists():
        return ledger, directory
    (work / "log").mkdir(parents=True, exist_ok=True)
    made = ["--out", str(work / "site"), "--accounts", str(SITE), "--days", str(days)]
    with mock.patch("builtins.print"):
        make_agency.main(
            [*made, "--life", "1", "--thieves", "0", "--doublers", "0", "--level", "1"]
        )
    people = pl.read_csv(work / "site" / "directory.csv")
    parts = []
    for number in range(-(-accounts // SITE)):
        parts.append(site(work / "site", people, number, work))
        files = sorted((work / "log").glob("*.parquet"))
        # Nothing but its way into the ledger is wanted of this training, which is refused.
        subprocess.run(
            [Path(sys.executable).parent / "detector", "train", *files, "--until", "1990-01-01",
             "--ledger", ledger, "--model", work / "none"],
            check=False, capture_output=True,
        )  # fmt: skip
        print(f"site {number + 1}", file=sys.stderr)
    pl.concat(parts).write_csv(directory)
    return ledger, directory


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        ledger, directory = take_in(work, options.accounts, options.days)
        logs = sorted((work / "log").glob("*.parquet"))
        common = ("--directory", directory, "--ledger", ledger, "--model", work / "model")
        job = measured("train", "train", *logs, *common)
        size = {"accounts": options.accounts, "days": options.days}
        print(json.dumps({**job, **size}), flush=True)
        missed = int(str(job["peak_mb"])) > TRAIN_MB
        day = one_more_day(work, -(-options.accounts // SITE))
        job = measured("score", "score", day, *common, "--out", work / "out")
        print(json.dumps({**job, **size}), flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
