"""Reads logs into the ledger, each content once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Final, Literal, TypeAlias

import polars as pl

from detector.core.errors import InputError
from detector.core.formatting import path_text, percentage, quantity
from detector.core.prefetch import read_ahead
from detector.core.settings import Settings
from detector.ledger import manifest
from detector.ledger.input_writer import InputWriter
from detector.ledger.manifest import Part
from detector.ledger.overlap import Overlap, find_overlap
from detector.ledger.store import Ledger
from detector.normalize import containment, pseudonymize
from detector.normalize import shared_accounts as persons
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, Source
from detector.privacy import pseudonyms
from detector.readers.compression import ContentIdentity, content_identity, head
from detector.readers.log_input import LogInput, base_name

#: What a log leaves open is picked up by the next file or two of it; that many more are asked.
MAX_TAIL_PARTS: Final = 20

#: Batches read ahead: sums are made of several at a time, so they are wanted in bursts.
READ_AHEAD_BATCHES: Final = 6

FileState: TypeAlias = Literal["new", "known", "grown"]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file. ``known``: its content was in the ledger before. ``said`` is what
    people must know of it.
    """

    file: str
    source: str
    part_id: str
    state: FileState
    events: int
    rejects: int
    skipped: int
    days: tuple[date, ...]
    warning: str = ""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of all files of a run. ``unused`` are those left out, and why."""

    files: tuple[FileReport, ...]
    unused: tuple[tuple[str, str], ...] = ()

    @property
    def events(self) -> int:
        """The events the files hold, those of one content counted once."""
        return sum({file.part_id: file.events for file in self.files}.values())

    @property
    def rejects(self) -> int:
        """Likewise the records that were rejected."""
        return sum({file.part_id: file.rejects for file in self.files}.values())

    @property
    def days(self) -> list[date]:
        """All days the files cover, known ones too, in order."""
        return sorted({day for file in self.files for day in file.days})

    @property
    def part_ids(self) -> list[str]:
        """The ledger's parts that hold the files, without repetition, in the files' order."""
        return list(dict.fromkeys(file.part_id for file in self.files))


def ingest(
    files: Sequence[tuple[LogInput, Source]],
    ledger: Ledger,
    settings: Settings,
    advance: Callable[[int, str], None],
) -> IngestResult:
    """Reads into ``ledger`` what it does not have yet.

    ``advance(done, words)`` is told how many bytes of all files on disk are done. Each file
    is committed by itself; one that turns out to be unusable is left out as a whole. Raises
    InputError where none can be used, and LedgerError where the ledger cannot, has pseudonyms
    of another key than the settings name, or someone else is writing to it; files before that
    moment stay ingested.
    """
    reports = []
    unused: list[tuple[str, str]] = []
    first: InputError | None = None
    done = 0
    found = pseudonyms.load_if_enabled(settings)
    ledger.check_pseudonyms(found.key_check if found is not None else "")
    with ledger.write_lock():
        known = {part.id: part for part in ledger.parts()}
        for log, source in files:
            advance(done, path_text(base_name(log)))
            size = log.size()
            shifted = partial(_advance_from, advance, done)
            try:
                behind = pseudonymize.wrap_source(persons.wrap_source(source, settings), found)
                reports.append(_ingest_file(log, behind, ledger, settings, known, shifted))
            except InputError as error:
                first = first or error
                unused.append((log.name, error.reason))
            done += size
            advance(done, path_text(base_name(log)))
    if first is not None and not reports:
        raise first
    return IngestResult(tuple(reports), tuple(unused))


def _advance_from(advance: Callable[[int, str], None], before: int, done: int, words: str) -> None:
    advance(before + done, words)


def _ingest_file(
    log: LogInput,
    source: Source,
    ledger: Ledger,
    settings: Settings,
    known: dict[str, Part],
    advance: Callable[[int, str], None],
) -> FileReport:
    """Ingests one file unless ``known`` has it, and brings ``known`` up to date."""
    # Reading is given at least the bytes that are hashed, even if the file is growing.
    until = log.size()
    sizes = {manifest.HEAD_BYTES, *manifest.BEGINNINGS, *(part.size for part in known.values())}
    sizes |= {size for part in known.values() for size, _, _ in part.watched.values()}
    reading = manifest.settings_fingerprint(source.name, settings)
    same: Part | None = None
    old: list[Part] = []
    like = _Like()
    with ThreadPoolExecutor(1) as pool:
        hashed = pool.submit(content_identity, log, sizes, until)
        if not _is_new_content(log, known.values()):
            found = hashed.result()
            same = _part_with_content(found.sha256, known)
            # Of a log that has grown since, this may be a shorter, older copy: reading it with
            # new settings would put the grown one's events at stake.
            if same is not None and (
                same.settings_fingerprint == reading or same.id != found.sha256
            ):
                return _file_report(log, same, "known")
            old = [same] if same is not None else _grown_parts(found, known)
            like = _like(found, known, old)

        # Only the name of the first file on disk waits for the hash.
        stem = partial(_file_stem, hashed, reading)
        others = [part for part in known.values() if part not in old]
        writer, said = _write_input(log, source, ledger, settings, others, old, stem, advance, like)
    part = _new_part(log, source, reading, hashed.result(), old, writer)
    part = ledger.commit(part)
    for other in old:
        known.pop(other.id)
    known[part.id] = part
    return replace(
        _file_report(log, part, "grown" if old and same is None else "new"), warning=said
    )


def _write_input(
    log: LogInput,
    source: Source,
    ledger: Ledger,
    settings: Settings,
    others: list[Part],
    old: list[Part],
    stem: Callable[[], str],
    advance: Callable[[int, str], None],
    like: _Like,
) -> tuple[InputWriter, str]:
    """The file, read and written; and what people must know of it. Raises InputError."""
    tail = _open_tail(source, others)

    def take(batches: Iterator[Batch], known: pl.DataFrame | None = None) -> InputWriter:
        with InputWriter(ledger, stem, known, like.counted) as writer:
            for batch in read_ahead(batches, READ_AHEAD_BATCHES):
                writer.add(batch)
                advance(batch.bytes_read, base_name(log))
            writer.finish()
        return writer

    writer = containment.read_contained(source, log, settings, tail, take)
    _check_no_loss(log, source, old, writer)
    if any(like.counted):
        words = "detector watch read its beginning: {} of it count once"
        return writer, words.format(quantity(writer.duplicate_count, "statement"))
    twice = _find_overlap(ledger, writer, others, like.kin)
    if twice is None:
        return writer, ""
    if twice.is_sure:
        once = containment.read_contained(
            source, log, settings, tail, partial(take, known=twice.keys)
        )
        for day in set(writer.days) - set(once.days):
            for table in ("hours", "touched"):
                ledger.data_path(table, day, stem()).unlink(missing_ok=True)
        writer = once
    return writer, _overlap_warning(twice, writer.duplicate_count)


def _file_stem(hashed: Future[ContentIdentity], reading: str) -> str:
    return manifest.stem(hashed.result().sha256, reading)


def _find_overlap(
    ledger: Ledger, writer: InputWriter, parts: list[Part], kin: Collection[str]
) -> Overlap | None:
    """Where what was just written is in the ledger already."""
    if writer.first is None or writer.last is None:
        return None
    files = [ledger.data_path("hours", day, writer.stem()) for day in writer.days]
    return find_overlap(ledger, files, (writer.first, writer.last), writer.days, parts, kin)


def _overlap_warning(found: Overlap, doubled: int) -> str:
    if found.is_sure:
        return (
            f"{quantity(doubled, 'statement')} of it stand in {found.other_file} too, and "
            "count once; "
            "hours that only one of both holds whole may count twice"
        )
    return (
        f"{percentage(found.share)} of its sums by hour and account are those of "
        f"{found.other_file} too: "
        "if both hold the same statements, they count twice; take overlapping dumps in whole"
    )


def _check_no_loss(log: LogInput, source: Source, old: list[Part], writer: InputWriter) -> None:
    """Raises InputError where a log that the ledger knows would lose its events: read by another
    source, say. What it has of the log stays as it is.
    """
    had = sum(part.events for part in old)
    if not had or writer.events >= had or (writer.events and writer.rejects <= writer.events):
        return
    names = " and ".join(sorted({part.source for part in old}))
    raise InputError(
        f"gives {quantity(writer.events, 'event')} as {source.name}, and the ledger has {had:,} of "
        f"it as {names}: nothing was changed",
        where=log.name,
        hint=f"was --source meant to be {names}? detector check says how it is understood",
    )


def _is_new_content(log: LogInput, known: Collection[Part]) -> bool:
    """Whether, by its beginning, no known content can be that of ``log`` or the first of it."""
    first = head(log, manifest.HEAD_BYTES)
    sizes = {min(part.size, manifest.HEAD_BYTES) for part in known if part.size}
    alike = {"", *(hashlib.sha256(first[:size]).hexdigest() for size in sizes)}
    return len(first) == manifest.HEAD_BYTES and not any(
        part.head_digest in alike for part in known
    )


def _part_with_content(content: str, known: dict[str, Part]) -> Part | None:
    """The part that holds ``content``, as its own or as the beginning of it."""
    if content in known:
        return known[content]
    return next((part for part in known.values() if content in part.replaced_ids), None)


def _grown_parts(found: ContentIdentity, known: dict[str, Part]) -> list[Part]:
    """The parts whose whole content is the beginning of what was found."""
    return [
        part
        for part in known.values()
        if 0 < part.size < found.size and found.prefixes.get(part.size) == part.id
    ]


@dataclass(frozen=True, slots=True)
class _Like:
    """What the ledger knows of the beginning of a content: the ids of parts that begin so
    (``kin``), and which events and rejects of it were ``counted``, by their numbers.
    """

    kin: tuple[str, ...] = ()
    counted: tuple[range, range] = (range(0), range(0))


def _like(found: ContentIdentity, known: dict[str, Part], old: list[Part]) -> _Like:
    """Of a log that was cut short, or that grew since a watcher read it. What the ``old`` parts
    have of it is read anew.
    """
    kin = []
    for part in known.values():
        both = [size for size in manifest.BEGINNINGS
                if str(size) in part.beginnings and size in found.prefixes]  # fmt: skip
        if both and found.prefixes[max(both)] == part.beginnings[str(max(both))]:
            kin.append(part.id)
    watched = [
        counts
        for part in known.values()
        for content, counts in part.watched.items()
        if 0 < counts[0] < found.size and found.prefixes.get(counts[0]) == content
    ]
    size, *counts = max(watched, default=(0, 0, 0))
    before = [part for part in old if part.size < size]
    first = sum(part.events for part in before), sum(part.rejects for part in before)
    numbers = [range(at, at + more) for at, more in zip(first, counts, strict=True)]
    return _Like(tuple(kin), (numbers[0], numbers[1]))


def _open_tail(source: Source, others: list[Part]) -> ReaderState:
    """What the latest parts of the same log left open; the latest word wins."""
    dated = [part for part in others if part.source == source.name and part.last is not None]
    recent = sorted(dated, key=lambda part: (part.last, part.id))[-MAX_TAIL_PARTS:]
    return ReaderState({name: value for part in recent for name, value in part.tail.items()})


def _new_part(
    log: LogInput,
    source: Source,
    reading: str,
    found: ContentIdentity,
    old: list[Part],
    writer: InputWriter,
) -> Part:
    """What was ``found`` in a file and written, in place of the ``old`` parts."""
    stands_for = {other for part in old for other in (part.id, *part.replaced_ids)} - {found.sha256}
    return Part(
        id=found.sha256,
        settings_fingerprint=reading,
        file=path_text(base_name(log)),
        source=source.name,
        size=found.size,
        events=writer.events,
        rejects=writer.rejects,
        skipped=writer.skipped,
        first=writer.first,
        last=writer.last,
        days=tuple(writer.days),
        tail=dict(writer.tail.sessions),
        replaced_ids=tuple(sorted(stands_for)),
        head_digest=found.prefixes.get(manifest.HEAD_BYTES, found.sha256),
        beginnings={
            str(size): found.prefixes[size]
            for size in manifest.BEGINNINGS
            if size in found.prefixes
        },
    )


def _file_report(log: LogInput, part: Part, state: FileState) -> FileReport:
    return FileReport(
        log.name,
        part.source,
        part.id,
        state,
        part.events,
        part.rejects,
        part.skipped,
        part.days,
    )
