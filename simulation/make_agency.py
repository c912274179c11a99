"""Makes the log of an invented unemployment agency, with its directory and the truth.

python -m simulation.make_agency --out data/sample/agency
python -m simulation.make_agency --out /tmp/large --accounts 3000 --days 180 --events-only
python -m simulation.make_agency --out /tmp/measured --accounts 3000 --life 1 --campaigns 2
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from simulation.agency import SETTLED, Agency, Life, Plan

#: A file larger than this is split at the middle of the month, so that each stays easy to carry.
LARGEST = 2_000_000
MIDDLE = 16
#: In a hidden folder, so that neither detector nor a glob takes the truth for a log.
STOLEN = ".truth/stolen.parquet"
#: Campaigns begin and end in so many last days: the longest kind takes six weeks.
CAMPAIGN_DAYS = 60


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        plan = Plan(
            seed=options.seed,
            accounts=options.accounts,
            start=options.start,
            days=options.days,
            **_thefts(options),
            rate=options.rate,
            life=SETTLED if options.life is None else Life().times(options.life),
        )
        agency = Agency.found(plan)
    except ValueError as error:
        sys.exit(f"make_agency: {error}")
    began = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    events = size = 0
    for month, frame in agency.months():
        for path in write_month(frame, options.out, month, options.largest, options.level):
            size += path.stat().st_size
            print(f"{path}: {path.stat().st_size:,} bytes")
        events += len(frame)
    if not options.events_only:
        write_truth(agency, options.out)
    seconds = time.perf_counter() - began
    print(f"{events:,} events, {size:,} bytes, {seconds:.1f} s")
    return 0


def write_month(
    frame: pl.DataFrame, folder: Path, month: str, largest: int, level: int
) -> list[Path]:
    """Writes a month's file, or its two halves (``2024-02a``, ``2024-02b``) where it is large.

    Files of the same month from an earlier run are removed.
    """
    for stale in folder.glob(f"{month}*.parquet"):
        stale.unlink()
    whole = folder / f"{month}.parquet"
    _write(frame, whole, level)
    if not largest or whole.stat().st_size <= largest:
        return [whole]
    whole.unlink()
    late = frame["timestamp"].dt.convert_time_zone("Europe/Paris").dt.day() >= MIDDLE
    halves = [folder / f"{month}{half}.parquet" for half in "ab"]
    _write(frame.filter(~late), halves[0], level)
    _write(frame.filter(late), halves[1], level)
    return halves


def write_truth(agency: Agency, folder: Path) -> None:
    """Writes directory.csv, incidents.csv and, where campaigns were asked for, STOLEN."""
    agency.directory().write_csv(folder / "directory.csv")
    incidents = agency.incidents()
    incidents.write_csv(folder / "incidents.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    if agency.plan.campaigns:
        (folder / STOLEN).parent.mkdir(exist_ok=True)
        agency.stolen().write_parquet(folder / STOLEN)


def _write(frame: pl.DataFrame, path: Path, level: int) -> None:
    frame.write_parquet(path, compression="zstd", compression_level=level, statistics=True)


def _thefts(options: argparse.Namespace) -> dict[str, Any]:
    """What is stolen: the sample's thefts, or the campaigns alone where these are asked for."""
    plan, many = Plan(), options.campaigns > 0
    asked = {
        "thieves": (options.thieves, 0 if many else plan.thieves),
        "doublers": (options.doublers, 0 if many else plan.doublers),
        "theft_days": (options.theft_days, CAMPAIGN_DAYS if many else plan.theft_days),
    }
    chosen = {name: usual if said is None else said for name, (said, usual) in asked.items()}
    chosen["theft_days"] = min(chosen["theft_days"], options.days)
    kinds = tuple(options.kinds)
    return {**chosen, "stolen": options.stolen, "campaigns": options.campaigns, "kinds": kinds}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    plan = Plan()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--accounts", type=int, default=plan.accounts)
    parser.add_argument("--start", type=date.fromisoformat, default=plan.start)
    parser.add_argument("--days", type=int, default=plan.days)
    parser.add_argument("--thieves", type=int, help="0 for none")
    parser.add_argument("--stolen", type=int, default=plan.stolen, help="records in all")
    parser.add_argument("--theft-days", type=int, help="the last so many")
    parser.add_argument("--doublers", type=int, help="0 for none")
    parser.add_argument("--campaigns", type=int, default=0, help="thefts of each kind")
    parser.add_argument("--kinds", nargs="+", default=(), metavar="KIND", help="only these kinds")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on statements a day")
    parser.add_argument(
        "--life", type=float, help="factor on changes: 1 is usual, 0 even days; else as the sample"
    )
    parser.add_argument("--events-only", action="store_true", help="no directory, no incidents")
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of a file; 0: any")
    parser.add_argument("--level", type=int, default=19, help="zstd level, 1 to 22")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
