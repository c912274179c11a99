"""Files that outlive a crash: on disk, names and all, before anyone is told so."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import polars as pl

#: What Linux's renameat2 is told: the working folder for both names, and to exchange them
#: (renameat2(2)).
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2

#: Files whose way to the disk is waited for at once: a disk writes many in the time of one.
SYNC_THREADS: Final = 16

#: What is not whole yet, and how polars tells the number of an error (as Rust does).
_SCRATCH_NAME: Final = re.compile(r"\.detector-[0-9a-f]{16}\.tmp")
_SYSTEM_ERROR: Final = re.compile(r"\(os error (\d+)\)")


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


def make_folder(path: Path) -> None:
    """Makes a folder and those above it; their names are on disk. Raises OSError."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync(each.parent)


def write_atomically(path: Path, data: bytes) -> None:
    """A whole file, on disk, or the one that was there before. Raises OSError, naming ``path``."""
    with replacement(path) as fresh:
        fresh.write_bytes(data)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Where to write what shall stand in ``path``: it does, whole and on disk, once this is left.

    After an error the old file stands there, and nothing else is left. Raises OSError, naming
    ``path``, also for polars' errors of a write.
    """
    with naming(path), _scratch(path.parent) as fresh:
        yield fresh
        sync(fresh)
        fresh.replace(path)
        sync(path.parent)


def write_folder(path: Path, contents: Mapping[str, bytes]) -> None:
    """A whole folder of files, on disk, or the one that was there before.

    Raises OSError, naming ``path``.
    """
    with naming(path):
        make_folder(path.parent)
        with _scratch(path.parent) as fresh:
            fresh.mkdir()
            for name, data in contents.items():
                (fresh / name).write_bytes(data)
                sync(fresh / name)
            sync(fresh)
            replace_folder(fresh, path)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A name of nobody's in ``folder``; what has it at the end is deleted.

    So is what killed processes left: who writes holds a shared lock on the folder, and who gets it
    alone knows that nobody does. File systems that cannot lock a folder keep it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in folder.glob(".detector-*.tmp"):
                if is_scratch(path):
                    _delete(path)
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        fresh = folder / f".detector-{secrets.token_hex(8)}.tmp"
        try:
            yield fresh
        finally:
            _delete(fresh)
    finally:
        os.close(handle)


def is_scratch(path: Path) -> bool:
    """Whether it is what a killed process left of a write."""
    return _SCRATCH_NAME.fullmatch(path.name) is not None


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Makes the errors of a write OSErrors that have their number and name ``path``.

    Those of polars are some error of its own, or an OSError without a number.
    """
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        told = _SYSTEM_ERROR.search(str(error))
        code = getattr(error, "errno", None) or (int(told[1]) if told else None)
        if code is None:
            raise
        raise OSError(code, os.strerror(code), str(path)) from error


@contextmanager
def open_locked_append(path: Path, mode: int = 0o600) -> Iterator[int]:
    """The handle of the file that has this name now, at its end, held against other processes.

    When this is left without an error, the file's name is on disk; its data ``append`` writes.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_current(path, handle):
                yield handle
                break
        finally:
            os.close(handle)
    sync(path.parent)


def _is_current(path: Path, handle: int) -> bool:
    """Whether nobody moved the file away while we waited for the lock."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(handle))


def append(handle: int, data: bytes) -> None:
    """Adds ``data`` to a locked file, on disk: all of it or nothing. Raises OSError."""
    size = os.fstat(handle).st_size
    left = memoryview(data)
    try:
        while left:
            left = left[_write_some(handle, left) :]
        os.fsync(handle)
    except BaseException:
        os.ftruncate(handle, size)
        raise


def _write_some(handle: int, data: memoryview) -> int:
    """How many bytes were written, at least one."""
    written = os.write(handle, data)
    if not written:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return written


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
