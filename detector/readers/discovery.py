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
from detector.readers.log_input import LocalFile, LogInput, base_name
from detector.readers.object_store import StoredObject

#: What lies beside logs in a folder and is none.
_NOT_LOGS: Final = re.compile(
    r"^(readme.*|license.*|.*\.(md|toml|html|pdf|png|py|sh|lock|sha256|sha256sum|md5)"
    r"|directory\.csv|incidents\.csv)$",
    re.IGNORECASE,
)


def expand(arguments: Sequence[str]) -> list[LogInput]:
    """The logs that ``arguments`` (files, folders, globs, also in stores) name, each once.

    Arguments keep their order; what a folder or glob holds comes in natural order (log.2 before
    log.10). Hidden files and what is no log by its name are left out, unless named themselves.
    Raises InputError where an argument names nothing.
    """
    found: dict[str | Path, LogInput] = {}
    for argument in arguments:
        stored = object_store.is_store_url(argument)
        logs = _matching_objects(argument) if stored else _local_files(argument)
        if not logs:
            there = not stored and Path(argument).is_dir()
            raise InputError(
                "holds no logs" if there else "no such file, folder or glob",
                where=argument,
                hint="give a log, a folder of logs, or a glob in quotes such as 'logs/*.csv.gz'",
            )
        for log in logs:
            place = log.local_path
            found.setdefault(log.name if place is None else place.resolve(), log)
    return list(found.values())


def expand_existing(arguments: Sequence[str]) -> list[Path]:
    """The files of this machine that ``arguments`` name now, as ``expand`` finds them: none where
    an argument names nothing. Raises InputError for one in a store.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        if object_store.is_store_url(argument):
            hint = "read it with detector score, or follow the files it is made of"
            raise InputError(
                "is in an object store, which cannot be followed", where=argument, hint=hint
            )
        for path in _matching_files(argument):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def natural_sort_key(name: str | Path) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by their size."""
    return [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"([0-9]+)", str(name))
        if part
    ]


def _matching_files(argument: str) -> list[Path]:
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


def _local_files(argument: str) -> list[LocalFile]:
    return [LocalFile(path) for path in _matching_files(argument)]


def _matching_objects(url: str) -> list[StoredObject]:
    """The logs that a URL names in a store; one that is named itself is taken as it is."""
    found = object_store.list_objects(url)
    if [log.name for log in found] == [url]:
        return found
    head = len(url.partition("://")[2].partition("/")[0])
    logs = [
        log
        for log in found
        if not _NOT_LOGS.match(base_name(log))
        and not any(part.startswith(".") for part in log.name[head:].split("/"))
    ]
    return sorted(logs, key=lambda log: natural_sort_key(log.name))


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
