"""The verdicts file: NDJSON, only ever appended to.

Beside it stands how many were given: a file that was emptied is no file without verdicts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from detector.core import files
from detector.core.errors import VerdictError
from detector.triage.history import VerdictHistory
from detector.triage.records import Record, decode, encode

FILE_NAME: Final = "verdicts.ndjson"
#: Behind the file's name: how many verdicts were given.
COUNT_SUFFIX: Final = ".count"


def load(path: Path) -> VerdictHistory:
    """What ``path`` holds; nothing where it is not there.

    Raises VerdictError with the line of the first damage: a verdict that cannot be read may be
    the one that keeps a theft out of a baseline. Likewise where verdicts are gone.
    """
    # Before the file: one that is added meanwhile is not missed.
    given = _read_count(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    except OSError as error:
        raise VerdictError(f"cannot be read: {error.strerror}", where=path) from error
    return VerdictHistory(_decode_all(data, path, given))


def append(path: Path, records: Sequence[Record]) -> None:
    """Adds ``records``: all of them or none, on disk when it returns. Raises VerdictError.

    One write in append mode under a lock, taken back where the disk is full.
    """
    if not records:
        return
    data = b"".join(encode(record) for record in records)
    try:
        files.make_folder(path.parent)
        with files.open_locked_append(path) as handle:
            there = _decode_all(_read_all(handle), path, _read_count(path))
            _append_data(handle, data, path, len(there) + len(records))
    except OSError as error:
        raise VerdictError.not_written(error, path) from error


def _read_all(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)


def _append_data(handle: int, data: bytes, path: Path, count: int) -> None:
    before = os.fstat(handle).st_size
    files.append(handle, data)
    try:
        files.write_atomically(_count_path(path), b"%d\n" % count)
    except OSError:
        os.ftruncate(handle, before)
        raise


def _count_path(path: Path) -> Path:
    return path.with_name(path.name + COUNT_SUFFIX)


def _read_count(path: Path) -> int:
    """How many verdicts were given; none where nobody counted."""
    try:
        return int(_count_path(path).read_bytes())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        hint = f"delete it if {path.name} is whole"
        raise VerdictError(
            f"cannot be read: {error}", where=_count_path(path), hint=hint
        ) from error


def _decode_all(data: bytes, path: Path, given: int) -> tuple[Record, ...]:
    """Raises VerdictError also where there are fewer than were ``given``."""
    records = _decode_records(data, path)
    if len(records) < given:
        what = f"verdicts are gone: {given} were given, and it has {len(records)}"
        hint = f"restore it from a copy, or, if you deleted them, delete {_count_path(path)}"
        raise VerdictError(what, where=path, hint=hint)
    return records


def _decode_records(data: bytes, path: Path) -> tuple[Record, ...]:
    lines = data.split(b"\n")
    hint = (
        f"mend it from a copy, or delete the line (and {_count_path(path).name}) and give it again"
    )
    if lines.pop():
        raise VerdictError(f"line {len(lines) + 1} breaks off", where=path, hint=hint)
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(decode(line))
        except ValueError as error:
            raise VerdictError(f"line {number} {error}", where=path, hint=hint) from None
    return tuple(found)
