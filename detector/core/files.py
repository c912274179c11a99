"""Files that outlive a crash: on disk, names and all, before anyone is told so."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: What Linux's renameat2 is told: the working folder for both names, and to exchange them
#: (renameat2(2)).
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2

#: Files whose way to the disk is waited for at once: a disk writes many in the time of one.
SYNC_THREADS: Final = 16


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
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        list(pool.map(sync, [*made, *folders]))


def write_atomically(path: Path, data: bytes) -> None:
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
def open_locked_append(path: Path) -> Iterator[int]:
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


def open_lock(path: Path) -> int:
    """The handle of a lock file, made where there is none. Raises OSError.

    Not through a link: whoever may write there could have another file made, or held.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def replace_folder(fresh: Path, path: Path) -> None:
    """Puts the folder ``fresh`` in the place of ``path``, and deletes what was there.

    In one step where the system can exchange two names. Elsewhere the old one is called
    ``.old`` for a moment, where ``current_folder`` finds it. Raises OSError.
    """
    old = _backup_path(path)
    if not path.exists():
        fresh.rename(path)
    elif exchange(fresh, path):
        shutil.rmtree(fresh)
    else:
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
        try:
            fresh.rename(path)
        except OSError:
            old.rename(path)
            raise
    # Also that of a process which was killed between the two.
    shutil.rmtree(old, ignore_errors=True)
    sync(path.parent)


def current_folder(path: Path) -> Path:
    """Where the folder ``path`` is to be read: the old one, while it is being replaced."""
    return path if path.exists() or not _backup_path(path).exists() else _backup_path(path)


def _backup_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    return int(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)) == 0
