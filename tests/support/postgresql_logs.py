"""Reads logs of PostgreSQL for the tests, and writes lines as the server would."""

from __future__ import annotations

from pathlib import Path

from read_logs import Read

from detector.core.schema import EVENTS, REJECTS, check
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Sample, Source
from detector.readers.compression import head
from detector.readers.log_input import LocalFile
from detector.sources.postgresql import csvlog, jsonlog

DATA = Path(__file__).parent.parent / "data" / "postgresql"
SOURCES = (csvlog.SOURCE, jsonlog.SOURCE)


#: The columns PostgreSQL always quotes (appendCSVLiteral in csvlog.c).
QUOTED = (
    *("user", "database", "connection_from", "command_tag", "message", "detail", "hint"),
    *("internal_query", "context", "query", "location", "application", "backend_type"),
)


def accepting(path: Path) -> list[str]:
    sample = Sample(LocalFile(path), head(LocalFile(path)))
    return [source.name for source in SOURCES if source.accepts(sample, Settings())]


def read(
    path: Path,
    tail: ReaderState | None = None,
    settings: Settings | None = None,
    source: Source = SOURCES[0],
) -> Read:
    settings = settings or Settings()
    batches = list(source.read(LocalFile(path), settings, tail or ReaderState()))
    for batch in batches:
        check(batch.events, EVENTS, "events")
        check(batch.rejects, REJECTS, "rejects")
    return Read.of(batches)


def audit(*fields: object) -> str:
    """pgaudit's message: a field is quoted where it holds a comma, quote or newline."""
    texts = []
    for item in map(str, fields):
        quoted = any(char in item for char in ',"\n\r')
        texts.append('"' + item.replace('"', '""') + '"' if quoted else item)
    return "AUDIT: " + ",".join(texts)


def entry(message: str, columns: int = 26, **changes: str) -> str:
    """One record of csvlog; ``changes`` by column name."""
    cells = {
        "log_time": "2024-02-05 10:00:00.123 UTC",
        "user": "alice",
        "database": "office",
        "pid": "4242",
        "connection_from": "10.0.0.7:40000",
        "session_id": "65c0b1a0.1092",
        "line": "3",
        "command_tag": "SELECT",
        "session_start": "2024-02-05 09:00:00 UTC",
        "vxid": "3/1",
        "txid": "0",
        "severity": "LOG",
        "state": "00000",
        "message": message,
        **dict.fromkeys(("detail", "hint", "internal_query", "internal_pos", "context"), ""),
        **dict.fromkeys(("query", "query_pos", "location"), ""),
        "application": "psql",
        "backend_type": "client backend",
        "leader": "",
        "query_id": "1",
    } | changes
    written = [
        '"' + text.replace('"', '""') + '"' if name in QUOTED and text else text
        for name, text in cells.items()
    ]
    return ",".join(written[:columns]) + "\n"


def log(folder: Path, *records: str) -> Path:
    path = folder / "postgresql.csv"
    path.write_text("".join(records), newline="", encoding="utf-8")
    return path
