"""Which files a run reads, and in what order."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from detector.core.errors import InputError
from detector.readers import object_store

#: What lies beside logs in a folder and is none.
_NOT_LOGS: Final = re.compile(
    r"^(readme.*|license.*|.*\.(md|toml|html|pdf|png|py|sh|lock|sha256|sha256sum|md5)"
    r"|directory\.csv|incidents\.csv)$",
    re.IGNORECASE,
)


def expand(arguments: Sequence[str]) -> list[Path]:
    """The files that ``arguments`` (files, folders, globs, also in stores) name, each once.

    Arguments keep their order; what a folder or glob holds comes in natural order (log.2 before
    log.10). Hidden files and what is no log by its name are left out, unless named themselves.
    Raises InputError where an argument names nothing.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        files = _matching_files(argument)
        if not files:
            there = not object_store.is_store_url(argument) and Path(argument).is_dir()
            raise InputError(
                "holds no logs" if there else "no such file, folder or glob",
                where=argument,
                hint="give a log, a folder of logs, or a glob in quotes such as 'logs/*.csv.gz'",
            )
        for path in files:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def is_local(path: Path) -> bool:
    """Whether ``path`` is a file of this machine."""
    return not isinstance(path, object_store.ObjectPath)


def expand_existing(arguments: Sequence[str]) -> list[Path]:
    """As ``expand``, of what is there now: nothing where an argument names nothing."""
    found: dict[Path, Path] = {}
    for argument in arguments:
        for path in _matching_files(argument):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def natural_sort_key(path: Path) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by their size."""
    return [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"([0-9]+)", str(path))
        if part
    ]


def _matching_files(argument: str) -> list[Path]:
    if object_store.is_store_url(argument):
        return _matching_objects(argument)
    try:
        path = Path(argument)
        if path.is_dir():
            return sorted(_folder_logs(path), key=natural_sort_key)
        if path.exists():
            if not path.is_file():
                raise InputError(
                    "is no regular file", where=argument, hint="write its content to a file first"
                )
            return [path]
        matches = [Path(match) for match in glob.glob(argument, recursive=True)]  # noqa: PTH207 - absolute ones too
        logs = [match for match in matches if match.is_file() and not _NOT_LOGS.match(match.name)]
    except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
        raise InputError(f"cannot be read: {error}", where=argument) from error
    for match in matches:
        if match.is_dir():
            logs += _folder_logs(match)
    return sorted(set(logs), key=natural_sort_key)


def _matching_objects(url: str) -> list[Path]:
    """The logs that a URL names in a store; one that is named itself is taken as it is."""
    found = object_store.list_objects(url)
    if [path.url for path in found] == [url]:
        return list(found)
    head = len(url.partition("://")[2].partition("/")[0])
    logs = [
        path
        for path in found
        if not _NOT_LOGS.match(path.name)
        and not any(part.startswith(".") for part in path.url[head:].split("/"))
    ]
    return sorted(logs, key=natural_sort_key)


def _folder_logs(top: Path) -> Iterator[Path]:
    """The logs in ``top``; a folder that cannot be looked into comes itself, to be told."""
    denied: list[Path] = []
    seen: set[str] = set()  # a link can lead back to a folder above it
    tree = os.walk(top, onerror=lambda error: denied.append(_error_path(error)), followlinks=True)
    for folder, folders, names in tree:
        again = os.path.realpath(folder) in seen
        seen.add(os.path.realpath(folder))
        folders[:] = [name for name in folders if not again and not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            log = path.is_file() or path.is_symlink()  # a broken link is told when it is opened
            if log and not name.startswith(".") and not _NOT_LOGS.match(name):
                yield path
    yield from denied


def _error_path(error: OSError) -> Path:
    return Path(str(error.filename))
