"""In which format each file is written: told by content, or by the person."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from detector.core.errors import InputError, SettingsError
from detector.core.settings import Settings
from detector.normalize import containment, pseudonymize, unsupported_formats
from detector.normalize.source import Sample, Source
from detector.readers import blocks, column_names, csv_dialect, json_lines, plain_text
from detector.readers.log_input import LogInput

_COPY_HINT: Final = "it may be empty or cut off; copy it again"

#: Files with their sources, in order.
SourceFiles: TypeAlias = list[tuple[LogInput, Source]]
#: Names of files left out, and why: they are counted and told, as rejects are.
UnusedFiles: TypeAlias = list[tuple[str, str]]


def detect(
    logs: Sequence[LogInput],
    sources: Mapping[str, Source],
    settings: Settings,
    name: str | None = None,
) -> tuple[SourceFiles, UnusedFiles]:
    """The source of each file; all have the source ``name`` where it is given.

    A file that is empty, or among many one that no source accepts, lands in the second list.
    Raises SettingsError for an unknown ``name``, and InputError where no file can be used.
    """
    chosen = None if name is None else _source_by_name(name, sources)
    files: SourceFiles = []
    unused: UnusedFiles = []
    first: InputError | None = None
    for log in logs:
        try:
            sample = _read_sample(log)
            source = chosen or _detect_source(sample, sources, settings)
        except InputError as error:
            said = pseudonymize.redact_error(error, settings)
            first = first or said
            unused.append((log.name, said.reason))
        else:
            files.append((log, source))
    if not files:
        raise first or InputError("no logs were given")
    return files, unused


def _read_sample(log: LogInput) -> Sample:
    data = plain_text.head(log)
    data = data.lstrip(b"\0") or data  # a crash leaves them
    if not data.strip():
        if not data and _size(log):
            raise InputError(
                "holds nothing that can be decompressed", where=log.name, hint=_COPY_HINT
            )
        raise InputError("is empty", where=log.name)
    return Sample(log, data)


def _size(log: LogInput) -> int:
    try:
        return log.size()
    except OSError:  # it is gone by now
        return 0


def _source_by_name(name: str, sources: Mapping[str, Source]) -> Source:
    if name in sources:
        return sources[name]
    near = difflib.get_close_matches(name, sources, n=1)
    known = f"known are {', '.join(sources)}"
    raise SettingsError(
        f"unknown source {name!r}",
        where="--source",
        hint=f"did you mean {near[0]!r}? {known}" if near else known,
    )


def accepting_sources(
    sample: Sample, sources: Mapping[str, Source], settings: Settings
) -> list[Source]:
    """The sources that accept a sample: special ones, or where there are none general ones."""
    found = [source for source in sources.values() if _accepts(source, sample, settings)]
    return [source for source in found if not source.is_general] or found


def _accepts(source: Source, sample: Sample, settings: Settings) -> bool:
    """Whether a source accepts a sample; one that raises does not."""
    try:
        return source.accepts(sample, settings)
    except containment.PROPAGATED_ERRORS:
        raise
    except containment.CONTAINED_ERRORS:
        return False


def _detect_source(sample: Sample, sources: Mapping[str, Source], settings: Settings) -> Source:
    """The source of a sample; or of what follows its first line, where that is half a line, as a
    log has it that was cut or begun in the middle. Raises InputError.
    """
    try:
        return _single_source(sample, sources, settings)
    except InputError:
        rest = sample.head.partition(b"\n")[2]
        found = (
            accepting_sources(Sample(sample.log, rest), sources, settings) if rest.strip() else []
        )
        lines = [source for source in found if source.can_follow(rest)]
        # The first line of a table is not half a line: it is the header, or there is none.
        if len(lines) != 1 or (lines[0].is_general and not rest.lstrip().startswith(b"{")):
            raise
        return lines[0]


def _single_source(sample: Sample, sources: Mapping[str, Source], settings: Settings) -> Source:
    found = accepting_sources(sample, sources, settings)
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(source.name for source in found)
        raise InputError(
            f"could be {names}", where=sample.log.name, hint="say which with --source NAME"
        )
    raise InputError(
        "is of no known format" + _mismatch_reason(sample, settings),
        where=sample.log.name,
        hint=f"known are {', '.join(sources)}",
    )


def _mismatch_reason(sample: Sample, settings: Settings) -> str:
    """What it is instead: a table that lacks required columns, or something else that is known."""
    data = sample.head.removeprefix(blocks.BOM)
    words = unsupported_formats.unsupported_reason(data)
    if words:
        return words
    if data.lstrip().startswith(b"{"):
        names, kind = json_lines.infer_shape(data).names, "NDJSON"
    else:
        header = csv_dialect.sniff(data, settings)
        names, kind = (header.names, "CSV") if header and _is_table(data, header) else ([], "CSV")
        if header and len(header.names) == 1 and _has_required_names(header.names[0]):
            return ": it may be CSV, which needs comma, semicolon, tab or | between its columns"
    if len(names) < 2 or any(name[:1].isdigit() for name in names):
        return ""
    found = column_names.find(names, settings)
    for canonical, wanted in settings.columns.items():
        if canonical in column_names.REQUIRED and canonical not in found:
            return (
                f": {kind} without {column_names.missing_column_reason(canonical, wanted, names)}"
            )
    missing = [name for name in column_names.REQUIRED if name not in found]
    if not missing:
        return ""
    return (
        f": {kind} without a column for {' and '.join(missing)} "
        f"({column_names.missing_column_hint(names, found)})"
    )


def _is_table(data: bytes, header: csv_dialect.Header) -> bool:
    """Whether the line after the header, if there is one, has as many columns."""
    body = data[header.byte_count :].lstrip(b"\r\n")
    line = next(blocks.split_records(body, quoted=True), b"").decode("utf-8", "replace")
    try:
        cells = next(csv.reader([line.rstrip("\r\n")], delimiter=header.delimiter), [])
    except csv.Error:  # a carriage return within a line
        return False
    return not line or len(cells) == len(header.names)


def _has_required_names(line: str) -> bool:
    """Whether words of an unparted first line are names of a timestamp and an account."""
    return column_names.is_complete(column_names.find(re.split(r"[^\w.@]+", line), Settings()))
