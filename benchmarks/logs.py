"""Makes logs of databases for scripts/bench_sources.py: a sample of tests/data, repeated.

    python scripts/bench_logs.py SOURCE FOLDER MB

Each time it has other numbers in its statements, so that texts repeat as little as they do in life,
and the days move on, so that the whole spans half a year before the sample. Prints the path of the
log, which is kept for the next run.
"""

from __future__ import annotations

import gzip
import re
import sys
from datetime import UTC, datetime, timedelta
from functools import lru_cache
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
DAYS = 180
NUMBER = re.compile(rb'(\bid *<?= *|"_id": *)\d+')
#: Dates in the forms that these logs have: 2026-11-23, 20261123 and 261123 before a time, and an
#: epoch in seconds.
DATES = (
    (re.compile(rb"\b20\d\d-\d\d-\d\d(?=[ T])"), "%Y-%m-%d"),
    (re.compile(rb"(?<!\d)20\d{6}(?= \d\d:)"), "%Y%m%d"),
    (re.compile(rb"(?<=# Time: )\d{6}(?= )"), "%y%m%d"),
)
EPOCH = re.compile(rb"(?<=SET timestamp=)\d{10}")


def main() -> None:
    name, folder, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    print(made(name, folder, size))


def made(name: str, folder: Path, size: int) -> Path:
    """A log of about ``size`` MB."""
    path = folder / f"{name}-{size}.log"
    if path.exists():
        return path
    raw = (ROOT / "tests" / "data" / SAMPLES[name]).read_bytes()
    sample = gzip.decompress(raw) if SAMPLES[name].endswith(".gz") else raw
    repeats = max(1, size * 1_000_000 // len(sample))

    @lru_cache(maxsize=2)
    def on(day: int) -> list[bytes]:
        """The sample on a day, cut where a number of its own is to stand."""
        first, *rest = NUMBER.split(shifted(sample, day - DAYS))
        before = [first, *rest[1::2]]
        return [text + sign for text, sign in zip(before, [*rest[::2], b""], strict=True)]

    scratch = path.with_suffix(".tmp")
    with scratch.open("wb") as file:
        for number in range(repeats):
            file.write((b"%d" % (number * 7919)).join(on(DAYS * number // repeats)))
    scratch.replace(path)
    return path


def shifted(sample: bytes, days: int) -> bytes:
    """``sample`` so many days later."""
    for pattern, form in DATES:
        sample = pattern.sub(lambda found, form=form: _later(found[0], form, days), sample)
    return EPOCH.sub(lambda found: b"%d" % (int(found[0]) + days * 86_400), sample)


def _later(date: bytes, form: str, days: int) -> bytes:
    day = datetime.strptime(date.decode(), form).replace(tzinfo=UTC)
    return (day + timedelta(days=days)).strftime(form).encode()


if __name__ == "__main__":
    main()
