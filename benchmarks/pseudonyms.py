"""What pseudonyms cost: events a second into a ledger, with names and with pseudonyms.

    python -m benchmarks pseudonyms FOLDER [EVENTS] [ROUNDS]

The log is that of benchmarks/events.py (20,000 accounts), made in FOLDER and kept. The fastest of
the rounds counts.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import events as seeded
from detector import registry
from detector.core.settings import Settings
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.privacy.pseudonyms import key_check_for
from detector.readers.log_input import LocalFile

VARIABLE = "BENCH_PSEUDONYM_KEY"


def seconds(log: Path, settings: Settings) -> tuple[float, int]:
    """Time to take in ``log``, and bytes of the ledger."""
    source = registry.sources()[log.suffix.removeprefix(".")]
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "l"), "UTC", pseudonyms=key_check_for(settings))
        began = time.perf_counter()
        ingest([(LocalFile(log), source)], ledger, settings, lambda *_: None)
        took = time.perf_counter() - began
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet"))
    return took, size


def main(folder: Path, events: int = 5_000_000, rounds: int = 3) -> None:
    os.environ[VARIABLE] = secrets.token_hex(64)
    plain = Settings(pseudonym_key_env=VARIABLE)
    kinds = {"names": plain, "pseudonyms": replace(plain, pseudonyms=True)}
    print("| log | accounts as | events/s | ledger, MB |\n|---|---|---:|---:|")
    for name in ("parquet", "csv"):
        log = seeded.MAKERS[name](folder, events)
        best = dict.fromkeys(kinds, (float("inf"), 0))
        for _ in range(rounds):
            for kind, settings in kinds.items():
                best[kind] = min(best[kind], seconds(log, settings))
        for kind, (took, size) in best.items():
            print(f"| {name} | {kind} | {events / took:,.0f} | {size / 1e6:.0f} |")


if __name__ == "__main__":
    where, *sizes = sys.argv[1:]
    main(Path(where), *map(int, sizes))
