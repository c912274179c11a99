"""PostgreSQL's csvlog with pgaudit: 23 columns up to 12, 24 in 13, 26 since 14, no header.

https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detector.reading import pg_csv, pg_log
from detector.reading.source import Batch, Growing, Sample, Source, Tail
from detector.settings import Settings


def accepts(sample: Sample, settings: Settings) -> bool:  # noqa: ARG001 - the contract's
    """Whether one of the sample's records is an entry of csvlog.

    One, not the first: a file can begin with the rest of a record that a crash cut.
    """
    return pg_csv.has_entry(sample.head)


def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    return pg_log.batches(pg_csv.pieces(path), path, settings, tail)


def follow(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    return pg_log.follow(pg_csv.pieces(path), path, settings, tail)


def mapping(path: Path, settings: Settings) -> dict[str, str]:  # noqa: ARG001 - the contract's
    """Canonical columns and where they come from."""
    return dict(pg_log.MAPPING)


SOURCE = Source(
    name="postgresql_csvlog",
    title="PostgreSQL csvlog, with pgaudit or auto_explain",
    accepts=accepts,
    read=read,
    mapping=mapping,
    growing=Growing(pg_csv.whole, follow, pg_log.close),
)
