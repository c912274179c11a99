"""Reads logs into the ledger, each content once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from detector.durable import sync
from detector.errors import InputError
from detector.ledger import manifest
from detector.ledger.fold import coded
from detector.ledger.manifest import Part
from detector.ledger.spool import Spool
from detector.ledger.store import Ledger
from detector.phrases import readable
from detector.pseudonyms import names
from detector.reading import identity as persons
from detector.reading import veil
from detector.reading.ahead import ahead
from detector.reading.opening import Identity, head, identity
from detector.reading.source import Batch, Source, Tail
from detector.schema import REJECTS, check
from detector.settings import Settings

#: What a log leaves open is picked up by the next file or two of it; that many more are asked.
TAILS: Final = 20

#: Batches read ahead: sums are made of several at a time, so they are wanted in bursts.
AHEAD: Final = 6

State: TypeAlias = Literal["new", "known", "grown"]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file. ``known``: its content was in the ledger before."""

    path: Path
    source: str
    part_id: str
    state: State
    events: int
    rejects: int
    skipped: int
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of all files of a run. ``unused`` are those left out, and why."""

    files: tuple[FileReport, ...]
    unused: tuple[tuple[Path, str], ...] = ()

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
    files: Sequence[tuple[Path, Source]],
    ledger: Ledger,
    settings: Settings,
    advance: Callable[[int, str], None],
) -> Ingested:
    """Reads into ``ledger`` what it does not have yet.

    ``advance(done, words)`` is told how many bytes of all files on disk are done. Each file
    is committed by itself; one that turns out to be unusable is left out as a whole. Raises
    InputError where none can be used, and LedgerError where the ledger cannot, has pseudonyms
    of another key than the settings name, or someone else is writing to it; files before that
    moment stay ingested.
    """
    reports = []
    unused: list[tuple[Path, str]] = []
    first: InputError | None = None
    done = 0
    found = names.of(settings)
    ledger.demand_pseudonyms(found.check if found is not None else "")
    with ledger.writing():
        known = {part.id: part for part in ledger.parts()}
        for path, source in files:
            advance(done, readable(path.name))
            size = path.stat().st_size
            shifted = partial(_shift, advance, done)
            try:
                behind = veil.veiled(persons.mapped(source, settings), found)
                reports.append(_one(path, behind, ledger, settings, known, shifted))
            except InputError as error:
                first = first or error
                unused.append((path, error.reason))
            done += size
            advance(done, readable(path.name))
    if first is not None and not reports:
        raise first
    return Ingested(tuple(reports), tuple(unused))


def _shift(advance: Callable[[int, str], None], before: int, done: int, words: str) -> None:
    advance(before + done, words)


def _one(
    path: Path,
    source: Source,
    ledger: Ledger,
    settings: Settings,
    known: dict[str, Part],
    advance: Callable[[int, str], None],
) -> FileReport:
    """Ingests one file unless ``known`` has it, and brings ``known`` up to date."""
    # Reading is given at least the bytes that are hashed, even if the file is growing.
    until = path.stat().st_size
    sizes = {manifest.HEAD, *(part.size for part in known.values())}
    reading = manifest.fingerprint(source.name, settings)
    same: Part | None = None
    old: list[Part] = []
    with ThreadPoolExecutor(1) as pool:
        hashed = pool.submit(identity, path, sizes, until)
        if not _is_stranger(path, known.values()):
            found = hashed.result()
            same = _holder(found.sha256, known)
            # Of a log that has grown since, this may be a shorter, older copy: reading it with
            # new settings would put the grown one's events at stake.
            if same is not None and (same.reading == reading or same.id != found.sha256):
                return _report(path, same, "known")
            old = [same] if same is not None else _outgrown(found, known)
        tail = _tail(source, [part for part in known.values() if part not in old])
        # Only the name of the first file on disk waits for the hash.
        with _Writer(ledger, lambda: manifest.stem(hashed.result().sha256, reading)) as writer:
            for batch in ahead(source.read(path, settings, tail), AHEAD):
                writer.add(batch)
                advance(batch.bytes_read, readable(path.name))
            writer.finish()
    part = _part(path, source, reading, hashed.result(), old, writer)
    ledger.commit(part)
    for other in old:
        known.pop(other.id)
    known[part.id] = part
    return _report(path, part, "grown" if old and same is None else "new")


def _is_stranger(path: Path, known: Collection[Part]) -> bool:
    """Whether, by its beginning, no known content can be that of ``path`` or the first of it."""
    first = head(path, manifest.HEAD)
    sizes = {min(part.size, manifest.HEAD) for part in known if part.size}
    alike = {"", *(hashlib.sha256(first[:size]).hexdigest() for size in sizes)}
    return len(first) == manifest.HEAD and not any(part.head in alike for part in known)


def _holder(content: str, known: dict[str, Part]) -> Part | None:
    """The part that holds ``content``, as its own or as the beginning of it."""
    if content in known:
        return known[content]
    return next((part for part in known.values() if content in part.replaces), None)


def _outgrown(found: Identity, known: dict[str, Part]) -> list[Part]:
    """The parts whose whole content is the beginning of what was found."""
    return [
        part
        for part in known.values()
        if 0 < part.size < found.size and found.prefixes.get(part.size) == part.id
    ]


def _tail(source: Source, others: list[Part]) -> Tail:
    """What the latest parts of the same log left open; the latest word wins."""
    dated = [part for part in others if part.source == source.name and part.last is not None]
    recent = sorted(dated, key=lambda part: (part.last, part.id))[-TAILS:]
    return {name: value for part in recent for name, value in part.tail.items()}


def _part(
    path: Path,
    source: Source,
    reading: str,
    found: Identity,
    old: list[Part],
    writer: _Writer,
) -> Part:
    """What was ``found`` in a file and written, in place of the ``old`` parts."""
    stands_for = {other for part in old for other in (part.id, *part.replaces)} - {found.sha256}
    return Part(
        id=found.sha256,
        reading=reading,
        file=readable(path.name),
        source=source.name,
        size=found.size,
        events=writer.events,
        rejects=writer.rejects,
        skipped=writer.skipped,
        first=writer.first,
        last=writer.last,
        days=tuple(writer.days),
        tail=dict(writer.tail),
        replaces=tuple(sorted(stands_for)),
        head=found.prefixes.get(manifest.HEAD, found.sha256),
    )


def _report(path: Path, part: Part, state: State) -> FileReport:
    return FileReport(
        path,
        part.source,
        part.id,
        state,
        part.events,
        part.rejects,
        part.skipped,
        part.days,
    )


@dataclass(slots=True)
class _Writer:
    """Folds the batches of one file and puts them under ``stem()`` in the ledger's folders."""

    ledger: Ledger
    stem: Callable[[], str]
    events: int = 0
    rejects: int = 0
    skipped: int = 0
    first: datetime | None = None
    last: datetime | None = None
    tail: Tail = field(default_factory=dict)
    days: list[date] = field(default_factory=list)
    _spool: Spool = field(init=False)
    _rejects: pq.ParquetWriter | None = None

    def __post_init__(self) -> None:
        self._spool = Spool(lambda table, day: self.ledger.file(table, day, self.stem()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rejects is not None:
            self._rejects.close()
            self._rejects = None

    def add(self, batch: Batch) -> None:
        """Takes in one batch of the file."""
        self.skipped += batch.skipped
        self.tail = batch.tail
        self._reject(batch.rejects)
        events = batch.events
        if events.is_empty():
            return
        self.events += events.height
        first, last = batch.span
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)
        try:
            self._spool.add(coded(events, self.ledger.timezone))
        except OSError as error:
            raise self.ledger.unwritable(error) from error

    def finish(self) -> None:
        """Everything on disk, for good."""
        try:
            self.days = self._spool.finish()
            if self._rejects is not None:
                self._rejects.close()
                self._rejects = None
                sync(self._rejects_path)
        except OSError as error:
            raise self.ledger.unwritable(error) from error

    @property
    def _rejects_path(self) -> Path:
        return self.ledger.path / "rejects" / f"{self.stem()}.parquet"

    def _reject(self, rejects: pl.DataFrame) -> None:
        if rejects.is_empty():
            return
        self.rejects += rejects.height
        data = check(rejects, REJECTS, "rejects").to_arrow(compat_level=pl.CompatLevel.oldest())
        try:
            if self._rejects is None:
                path = self._rejects_path
                self._rejects = pq.ParquetWriter(path, data.schema, compression="zstd")
            self._rejects.write_table(data.cast(pa.schema(self._rejects.schema)))
        except OSError as error:
            raise self.ledger.unwritable(error) from error
