"""Makes exports of data platforms and audit trails for scripts/bench_sources.py.

    python scripts/bench_exports.py SOURCE FOLDER MB

Repeats a sample of tests/data, so that every line has its own literal, address and time. Prints the
path of the export, which is kept for the next run.
"""

from __future__ import annotations

import json
import sys
from itertools import count
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
#: Every source with a sample of one JSON object a line.
NAMES = sorted({path.parent.name for path in DATA.glob("*/*.ndjson")})


def main() -> None:
    name, folder, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    print(made(name, folder, size))


def entries(name: str) -> list[str]:
    """The entries of a sample, as JSON without superfluous space."""
    path = min((DATA / name).glob("*.ndjson"))
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    single = [each for entry in found for each in entry.get("databaseActivityEventList", [entry])]
    return [json.dumps(each, separators=(",", ":")) for each in single if len(each) > 1]


def made(name: str, folder: Path, size: int) -> Path:
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
