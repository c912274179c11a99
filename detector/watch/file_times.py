"""When a file that is no log yet is looked at: not again at once, and not before it rests."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final, TypeAlias

#: Seconds between two looks at a file that could not be used yet.
RETRY_SECONDS: Final = 5.0
#: Device and inode.
Place: TypeAlias = tuple[int, int]


@dataclass(slots=True)
class FileTimes:
    """``now`` counts seconds and is never set back, as the clock on the ``wall`` is, by which files
    are stamped. With ``finish``, nothing is waited for that could not be used a moment ago.
    """

    settle_seconds: float
    now: float = 0.0
    wall: float = 0.0
    finish: bool = False
    _retry: dict[tuple[int, int, int], float] = field(default_factory=dict)
    _future: dict[tuple[int, int, int, int], float] = field(default_factory=dict)

    def begin(self, now: float, wall: float, *, finish: bool) -> None:
        """A look at all files begins."""
        self.now, self.wall, self.finish = now, wall, finish
        kept = {} if finish else self._retry
        self._retry = {mark: when for mark, when in kept.items() if when > now}

    def is_due(self, status: os.stat_result) -> bool:
        """Whether a file was not looked at just now as it is."""
        return self._retry.get(_size_mark(status), 0.0) <= self.now

    def mark_seen(self, status: os.stat_result) -> None:
        """A file is looked at now."""
        self._retry[_size_mark(status)] = self.now + RETRY_SECONDS

    def forget(self, status: os.stat_result) -> None:
        """A file is to be looked at again at once."""
        self._retry.pop(_size_mark(status), None)

    def is_settled(self, status: os.stat_result) -> bool:
        """Whether a file rests. One whose time lies in the future is held against what was seen."""
        if self.wall >= status.st_mtime:
            return self.wall - status.st_mtime >= self.settle_seconds
        mark = (*_size_mark(status), status.st_mtime_ns)
        since = self._future.setdefault(mark, self.now)
        return self.finish or self.now - since >= self.settle_seconds


def _size_mark(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_size
