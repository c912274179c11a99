"""What a few kilobytes unpack to takes no more memory than any log."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import zstandard

#: Newlines of a bomb, and the MB that a process which reads it may take beyond one that reads the
#: same log without them. Held at once, each line takes some 90 bytes: 11 GB.
MANY, MORE = 128 << 20, 300
CHILD = """
import json, resource, sys
from pathlib import Path
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile
from detector import registry
from detector.normalize import containment
from detector.core.settings import Settings
source = registry.sources()[sys.argv[1]]
rows = 0
log = LocalFile(Path(sys.argv[2]))
for batch in containment.read_batches(source, log, Settings(), ReaderState()):
    rows += len(batch.events)
print(json.dumps([rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""
NDJSON = b'{"timestamp":"2024-02-05T10:00:00Z","account":"ann","object":"person","rows":5}\n'
CSV = b"2024-02-05T10:00:00Z,ann,person,5\n"
SLOW = (Path(__file__).parents[1] / "data" / "mysql_slow_log" / "percona.log").read_bytes()
#: A log, and what comes behind its newlines.
LOGS = {
    "ndjson": (NDJSON, NDJSON),
    "csv": (b"timestamp,account,object,rows\n" + CSV, CSV),
    "mysql_slow_log": (SLOW, SLOW),
}


def packed(path: Path, parts: tuple[bytes, ...]) -> Path:
    """The newlines between two ``parts``, packed as the path's name says."""
    zstd = zstandard.ZstdCompressor(9).compressobj()
    pack = zlib.compressobj(wbits=31) if path.suffix == ".gz" else zstd
    with path.open("wb") as out:
        out.write(pack.compress(parts[0]))
        for _ in range(MANY >> 20 if len(parts) > 1 else 0):
            out.write(pack.compress(b"\n" * (1 << 20)))
        out.write(pack.compress(parts[-1]) if len(parts) > 1 else b"")
        out.write(pack.flush())
    return path


def read(source: str, path: Path) -> tuple[int, int]:
    """Events, and the most memory of the process that read them, in MB."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, source, path],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    rows, most = json.loads(done.stdout)
    return rows, most


@pytest.mark.parametrize(
    ("source", "name"), [("ndjson", "a.zst"), ("csv", "a.gz"), ("mysql_slow_log", "a.zst")]
)
def test_a_bomb_of_newlines_is_read_in_little_memory(source, name, tmp_path):
    first, second = LOGS[source]
    rows, usual = read(source, packed(tmp_path / f"few-{name}", (first,)))
    bomb = packed(tmp_path / name, (first, second))
    assert bomb.stat().st_size < MANY / 500
    found, most = read(source, bomb)
    assert found > rows
    assert most < usual + MORE
