"""Which logs there are: found, known again after rotation, and told from copies."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from detector.errors import InputError
from detector.reading import paths
from detector.reading.opening import MAX, MIB, Identifying, Identity
from detector.reading.recognise import recognise
from detector.reading.source import Source
from detector.settings import Settings
from detector.watch import log as logs
from detector.watch.before import Before
from detector.watch.content import Content, Packed, Plain, is_packed
from detector.watch.log import HEAD, STREAMS, Form, Log
from detector.watch.streams import Choose, Streams

#: Seconds between two looks at a file that could not be used yet.
AGAIN: Final = 5.0
#: Bytes of a new file that are compared with what is known at one look.
SLICE: Final = 128 * MIB
#: A beginning this long that no source accepts is not going to become a log.
ENOUGH: Final = HEAD


@dataclass(frozen=True, slots=True)
class Looks:
    """What decides how files are found. A file is complete when it is older than ``settle``
    seconds; ``sources`` are behind the veil.
    """

    arguments: Sequence[str]
    sources: Mapping[str, Source]
    settings: Settings
    source: str | None
    settle: float


@dataclass(slots=True)
class Shelf:
    """All logs that were ever followed, by id, and the open ones' ``contents``.

    ``changed`` are logs whose record is to be kept with the next transaction. What comes in by
    itself comes from ``streams``.
    """

    looks: Looks
    logs: dict[int, Log]
    before: Before
    streams: Streams = field(default_factory=Streams)
    contents: dict[int, Content] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    lost: dict[int, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    _again: dict[tuple[int, int], int] = field(default_factory=dict)
    _later: dict[tuple[int, int, int], float] = field(default_factory=dict)
    _identifying: dict[tuple[int, int], Identifying] = field(default_factory=dict)

    def put(self, log: Log) -> None:
        """Takes a log in, or what became of it, which is on disk by then."""
        self.logs[log.id] = log
        if log.id in self.streams.begun:
            self.streams.begun[log.id].forget(log.position)
        self.changed.add(log.id)
        if log.stage != "open":
            self._let_go(log.id)

    def open_logs(self) -> list[Log]:
        """Those that may still give something, in the order they were found."""
        return [log for log in self.logs.values() if log.stage == "open"]

    @property
    def is_over(self) -> bool:
        """Whether all that was asked for came in by itself, and has come."""
        return not self.looks.arguments and self.streams.over

    def source(self, log: Log) -> Source:
        """Of a log."""
        return self.looks.sources[log.source]

    def is_live(self, log: Log) -> bool:
        """Whether its file stands under its name."""
        content = self.contents.get(log.id)
        if log.form in STREAMS:
            return content is not None
        if isinstance(content, Packed):
            return content.path.exists()
        try:
            found = Path(log.path).stat()
        except OSError:
            return False
        return content is not None and (found.st_dev, found.st_ino) == (log.device, log.inode)

    def look(self, now: float, *, finish: bool = False) -> None:
        """Finds what is new, and what became of what is known. ``now`` is the wall clock.

        With ``finish``, at files too that could not be used a moment ago. Raises InputError for
        streams that cannot be used.
        """
        if finish:
            self._later.clear()
        self._check_open(now)
        choose = Choose(self.looks.sources, self.looks.settings, self.looks.source)
        for found, stream in self.streams.look(self.logs, choose, now, finish=finish):
            self.contents[found.id] = stream
            self.put(found)
            if found.stage == "left out":
                self.said.append(f"left out {found.path}: {found.reason}")
        self.said += self.streams.words()
        at = {(log.device, log.inode): log for log in self.logs.values() if log.inode}
        for path in paths.present(self.looks.arguments):
            try:
                status = path.stat()
            except OSError:
                continue  # rotated away this very moment: the next look finds it
            place = (status.st_dev, status.st_ino)
            log = at.get(place)
            if log is not None and self._is_same(log, path, status):
                continue
            mark = (*place, status.st_size)
            due = self._later.get(mark, 0.0) <= now or place in self._identifying
            if due and status.st_size:
                self._later[mark] = now + AGAIN
                self._new(path, status, now, finish=finish)
        self._later = {mark: when for mark, when in self._later.items() if when > now}

    def close(self) -> None:
        """Lets all files go."""
        for number in list(self.contents):
            self._let_go(number)
        self.streams.close()

    def _let_go(self, number: int) -> None:
        content = self.contents.pop(number, None)
        if content is not None:
            content.close()

    def _check_open(self, now: float) -> None:
        """Of files that were cut short, or overwritten, what was read is all there will be."""
        for log in self.open_logs():
            content = self.contents.get(log.id)
            if log.form in STREAMS:
                continue
            if content is None:
                self._reopen(log, now)
            elif isinstance(content, Plain) and log.form == "growing":
                cut = content.status.st_size < log.position
                if cut or not logs.is_anchored(log, content.read):
                    self.lose(log, now)

    def _reopen(self, log: Log, now: float) -> None:
        """After a start: the file under the log's name, if it is still the same one."""
        if log.id in self.lost:
            return
        content = _opened(Path(log.path), log)
        if content is None:
            self.lost.setdefault(log.id, now)
        elif log.form == "whole" or not log.position or logs.begins_as(log, content.read):
            self.contents[log.id] = content
        else:
            content.close()
            self.lose(log, now)

    def lose(self, log: Log, now: float) -> None:
        """The file is another's now. What was not read of it may turn up in a copy."""
        self._let_go(log.id)
        self.lost[log.id] = now
        self.logs[log.id] = replace(log, device=0, inode=0)
        self.changed.add(log.id)

    def _is_same(self, log: Log, path: Path, status: os.stat_result) -> bool:
        """Whether the file of a known inode is the log's; keeps its new name, and its growth."""
        if log.stage == "open":
            content = self.contents.get(log.id)
            if content is None:
                content = _opened(path, log)
                if content is None or (
                    log.form != "whole" and log.position and not logs.begins_as(log, content.read)
                ):
                    self.logs[log.id] = replace(log, device=0, inode=0)
                    self.changed.add(log.id)
                    return False
                self.contents[log.id] = content
                self.lost.pop(log.id, None)
        elif log.stage == "ended" and log.form == "growing" and status.st_size != log.position:
            return self._changed(log, path, status.st_size)
        elif log.stage in {"left out", "copy"} and status.st_size != log.position:
            self._again[(log.device, log.inode)] = log.id
            return False
        if log.path != str(path):
            self.put(replace(log, path=str(path), renamed=True))
        return True

    def _changed(self, log: Log, path: Path, size: int) -> bool:
        """An ended log whose file changed: has it grown, or is it another's now?"""
        content = _opened(path, log)
        if content is None:
            return True
        if size > log.position and (not log.position or logs.begins_as(log, content.read)):
            grown = replace(log, path=str(path), stage="open", content="", listed=False)
            self.put(grown)
            self.contents[log.id] = content
            return True
        content.close()
        self.logs[log.id] = replace(log, device=0, inode=0)
        self.changed.add(log.id)
        return False

    def _new(self, path: Path, status: os.stat_result, now: float, *, finish: bool) -> None:
        """A file of an unknown inode."""
        settled = now - status.st_mtime >= self.looks.settle
        try:
            plain = Plain.open(path)
        except OSError as error:
            self.said.append(f"{path}: cannot be read ({error.strerror})")
            return
        packed = is_packed(plain.read(0, 16))
        content: Content = Packed(path) if packed else plain
        if packed:
            plain.close()
            if not settled:
                return
        place = (status.st_dev, status.st_ino)
        try:
            same = self._twin(content)
            if same is not None:
                self._twinned(same, path, place, content)
            else:
                self._stranger(path, place, content, settled=settled, finish=finish)
        except FileNotFoundError:
            # Rotated away this very moment: the next look finds it by its new name.
            content.close()
            self._later.pop((*place, status.st_size), None)

    def _twin(self, content: Content) -> Log | None:
        """The log of which this content is a copy, or the rest."""
        heads: dict[int, str] = {}
        for log in self.logs.values():
            if not log.told or log.form in {"whole", *STREAMS}:
                continue
            if log.stage in {"copy", "left out"}:
                continue
            size = log.head_size
            if size not in heads:
                heads[size] = logs.digest(content.read(0, size))
            if heads[size] == log.head and (
                logs.is_anchored(log, content.read) or self._is_prefix(log, content)
            ):
                return log
        return None

    def _is_prefix(self, log: Log, content: Content) -> bool:
        """Whether content that ends before the log's position is the beginning of the log."""
        if content.read(log.position, 1) or not isinstance(content, Plain):
            return False
        size = content.status.st_size
        mine = self.contents.get(log.id)
        if mine is None:
            return log.head_size == HEAD <= size < log.position
        start = max(0, size - logs.ANCHOR)
        return size < log.position and mine.read(start, size - start) == content.read(
            start, size - start
        )

    def _twinned(self, log: Log, path: Path, place: tuple[int, int], content: Content) -> None:
        form: Form = "packed" if isinstance(content, Packed) else "growing"
        if not content.read(log.position, 1):
            content.close()
            why = f"holds what was read as {log.path}"
            copy = self._fresh(path, place, log.source, form)
            self.put(replace(copy, stage="copy", reason=why, position=path.stat().st_size))
        elif log.stage == "open" and self.is_live(log):
            content.close()  # a copy of what is still being written: wait until one of them ends
        else:
            self._let_go(log.id)
            self.lost.pop(log.id, None)
            self.put(replace(log, path=str(path), device=place[0], inode=place[1], form=form,
                             stage="open"))  # fmt: skip
            self.contents[log.id] = content

    def _stranger(
        self, path: Path, place: tuple[int, int], content: Content, *, settled: bool, finish: bool
    ) -> None:
        """A log that was never met."""
        try:
            looks = self.looks
            files, _ = recognise([path], looks.sources, looks.settings, looks.source)
            source = files[0][1]
        except InputError as error:
            size = path.stat().st_size
            content.close()
            if settled or size >= ENOUGH:
                out = self._fresh(path, place, "", "whole")
                if out.id not in self.logs:
                    self.said.append(f"left out {path}: {error.reason}")
                self.put(replace(out, stage="left out", reason=error.reason, position=size))
            return
        form: Form = "packed" if isinstance(content, Packed) else "growing"
        if not source.follows(content.read(0, HEAD)):
            form = "whole"
            if not settled:
                content.close()
                return
        found = self._fresh(path, place, source.name, form)
        sizes = self.before.sizes(content, source)
        if sizes is not None:
            identity = self._identified(path, place, sizes, finish=finish)
            if identity is None:
                content.close()
                return
            found = self.before.known(path, content, source, identity) or found
        number = self._number(place)
        log = replace(found, id=number, path=str(path), device=place[0], inode=place[1], form=form)
        if log.stage != "open":
            content.close()
        self.put(log)
        if log.stage == "open":
            self.contents[log.id] = content

    def _identified(
        self, path: Path, place: tuple[int, int], sizes: Collection[int], *, finish: bool
    ) -> Identity | None:
        """What a file contains; None where that is known only at a later look."""
        reading = self._identifying.setdefault(place, Identifying(path, sizes))
        try:
            found = reading.step(MAX if finish else SLICE)
        except InputError:
            del self._identifying[place]  # it is gone
            return None
        if found is not None:
            del self._identifying[place]
        return found

    def _fresh(self, path: Path, place: tuple[int, int], source: str, form: Form) -> Log:
        return Log(self._number(place), str(path), *place, source, form)

    def _number(self, place: tuple[int, int]) -> int:
        return self._again.get(place) or max(self.logs, default=0) + 1


def _opened(path: Path, log: Log) -> Content | None:
    """The file of a log as its form wants it; None where there is none that can be read."""
    if log.form == "packed":
        return Packed(path) if path.is_file() else None
    try:
        return Plain.open(path)
    except OSError:
        return None
