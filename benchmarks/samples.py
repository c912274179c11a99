"""Makes logs of databases and exports of platforms: a sample of tests/data, repeated.

    python -m benchmarks.samples SOURCE FOLDER MB

*log*: each time it has other numbers in its statements, so that texts repeat as little as they do
in life, and the days move on, so that the whole spans half a year before the sample. *export*:
every line has its own literal, address and time. Prints the path, which is kept for the next run.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path

from benchmarks import ROOT

DATA = ROOT / "tests" / "data"
LOGS = {
    "mysql_slow_log": "mysql_slow_log/mariadb10.11-full.log.gz",
    "mariadb_server_audit": "mariadb_server_audit/mariadb10.11-full.log.gz",
    "mysql_audit_json": "mysql_audit_json/percona-plugin.log",
    "mongodb_log": "mongodb_log/mongod.log",
    "mongodb_profiler": "mongodb_profiler/system.profile.json",
    "postgresql_csvlog": "postgresql/auto_explain_json.csv.gz",
    "postgresql_jsonlog": "postgresql/min_duration0.json.gz",
}
#: Every source with a sample of one JSON object a line.
EXPORTS = sorted({path.parent.name for path in DATA.glob("*/*.ndjson")})
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
    print((log if name in LOGS else export)(name, folder, size))


def log(name: str, folder: Path, size: int) -> Path:
    """A log of about ``size`` MB."""
    path = folder / f"{name}-{size}.log"
    if path.exists():
        return path
    raw = (DATA / LOGS[name]).read_bytes()
    sample = gzip.decompress(raw) if LOGS[name].endswith(".gz") else raw
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


def entries(name: str) -> list[str]:
    """The entries of a sample, as JSON without superfluous space."""
    path = min((DATA / name).glob("*.ndjson"))
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    single = [each for entry in found for each in entry.get("databaseActivityEventList", [entry])]
    return [json.dumps(each, separators=(",", ":")) for each in single if len(each) > 1]


def export(name: str, folder: Path, size: int) -> Path:
    """An export of about ``size`` MB."""
    path = folder / f"{name}-{size}.ndjson"
    if path.exists():
        return path
    texts = entries(name)
    scratch, written = path.with_suffix(".tmp"), 0
    with scratch.open("w") as file:
        for i in count():
            written += file.write(own(texts[i % len(texts)], i) + "\n")
            if written >= size * 1_000_000:
                break
    scratch.replace(path)
    return path


def own(text: str, i: int) -> str:
    """An entry with values of its own."""
    for word, value in (
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
        text = text.replace(word, value)
    return text


if __name__ == "__main__":
    main()
