"""``file:///folder/alerts.ndjson``: one record a line, for an agent that tails it.

A batch is one ``write`` to a file opened with O_APPEND, then flushed to the disk: writers do not
mix, and a line that has its newline is whole and never changed. Some file systems (ext4) show a
reader the beginning of a write that is under way, so an agent must wait for the newline, as all do.
What a crash left of a line is moved to ``.torn`` beside the file before anything is added.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from detector.core import files
from detector.core.errors import SettingsError
from detector.delivery.config import SinkConfig
from detector.delivery.format import Format
from detector.delivery.sink import Delivery, Item, Outcome, Send, Sink, Unreachable, repeat_outcome
from detector.delivery.tls import error_text

#: Alerts name people: their owner and group may read them.
MODE: Final = 0o640
BLOCK_SIZE: Final = 1 << 16


def check(target: SinkConfig, form: Format) -> None:
    """The path is absolute: a service has no folder of its own to begin from."""
    del form
    if target.host or not target.path.startswith("/") or target.path.endswith("/"):
        hint = "such as file:///var/log/detector/alerts.ndjson"
        raise SettingsError("a file's url has three slashes and a file name", hint=hint)
    if "\0" in target.path:
        raise SettingsError("a file's url holds a NUL, which no name can")


@contextmanager
def open_(target: SinkConfig, form: Format) -> Iterator[Send]:
    """The file is opened anew for each batch: it may have been moved away in between."""
    del form
    path = Path(target.path)

    def send(items: Sequence[Item]) -> list[Outcome]:
        data = b"".join(item.payload + b"\n" for item in items)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            append(path, data, target, datetime.now(UTC).date)
        except OSError as error:
            # As bytes say it: a name that is no text can neither be shown nor kept.
            name = os.fsencode(path).decode("utf-8", "backslashreplace")
            raise Unreachable(f"{name} cannot be written: {error_text(error)}") from error
        return repeat_outcome(items, Delivery())

    yield send


def append(path: Path, data: bytes, target: SinkConfig, today: Callable[[], date]) -> None:
    """Adds ``data``, whole lines, in one piece; first rotates where it is time. Raises OSError."""
    with files.open_locked_append(path, MODE) as file:
        size = _move_torn_line(file, path)
        if not size or not _is_rotation_due(file, size + len(data), target, today()):
            files.append(file, data)
            return
        _rotate(path, file)
    with files.open_locked_append(path, MODE) as file:
        _move_torn_line(file, path)
        files.append(file, data)


def _move_torn_line(file: int, path: Path) -> int:
    """Moves the torn end of a last line to ``.torn``; the size without it."""
    size = os.fstat(file).st_size
    whole = _complete_size(file, size)
    if whole != size:
        torn = os.pread(file, size - whole, whole)
        with files.open_locked_append(path.with_name(f"{path.name}.torn"), MODE) as beside:
            files.append(beside, torn + b"\n")
        os.ftruncate(file, whole)
    return whole


def _complete_size(file: int, size: int) -> int:
    """Bytes up to and with the last newline."""
    end = size
    while end > 0:
        start = max(0, end - BLOCK_SIZE)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _is_rotation_due(file: int, size: int, target: SinkConfig, today: date) -> bool:
    """By size, or because the day (UTC) of the last line is over."""
    if target.rotate_bytes and size > target.rotate_bytes:
        return True
    written = datetime.fromtimestamp(os.fstat(file).st_mtime, UTC).date()
    return target.rotate_daily and written < today


def _rotate(path: Path, file: int) -> None:
    """``alerts.ndjson`` becomes ``alerts.2024-02-05.ndjson``, or ``.2024-02-05.2.``, and so on.

    The day is that of its last line. A link and an unlink, so that nothing is ever replaced.
    """
    day = datetime.fromtimestamp(os.fstat(file).st_mtime, UTC).date().isoformat()
    number = 1
    while True:
        mark = day if number == 1 else f"{day}.{number}"
        try:
            os.link(path, path.with_name(f"{path.stem}.{mark}{path.suffix}"))
            break
        except FileExistsError:
            number += 1
    path.unlink()
    files.sync(path.parent)


SINK: Final = Sink(
    "file", "a file of one record a line, rotated by size and day", ("file",), open_, check, "ocsf",
    keys=frozenset({"rotate_bytes", "rotate_daily"}), batch=1000,
)  # fmt: skip
