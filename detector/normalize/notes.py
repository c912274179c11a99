"""What a person should know of how records were read, counted: none of it costs a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from detector.core.formatting import quantity
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, Source
from detector.readers.log_input import LogInput


def unreadable_note(column: str) -> str:
    """The note of values of a side column that could not be read."""
    return f"with a {column} that cannot be read, which is left out"


def sentences(notes: Mapping[str, int]) -> list[str]:
    """Each note as a sentence."""
    return [f"{quantity(count, 'record')} {note}" for note, count in sorted(notes.items())]


def with_note_counts(source: Source, told: Counter[str]) -> Source:
    """``source``, whose notes are added to ``told`` as its files are read."""

    def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
        for batch in source.read(log, settings, tail):
            told.update(batch.notes)
            yield batch

    return replace(source, read=read)
