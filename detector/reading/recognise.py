"""In which format each file is written: told by content, or by the person."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from detector.errors import InputError, SettingsError
from detector.reading import columns, dialect, nested, opening, records
from detector.reading.source import Sample, Source
from detector.settings import Settings

#: Files with their sources, in order.
Files: TypeAlias = list[tuple[Path, Source]]
#: Files left out, and why: they are counted and told, as rejects are.
Unused: TypeAlias = list[tuple[Path, str]]


def recognise(
    paths: Sequence[Path],
    sources: Mapping[str, Source],
    settings: Settings,
    name: str | None = None,
) -> tuple[Files, Unused]:
    """The source of each file; all have the source ``name`` where it is given.

    A file that is empty, or among many one that no source accepts, lands in the second list.
    Raises SettingsError for an unknown ``name``, and InputError where no file can be used.
    """
    chosen = None if name is None else _named(name, sources)
    files: Files = []
    unused: Unused = []
    first: InputError | None = None
    for path in paths:
        try:
            sample = _sample(path)
            source = chosen or _accepting(sample, sources, settings)
        except InputError as error:
            first = first or error
            unused.append((path, f"{error.what}; {error.hint}" if error.hint else error.what))
        else:
            files.append((path, source))
    if not files:
        raise first or InputError("no logs were given")
    return files, unused


def _sample(path: Path) -> Sample:
    data = opening.head(path)
    if not data.strip():
        raise InputError("is empty", where=path)
    return Sample(path, data)


def _named(name: str, sources: Mapping[str, Source]) -> Source:
    if name in sources:
        return sources[name]
    near = difflib.get_close_matches(name, sources, n=1)
    known = f"known are {', '.join(sources)}"
    raise SettingsError(
        f"unknown source {name!r}",
        where="--source",
        hint=f"did you mean {near[0]!r}? {known}" if near else known,
    )


def _accepting(sample: Sample, sources: Mapping[str, Source], settings: Settings) -> Source:
    found = [source for source in sources.values() if source.accepts(sample, settings)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(source.name for source in found)
        raise InputError(
            f"could be {names}", where=sample.path, hint="say which with --source NAME"
        )
    known = ", ".join(f"{source.name} ({source.title})" for source in sources.values())
    raise InputError(
        "is of no known format" + _lacking(sample, settings),
        where=sample.path,
        hint=f"known are {known}",
    )


def _lacking(sample: Sample, settings: Settings) -> str:
    """For a table of events that lacks required columns: which, and how to name them."""
    data = sample.head.removeprefix(records.BOM)
    if data.startswith(records.UTF_16):
        return ": it is UTF-16 text, convert it to UTF-8 first"
    if b"\0" in data:
        return ": it is binary"
    if data.lstrip().startswith(b"{"):
        names, kind = nested.shape(data).names, "NDJSON"
    else:
        header = dialect.sniff(data, settings)
        names, kind = (header.names, "CSV") if header else ([], "CSV")
    if len(names) < 2 or any(name[:1].isdigit() for name in names):
        return ""
    found = columns.find(names, settings)
    missing = [name for name in columns.REQUIRED if name not in found]
    if not missing:
        return ""
    return f": {kind} without a column for {' and '.join(missing)} ({columns.lack(names, found)})"
