"""PostgreSQL's csvlog with pgaudit: 23 columns up to 12, 24 in 13, 26 since 14, no header.

https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG
"""

from __future__ import annotations

from collections.abc import Iterator

from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Sample, Source
from detector.readers.log_input import LogInput
from detector.sources.postgresql import csv_records, log_reader


def accepts(sample: Sample, settings: Settings) -> bool:  # noqa: ARG001 - the contract's
    """Whether one of the sample's records is an entry of csvlog.

    One, not the first: a file can begin with the rest of a record that a crash cut.
    """
    return csv_records.has_entry(sample.head)


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    return log_reader.read_batches(csv_records.read_pieces(log), log, settings, tail)


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    return log_reader.follow(csv_records.read_pieces(log), log, settings, tail)


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:  # noqa: ARG001 - the contract's
    """Canonical columns and where they come from."""
    return dict(log_reader.MAPPING)


SOURCE = Source(
    name="postgresql_csvlog",
    title="PostgreSQL csvlog, with pgaudit or auto_explain",
    accepts=accepts,
    read=read,
    mapping=mapping,
    follow_reader=FollowReader(csv_records.complete_length, follow, log_reader.close),
)
