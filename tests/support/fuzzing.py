"""Mutates real lines of every format, and holds what is read of them against what must hold.

    python tests/support/fuzzing.py --lines 1000000 --seed 7 [--only mysql_slow_log]

Nothing may raise but what refuses a file in one line, not even within the containment, which would
hide it. A format of a line an entry counts each line once: as event, reject or skipped; that is
counted here, without any code of the formats. What is read at once and what is read in pieces, as a
watcher does, must be the same.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from detector import registry
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize import containment
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, Source
from detector.readers import compression
from detector.readers.log_input import LocalFile

DATA = Path(__file__).parents[1] / "data"
SETTINGS = Settings()
#: Lines of one stretch of a mutated log; CPU seconds and bytes of memory it may take.
LINES = 60
SECONDS = 20.0
MEMORY = 4 << 30
#: Formats whose every line is an entry.
BY_LINE = ("ndjson", "mariadb_server_audit", "postgresql_jsonlog")
EXTREMES = (
    *("0", "-1", "1e999", "1.2.3", "NaN", "null", "true", "[]", "{}", '""', "0000-01-01"),
    *("9999-12-31T23:59:59Z", "99999999999999999999", "1" * 400, "\\ud800", "\\u0000", "\x1b[2J"),
    *("/*", "*/", "--", "'", '"', "`", "$$", "#", "\\", "\t", " " * 300, "\u2028", "\u00e9", ";"),
)


@dataclass(frozen=True)
class Sample:
    """A real log of a format, in lines."""

    source: Source
    name: str
    lines: list[bytes]


def samples(only: str = "") -> list[Sample]:
    """All that are text, each format's own."""
    found = []
    sources = registry.sources()
    for folder in sorted(DATA.iterdir()):
        for path in sorted(folder.iterdir()) if folder.is_dir() and folder.name != "golden" else ():
            name = folder.name
            if name == "postgresql":
                name = "postgresql_jsonlog" if ".json" in path.name else "postgresql_csvlog"
            if name not in sources or path.is_dir() or path.suffix in {".md", ".parquet"}:
                continue
            data = b"".join(data for data, _ in compression.chunks(LocalFile(path)))
            found.append(
                Sample(sources[name], f"{name}/{path.name}", data.splitlines(keepends=True))
            )
    lines = [b'{"timestamp":"2024-02-06 08:00:00","account":"ann","rows":1,"object":"hr.p"}\n']
    found.append(Sample(sources["ndjson"], "ndjson", lines * 20))
    rows = [b"timestamp,account,rows\n", *[b'2024-02-06 08:00:00,"a, b",5\n'] * 20]
    found.append(Sample(sources["csv"], "csv", rows))
    return [each for each in found if only in each.source.name]


def mutated(line: bytes, other: bytes, rng: random.Random) -> bytes:
    """A line with one thing changed."""
    at, end = sorted(rng.randrange(len(line) + 1) for _ in range(2))
    kind = rng.randrange(8)
    if kind == 0 and line:  # flip
        place = min(at, len(line) - 1)
        return line[:place] + bytes([line[place] ^ (1 << rng.randrange(8))]) + line[place + 1 :]
    if kind == 1:  # cut
        return line[:at] + line[end:]
    if kind == 2:  # join
        return line.rstrip(b"\r\n") + other
    if kind == 3:  # repeat
        return line[:end] + line[at:end][:50] * rng.randrange(1, 40) + line[end:]
    if kind == 4:  # nest
        deep = rng.choice([2, 50, 1_100])
        return line[:at] + b"[" * deep + line[at:end] + b"]" * deep + line[end:]
    if kind == 5:  # widen
        return line[:at] + rng.choice([b"a", b" ", b",", b"9"]) * rng.randrange(5_000) + line[at:]
    if kind == 6:  # twice
        return line + line
    word = rng.choice(EXTREMES).encode("utf-8", "surrogatepass")
    return line[:at] + word + line[end if rng.random() < 0.5 else at :]


def mutants(sample: Sample, rng: random.Random, stretches: int = 1) -> bytes:
    """``stretches`` of LINES consecutive lines of a sample, or all of it; a third are mutated."""
    many = LINES * stretches
    start = rng.randrange(max(1, len(sample.lines) - many))
    lines = sample.lines[start : start + many]
    head = [sample.lines[0]] if sample.source.name == "csv" or b"," in sample.lines[0][:9] else []
    made = [
        mutated(line, rng.choice(lines), rng) if rng.random() < 1 / 3 else line for line in lines
    ]
    return b"".join([*head, *made])


def counts(batches: Iterator[Batch]) -> tuple[int, int, list[str]]:
    """(events and what was skipped with rejects, all; events alone; reasons)."""
    events = others = 0
    reasons: list[str] = []
    for batch in batches:
        events += batch.events.height
        others += batch.skipped + batch.rejects.height
        reasons += batch.rejects["reason"].to_list()
    return events + others, events, reasons


def fault(sample: Sample, data: bytes, path: Path, *, strict: bool = False) -> str:
    """What does not hold for a mutated log; "" where all does.

    ``strict``: pieces give as many rejects as the whole does, too. Of a csvlog that begins within a
    record and is no UTF-8, they do not yet.
    """
    path.write_bytes(data)
    source = sample.source
    began = time.process_time()
    try:
        total, events, reasons = counts(source.read(LocalFile(path), SETTINGS, ReaderState()))
    except InputError:
        return ""
    except containment.CONTAINED_ERRORS as error:
        return f"raises {type(error).__name__}: {str(error)[:200]}"
    if time.process_time() - began > SECONDS:
        return f"takes {time.process_time() - began:.0f} s"
    if any("cannot be read (" in reason for reason in reasons):
        return f"contains {next(r for r in reasons if 'cannot be read (' in r)}"
    filled = sum(1 for line in data.split(b"\n") if line.strip())
    if source.name in BY_LINE and total != filled:
        return f"{filled} lines, {total} counted"
    if not source.can_follow(data[: 1 << 16]):
        return ""
    assert source.follow_reader is not None
    again = containment.read_piecewise(
        source, LocalFile(path), SETTINGS, ReaderState(), containment.SourceFailure("was asked to")
    )
    pieces = counts(again)
    if pieces[1] != events or (strict and pieces[0] != total):
        return f"at once {(total, events)}, in pieces {pieces[:2]}"
    return ""


def main() -> None:
    """Until so many lines were read; each fault is kept beside, and said."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument(
        "--stretches", type=int, default=1,
        help=f"of {LINES} lines a log: long ones are read faster, short ones say where a fault is",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--keep", type=Path, default=Path("fuzzed"))
    asked = parser.parse_args()
    rng, found, read, faults = random.Random(asked.seed), samples(asked.only), 0, 0
    with TemporaryDirectory() as folder:
        while read < asked.lines:
            sample = rng.choice(found)
            data = mutants(sample, rng, asked.stretches)
            read += data.count(b"\n")
            if wrong := fault(sample, data, Path(folder) / "fuzzed.log", strict=asked.strict):
                faults += 1
                asked.keep.mkdir(exist_ok=True)
                (asked.keep / f"{sample.name.replace('/', '-')}.{faults}").write_bytes(data)
                sys.stdout.write(f"{sample.name}: {wrong}\n")
                sys.stdout.flush()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    sys.stdout.write(f"{read:,} lines, {faults} faults, {memory / 1e6:,.0f} MB\n")
    sys.exit(bool(faults) or memory > MEMORY)


if __name__ == "__main__":
    main()
