"""Digests of a part's Parquet files: what lies on disk is what was written, or it is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

from detector.core.files import SYNC_THREADS

#: What changes with every change of a file: its inode, size and times. The last cannot be set.
Stamp: TypeAlias = tuple[int, int, int, int]

#: Files that are not hashed again before so many others were.
_CACHE_SIZE: Final = 100_000
_verified_stamps: Final[dict[tuple[Path, str], Stamp]] = {}


def compute(files: Collection[Path]) -> dict[Path, str]:
    """The sha256 of each file. Raises OSError."""
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        return dict(zip(files, pool.map(_digest, files), strict=True))


def mismatches(wanted: Mapping[Path, str]) -> Iterable[tuple[Path, str]]:
    """The files that have not the ``wanted`` digest, each with what is wrong, in words.

    A file that was looked at is hashed anew once its stamp is another.
    """
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        for path, problem in zip(wanted, pool.map(_compare, wanted.items()), strict=True):
            if problem:
                yield path, problem


def _compare(item: tuple[Path, str]) -> str:
    path, wanted = item
    try:
        before = _stamp(path)
        if _verified_stamps.get(item) == before:
            return ""
        if _digest(path) != wanted:
            return "its digest is not the one in its manifest"
    except OSError as error:
        return error.strerror or str(error)
    if len(_verified_stamps) >= _CACHE_SIZE:
        _verified_stamps.clear()
    _verified_stamps[item] = before
    return ""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
