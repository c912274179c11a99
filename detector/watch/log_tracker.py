"""Which logs there are: found, known again after rotation, and told from copies."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from detector.normalize.source import Source
from detector.readers import discovery
from detector.watch import copies
from detector.watch import log_position as logs
from detector.watch.log_content import Content, Packed, Plain, is_packed
from detector.watch.log_position import STREAMS, Form, Log
from detector.watch.new_files import Looks, Strangers
from detector.watch.open_files import Parked
from detector.watch.stream_inputs import Choose, Streams

#: Seconds between two looks at a file that could not be used yet.
AGAIN: Final = 5.0


@dataclass(slots=True)
class Shelf:
    """All logs that were ever followed, by id, and the open ones' ``contents``.

    ``changed`` are logs whose record is to be kept with the next transaction; ``missing`` those
    whose file was gone at the start; ``denied`` files that cannot be read. What comes in by itself
    comes from ``streams``.
    """

    looks: Looks
    logs: dict[int, Log]
    strangers: Strangers
    streams: Streams = field(default_factory=Streams)
    contents: dict[int, Content] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    lost: dict[int, float] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    denied: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    wall: float = 0.0
    parked: Parked = field(default_factory=Parked)
    _again: dict[tuple[int, int], int] = field(default_factory=dict)
    _future: dict[tuple[int, int, int, int], float] = field(default_factory=dict)
    _cut: dict[tuple[int, int], int] = field(default_factory=dict)
    _later: dict[tuple[int, int, int], float] = field(default_factory=dict)

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
        if log.id in self.parked:
            return self.parked.at(log) is not None
        if isinstance(content, Packed):
            return content.path.exists()
        try:
            found = Path(log.path).stat()
        except OSError:
            return False
        return content is not None and (found.st_dev, found.st_ino) == (log.device, log.inode)

    def look(self, now: float, wall: float, *, finish: bool = False) -> None:
        """Finds what is new, and what became of what is known. ``now`` counts seconds and is never
        set back, as the clock on the ``wall`` is, by which files are stamped.

        With ``finish``, at files too that could not be used a moment ago. Raises InputError for
        streams that cannot be used.
        """
        self.wall = wall
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
        present = discovery.present(self.looks.arguments)
        names = set(map(str, present)) if self.denied else set()
        self.denied = {path: why for path, why in self.denied.items() if path in names}
        for path in present:
            try:
                status = path.stat()
            except PermissionError as error:
                self._deny(path, error)
                continue
            except OSError:
                continue  # rotated away this very moment: the next look finds it
            place = (status.st_dev, status.st_ino)
            log = at.get(place)
            if log is not None and self._is_same(log, path, status):
                continue
            mark = (*place, status.st_size)
            due = self._later.get(mark, 0.0) <= now or place in self.strangers.identifying
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
        self.parked.leave(number)
        content = self.contents.pop(number, None)
        if content is not None:
            content.close()

    def _check_open(self, now: float) -> None:
        """Of files that were cut short, or overwritten, what was read is all there will be."""
        for log in self.open_logs():
            content = self.contents.get(log.id)
            if log.form in STREAMS or self.parked.rests(log):
                continue
            if content is None:
                self._reopen(log, now)
            elif isinstance(content, Packed) and log.form == "packed":
                self._renew(log, content)
            elif isinstance(content, Plain) and log.form == "growing":
                cut = content.status.st_size < log.position
                if cut or not logs.is_anchored(log, content.read):
                    self.lose(log, now)

    def _renew(self, log: Log, content: Packed) -> None:
        """A compressed file that broke off, and was written on."""
        if content.broken and content.stamp != content.written():
            content.close()
            fresh = self.contents[log.id] = Packed(content.path)
            self.put(replace(log, size=fresh.stamp[0], stamp=fresh.stamp[1]))

    def _reopen(self, log: Log, now: float) -> None:
        """After a start: the file under the log's name, if it is still the same one."""
        if log.id in self.lost:
            return
        content = self._opened(Path(log.path), log)
        if content is None:
            self.lost.setdefault(log.id, now)
            self.missing.add(log.id)
        elif log.form == "whole" or not log.position or logs.begins_as(log, content.read):
            self.contents[log.id] = content
        else:
            content.close()
            self.lose(log, now)
            self.missing.add(log.id)

    def lose(self, log: Log, now: float) -> None:
        """The file is another's now. What was not read of it may turn up in a copy."""
        self._let_go(log.id)
        self.lost[log.id] = now
        self._part(log)

    def _part(self, log: Log) -> None:
        """The log and its file are not the same any more."""
        if log.inode:
            self._cut[(log.device, log.inode)] = log.id
        self.logs[log.id] = replace(log, device=0, inode=0)
        self.changed.add(log.id)

    def _is_same(self, log: Log, path: Path, status: os.stat_result) -> bool:
        """Whether the file of a known inode is the log's; keeps its new name, and its growth."""
        if log.stage == "open":
            content = self.contents.get(log.id)
            if content is None and not self.parked.rests(log):
                content = self._opened(path, log)
                if content is None or (
                    log.form != "whole" and log.position and not logs.begins_as(log, content.read)
                ):
                    self._part(log)
                    return False
                self.contents[log.id] = content
                self.lost.pop(log.id, None)
                self.missing.discard(log.id)
        elif _was_read(log) and log.form == "growing" and status.st_size != log.position:
            return self._changed(log, path, status.st_size)
        elif _is_other(log, status):
            if log.stage == "ended":
                self._part(log)
            else:
                self._again[(log.device, log.inode)] = log.id
            return False
        if log.path != str(path):
            self.put(replace(log, path=str(path), renamed=True))
        return True

    def _changed(self, log: Log, path: Path, size: int) -> bool:
        """An ended log whose file changed: has it grown, or is it another's now?"""
        content = self._opened(path, log)
        if content is None:
            return True
        if size > log.position and (not log.position or logs.begins_as(log, content.read)):
            grown = replace(log, path=str(path), stage="open", content="", listed=False)
            self.put(grown)
            self.contents[log.id] = content
            return True
        content.close()
        self._part(log)
        return False

    def _new(self, path: Path, status: os.stat_result, now: float, *, finish: bool) -> None:
        """A file of an unknown inode."""
        settled = self._is_settled(status, now, finish=finish)
        self.parked.make_room(self.contents, self.logs)
        try:
            plain = Plain.open(path)
        except OSError as error:
            self._deny(path, error)
            return
        self.denied.pop(str(path), None)
        packed = is_packed(plain.read(0, 16))
        content: Content = Packed(path) if packed else plain
        if packed:
            plain.close()
            if not settled:
                return
        place = (status.st_dev, status.st_ino)
        try:
            if not self._met(path, place, content):
                self._stranger(path, place, content, settled=settled, finish=finish)
        except FileNotFoundError:
            # Rotated away this very moment: the next look finds it by its new name.
            content.close()
            self._later.pop((*place, status.st_size), None)

    def _deny(self, path: Path, error: OSError) -> None:
        """Keeps, and says once, that a file cannot be read."""
        why = error.strerror or str(error)
        if self.denied.get(str(path)) != why:
            self.said.append(f"{path}: cannot be read ({why})")
        self.denied[str(path)] = why

    def _is_settled(self, status: os.stat_result, now: float, *, finish: bool) -> bool:
        """Whether a file rests. One whose time lies in the future is held against what was seen."""
        if self.wall >= status.st_mtime:
            return self.wall - status.st_mtime >= self.looks.settle
        mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        since = self._future.setdefault(mark, now)
        return finish or now - since >= self.looks.settle

    def _met(self, path: Path, place: tuple[int, int], content: Content) -> bool:
        """Whether the content is a known log's, in whole or in part; takes it as that."""
        cut = self._cut.pop(place, None)
        cut = cut if cut in self.logs and self.logs[cut].path == str(path) else None
        log = copies.twin(self.logs, content)
        if log is not None:
            self._twinned(log, path, place, content)
            return True
        log = None if cut is not None else copies.prefixed(self.logs, self.contents, content)
        if log is not None:
            self._copied(log, path, place, content)
            return True
        size = content.status.st_size if isinstance(content, Plain) else 0
        found = copies.related(self.logs, content, size, cut) if size else None
        if found is None:
            return False
        log, known = found
        self.missing.discard(log.id)
        words = f"{copies.CHANGED} after it was read as {log.path}: what it holds up to "
        words += f"byte {known.position:,} is taken for counted"
        if not known.certain:
            words += ", though where the known part ends cannot be told"
        self.said.append(f"{path} {words}")
        self._go_on(log, path, place, content, known.position, words)
        return True

    def _go_on(
        self,
        log: Log,
        path: Path,
        place: tuple[int, int],
        content: Content,
        position: int,
        words: str,
    ) -> None:
        """Follows a file from ``position`` on, as a log of its own."""
        own = copies.going_on(log, content, position, path, words)
        own = replace(own, id=self._number(place), device=place[0], inode=place[1])
        self.put(own)
        self.contents[own.id] = content

    def _twinned(self, log: Log, path: Path, place: tuple[int, int], content: Content) -> None:
        form: Form = "packed" if isinstance(content, Packed) else "growing"
        if not content.read(log.position, 1):
            self.missing.discard(log.id)  # all there was of it
            self._copied(log, path, place, content)
        elif log.stage == "open" and self.is_live(log):
            if copies.is_of_its_own(log, self.contents.get(log.id), content):
                words = f"begins with all of {log.path}: what both hold counts once"
                self._go_on(log, path, place, content, log.position, words)
            else:
                content.close()  # a copy of what is still written: wait until one of them ends
        else:
            self._let_go(log.id)
            self.lost.pop(log.id, None)
            self.missing.discard(log.id)
            status = path.stat()
            self.put(replace(log, path=str(path), device=place[0], inode=place[1], form=form,
                             stage="open", content="", listed=False, size=status.st_size,
                             stamp=status.st_mtime_ns))  # fmt: skip
            self.contents[log.id] = content

    def _copied(self, log: Log, path: Path, place: tuple[int, int], content: Content) -> None:
        form: Form = "packed" if isinstance(content, Packed) else "growing"
        content.close()
        why = f"holds what was read as {log.path}"
        copy = self._fresh(path, place, log.source, form)
        self.put(replace(copy, stage="copy", reason=why, position=path.stat().st_size))

    def _stranger(
        self, path: Path, place: tuple[int, int], content: Content, *, settled: bool, finish: bool
    ) -> None:
        """A log that was never met."""
        fresh = self._fresh(path, place, "", "whole")
        log = self.strangers.log(
            fresh, content, self.looks, self.logs, settled=settled, finish=finish
        )
        if log is not None and log.stage == "left out" and log.id not in self.logs:
            self.said.append(f"left out {path}: {log.reason}")
        if log is None or log.stage != "open":
            content.close()
        if log is not None:
            self.put(log)
            if log.stage == "open":
                self.contents[log.id] = content

    def content(self, log: Log, now: float) -> Content | None:
        """What the log holds; opened anew where its file was let go of to make room."""
        if log.id in self.parked:
            self._reopen(log, now)
        found = self.contents.pop(log.id, None)
        if found is not None:
            self.contents[log.id] = found  # the last of them was used last
        return found

    def _opened(self, path: Path, log: Log) -> Content | None:
        """The file of a log as its form wants it; None where there is none that can be read."""
        self.parked.leave(log.id)
        self.parked.make_room(self.contents, self.logs)
        if log.form == "packed":
            return Packed(path) if path.is_file() else None
        try:
            return Plain.open(path)
        except OSError:
            return None

    def _fresh(self, path: Path, place: tuple[int, int], source: str, form: Form) -> Log:
        status = path.stat()
        found = Log(self._number(place), str(path), *place, source, form)
        return replace(found, size=status.st_size, stamp=status.st_mtime_ns)

    def _number(self, place: tuple[int, int]) -> int:
        return self._again.get(place) or max(self.logs, default=0) + 1


def _was_read(log: Log) -> bool:
    """Whether a log that is not open counted, and goes on where it was if its file grows."""
    return log.stage == "ended" or (log.stage == "left out" and log.told)


def _is_other(log: Log, status: os.stat_result) -> bool:
    """Whether the file of a log that is not open was written since: it may hold another's."""
    if log.form == "growing" and log.stage != "ended":
        return status.st_size != log.position
    written = log.stamp > 0 and (status.st_size, status.st_mtime_ns) != (log.size, log.stamp)
    return log.stage != "open" and log.form != "growing" and written
