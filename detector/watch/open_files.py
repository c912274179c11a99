"""Logs whose files are closed for a while: a process may have only so many open.

Those that were used least lately are closed first, of them those at whose end there is nothing new.
A file that is written to, or wanted for another reason, is opened again by its name.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from detector.watch.log_content import LogContent, PlainFile
from detector.watch.log_position import Log

#: Files that are open for other purposes: the ledger's, the state's, sinks.
RESERVED_FILES: Final = 256
MIN_FILES: Final = 16
#: Files closed at once.
CLOSE_BATCH: Final = 16


def raise_limit() -> None:
    """Lets the process have as many open files as it may."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def open_file_limit() -> int:
    """How many logs may be open."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(MIN_FILES, most - RESERVED_FILES) if most > 0 else 1 << 20


@dataclass(slots=True)
class ClosedFiles:
    """By log, size and time of its file when it was closed."""

    max_open: int = field(default_factory=open_file_limit)
    _stamps: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __contains__(self, number: int) -> bool:
        return number in self._stamps

    def discard(self, number: int) -> None:
        """The log is open again, or over."""
        self._stamps.pop(number, None)

    def current_stamp(self, log: Log) -> tuple[int, int] | None:
        """Size and time of the log's file now; None where another stands under its name."""
        try:
            found = Path(log.path).stat()
        except OSError:
            return None
        same = (found.st_dev, found.st_ino) == (log.device, log.inode)
        return (found.st_size, found.st_mtime_ns) if same else None

    def is_idle(self, log: Log) -> bool:
        """Whether the log is closed, and nothing is to be read of it."""
        stamp = self._stamps.get(log.id)
        return stamp is not None and stamp[0] == log.position and self.current_stamp(log) == stamp

    def make_room(self, contents: MutableMapping[int, LogContent], logs: Mapping[int, Log]) -> None:
        """Closes some files where there are too many."""
        held = {number: each for number, each in contents.items() if isinstance(each, PlainFile)}
        if len(held) < self.max_open:
            return
        read = [
            number for number, each in held.items() if not each.unread_bytes(logs[number].position)
        ]
        # What is at its end first; files that nobody can open any more by their name never.
        order = [*read, *(number for number in held if number not in set(read))]
        for number in order[:CLOSE_BATCH]:
            log, content = logs[number], held[number]
            status = content.status
            if self.current_stamp(log) is None:
                continue
            self._stamps[number] = (status.st_size, status.st_mtime_ns)
            contents.pop(number).close()
