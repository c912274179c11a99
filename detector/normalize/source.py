"""What a log format is: a frozen value with three functions, and what it yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from detector.core.schema import EVENTS, REJECTS, empty
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LogInput


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The beginning of a log, for guessing its format, as one look at it showed.

    ``head`` is at most 64 KiB, decompressed; for Parquet it is the raw beginning.
    """

    log: LogInput
    head: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive part of one file.

    ``events`` has ``schema.EVENTS``, except that its String columns may be Categorical (a
    reader that gets dictionary-encoded data hands it on as it is). ``rejects`` has
    ``schema.REJECTS``. ``skipped`` counts records that are in order but are no access to
    data (a checkpoint line). ``bytes_read`` is how much of the file on disk has been consumed
    so far, for progress. ``tail`` of the last batch is what the file leaves open. ``notes`` say
    what a person should know of how its records were read, and of how many.
    """

    events: pl.DataFrame
    rejects: pl.DataFrame
    skipped: int = 0
    bytes_read: int = 0
    tail: ReaderState = field(default_factory=ReaderState)
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The first and the last time of its events, of which there must be some."""
        first, last = self.events["timestamp"].min(), self.events["timestamp"].max()
        if not isinstance(first, datetime) or not isinstance(last, datetime):
            raise TypeError("a source yielded an event without a timestamp")
        return first, last


def empty_batch(tail: ReaderState | None = None) -> Batch:
    """A batch without events."""
    return Batch(empty(EVENTS), empty(REJECTS), tail=tail or ReaderState())


def _accept_any(head: bytes) -> bool:
    del head
    return True


@dataclass(frozen=True, slots=True)
class FollowReader:
    """How a log that is still being written is read: in pieces of whole entries.

    Cut anywhere between entries, the pieces of a file give the events and rejects that it gives
    when it is read at once. ``cut(data)`` says how many bytes from the beginning of ``data`` are
    whole entries. ``read`` is ``Source.read`` of one piece, whose lines count from 1: ``tail`` is
    what the piece before it left open, for the first what earlier files did. ``close(settings,
    tail)`` is what was open when the file ended, with the tail for the files after it; without it
    nothing is ever open. ``fits(head)`` says whether a file that begins so can be cut: of formats
    with several forms, some cannot.
    """

    cut: Callable[[bytes], int]
    read: Callable[[LogInput, Settings, ReaderState], Iterator[Batch]]
    close: Callable[[Settings, ReaderState], Batch] | None = None
    can_follow: Callable[[bytes], bool] = _accept_any


@dataclass(frozen=True, slots=True)
class Source:
    """One log format.

    ``title`` is one line for people. ``accepts`` says whether a sample is of this format.
    ``read(log, settings, tail)`` yields the file's batches in order and raises InputError where
    the file as a whole is unusable; ``tail`` is what earlier files left open. ``mapping`` tells
    people how the columns of this file become canonical ones, canonical name to a phrase (shown by
    ``detector check``). A ``is_general`` format (any CSV) stands back where another accepts the
    same sample. ``follow_reader`` says how to follow a file; without it, a file is read once it is
    complete.
    """

    name: str
    title: str
    accepts: Callable[[Sample, Settings], bool]
    read: Callable[[LogInput, Settings, ReaderState], Iterator[Batch]]
    mapping: Callable[[LogInput, Settings], dict[str, str]]
    is_general: bool = False
    follow_reader: FollowReader | None = None

    def can_follow(self, head: bytes) -> bool:
        """Whether a file that begins so is read while it grows."""
        return self.follow_reader is not None and self.follow_reader.can_follow(head)
