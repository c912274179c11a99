"""Locks between processes: a file that one of them holds, until it lets go or ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: Seconds between two tries.
_PAUSE: Final = 0.05


def make(path: Path) -> int:
    """The handle of a lock file, made where there is none, for its owner alone. Raises OSError.

    Not through a link: whoever may write there could have another file made, or held.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def acquire(path: Path, patience: float = 0.0) -> int | None:
    """The handle of the lock file ``path``, for ``release``; none while another process holds it.

    ``patience`` is how many seconds to wait for that one. Raises OSError.
    """
    until = time.monotonic() + patience
    handle = make(path)
    try:
        while not _try_lock(handle):
            if time.monotonic() >= until:
                os.close(handle)
                return None
            time.sleep(_PAUSE)
    except BaseException:
        os.close(handle)
        raise
    return handle


def release(handle: int) -> None:
    """Lets others in. Not by closing alone: a process that starts may hold a copy for a moment."""
    try:
        fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


@contextmanager
def holding(path: Path, patience: float = 0.0) -> Iterator[bool]:
    """Whether no other process holds the lock; none gets it until the end. Raises OSError."""
    handle = acquire(path, patience)
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        release(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
