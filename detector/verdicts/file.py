"""The verdicts file: NDJSON, only ever appended to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from detector.durable import appending
from detector.errors import VerdictError
from detector.verdicts.book import Book
from detector.verdicts.record import Record, decode, encode

NAME: Final = "verdicts.ndjson"


def load(path: Path) -> Book:
    """What ``path`` holds; nothing where it is not there.

    Raises VerdictError with the line of the first damage: a verdict that cannot be read may be
    the one that keeps a theft out of a baseline.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Book()
    except OSError as error:
        raise VerdictError(f"cannot be read: {error.strerror}", where=path) from error
    return Book(_records(data, path))


def append(path: Path, records: Sequence[Record]) -> None:
    """Adds ``records``: all of them or none, on disk when it returns. Raises VerdictError.

    One write in append mode under a lock, taken back where the disk is full.
    """
    if not records:
        return
    data = b"".join(encode(record) for record in records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with appending(path) as handle:
            _records(_whole(handle), path)
            _write(handle, data)
    except OSError as error:
        raise VerdictError(f"cannot be written: {error.strerror}", where=path) from error


def _whole(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)


def _write(handle: int, data: bytes) -> None:
    before = os.fstat(handle).st_size
    try:
        done = os.write(handle, data)
        while done < len(data):
            done += os.write(handle, data[done:])
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, before)
        raise


def _records(data: bytes, path: Path) -> tuple[Record, ...]:
    lines = data.split(b"\n")
    hint = "mend it from a copy, or delete the line and give the verdict again"
    if lines.pop():
        raise VerdictError(f"line {len(lines) + 1} breaks off", where=path, hint=hint)
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(decode(line))
        except ValueError as error:
            raise VerdictError(f"line {number} {error}", where=path, hint=hint) from None
    return tuple(found)
