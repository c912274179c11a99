"""Files that outlive a crash: on disk, names and all, before anyone is told so."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: Files whose way to the disk is waited for at once: a disk writes many in the time of one.
AT_ONCE: Final = 16


def sync(path: Path) -> None:
    """Waits until a file's data, or a folder's names, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(files: Iterable[Path]) -> None:
    """Waits until files, their folders' names and those of the folders above are on disk."""
    made = set(files)
    folders = {folder for path in made for folder in (path.parent, path.parent.parent)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(sync, [*made, *folders]))


def write(path: Path, data: bytes) -> None:
    """A whole file, or the one that was there before: never half of one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(data)
        sync(fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def appending(path: Path) -> Iterator[int]:
    """The file's handle, for its owner alone, at its end, held against other processes.

    When this is left without an error, the file's name is on disk; its data the caller syncs.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)
    sync(path.parent)
