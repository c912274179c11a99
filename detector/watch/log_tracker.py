"""Which logs there are: found, known again after rotation, and told from copies."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from detector.normalize.source import Source
from detector.readers import discovery
from detector.watch import copies
from detector.watch import log_position as logs
from detector.watch.log_content import CompressedFile, LogContent, PlainFile, is_compressed
from detector.watch.log_position import STREAMS, Log, LogForm
from detector.watch.new_files import FileSearch, UnknownFiles
from detector.watch.open_files import ClosedFiles
from detector.watch.stream_inputs import SourceChooser, Streams

#: Seconds between two looks at a file that could not be used yet.
RETRY_SECONDS: Final = 5.0
#: Device and inode.
Place: TypeAlias = tuple[int, int]


@dataclass(slots=True)
class LogTracker:
    """All logs that were ever followed, by id, and the open ones' ``contents``.

    ``changed_logs`` are logs whose record is to be kept with the next transaction; ``missing_logs``
    those whose file was gone at the start; ``denied_files`` files that cannot be read. What comes
    in by itself comes from ``streams``.
    """

    search: FileSearch
    logs: dict[int, Log]
    unknown_files: UnknownFiles
    streams: Streams = field(default_factory=Streams)
    contents: dict[int, LogContent] = field(default_factory=dict)
    changed_logs: set[int] = field(default_factory=set)
    lost_times: dict[int, float] = field(default_factory=dict)
    missing_logs: set[int] = field(default_factory=set)
    denied_files: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    wall_time: float = 0.0
    closed_files: ClosedFiles = field(default_factory=ClosedFiles)
    _reused_ids: dict[Place, int] = field(default_factory=dict)
    _future_files: dict[tuple[int, int, int, int], float] = field(default_factory=dict)
    _truncated_logs: dict[Place, int] = field(default_factory=dict)
    _retry_times: dict[tuple[int, int, int], float] = field(default_factory=dict)

    def update_log(self, log: Log) -> None:
        """Takes a log in, or what became of it, which is on disk by then."""
        self.logs[log.id] = log
        if log.id in self.streams.by_log_id:
            self.streams.by_log_id[log.id].discard_before(log.position)
        self.changed_logs.add(log.id)
        if log.stage != "open":
            self._release(log.id)

    def open_logs(self) -> list[Log]:
        """Those that may still give something, in the order they were found."""
        return [log for log in self.logs.values() if log.stage == "open"]

    @property
    def is_over(self) -> bool:
        """Whether all that was asked for came in by itself, and has come."""
        return not self.search.arguments and self.streams.is_over

    def source_for(self, log: Log) -> Source:
        """Of a log."""
        return self.search.sources[log.source]

    def is_live(self, log: Log) -> bool:
        """Whether its file stands under its name."""
        content = self.contents.get(log.id)
        if log.form in STREAMS:
            return content is not None
        if log.id in self.closed_files:
            return self.closed_files.current_stamp(log) is not None
        if isinstance(content, CompressedFile):
            return content.path.exists()
        try:
            found = Path(log.path).stat()
        except OSError:
            return False
        return content is not None and (found.st_dev, found.st_ino) == (log.device, log.inode)

    def scan(self, now: float, wall: float, *, finish: bool = False) -> None:
        """Finds what is new, and what became of what is known. ``now`` counts seconds and is never
        set back, as the clock on the ``wall`` is, by which files are stamped.

        With ``finish``, at files too that could not be used a moment ago. Raises InputError for
        streams that cannot be used.
        """
        self.wall_time = wall
        if finish:
            self._retry_times.clear()
        self._check_open(now)
        choose = SourceChooser(self.search.sources, self.search.settings, self.search.source)
        for found, stream in self.streams.scan(self.logs, choose, now, finish=finish):
            self.contents[found.id] = stream
            self.update_log(found)
            if found.stage == "left out":
                self.notices.append(f"left out {found.path}: {found.reason}")
        self.notices += self.streams.take_notices()
        at = {(log.device, log.inode): log for log in self.logs.values() if log.inode}
        present = discovery.expand_existing(self.search.arguments)
        names = set(map(str, present)) if self.denied_files else set()
        self.denied_files = {path: why for path, why in self.denied_files.items() if path in names}
        for path in present:
            try:
                status = path.stat()
            except PermissionError as error:
                self._record_denied(path, error)
                continue
            except OSError:
                continue  # rotated away this very moment: the next look finds it
            place = (status.st_dev, status.st_ino)
            log = at.get(place)
            if log is not None and self._is_same_file(log, path, status):
                continue
            mark = (*place, status.st_size)
            due = self._retry_times.get(mark, 0.0) <= now or place in self.unknown_files.hashers
            if due and status.st_size:
                self._retry_times[mark] = now + RETRY_SECONDS
                self._add_file(path, status, now, finish=finish)
        self._retry_times = {mark: when for mark, when in self._retry_times.items() if when > now}

    def close(self) -> None:
        """Lets all files go."""
        for number in list(self.contents):
            self._release(number)
        self.streams.close()

    def _release(self, number: int) -> None:
        self.closed_files.discard(number)
        content = self.contents.pop(number, None)
        if content is not None:
            content.close()

    def _check_open(self, now: float) -> None:
        """Of files that were cut short, or overwritten, what was read is all there will be."""
        for log in self.open_logs():
            content = self.contents.get(log.id)
            if log.form in STREAMS or self.closed_files.is_idle(log):
                continue
            if content is None:
                self._reopen(log, now)
            elif isinstance(content, CompressedFile) and log.form == "packed":
                self._reopen_compressed(log, content)
            elif isinstance(content, PlainFile) and log.form == "growing":
                cut = content.status.st_size < log.position
                if cut or not logs.is_anchored(log, content.read):
                    self.mark_lost(log, now)

    def _reopen_compressed(self, log: Log, content: CompressedFile) -> None:
        """A compressed file that broke off, and was written on."""
        if content.end_reason and content.stamp != content.current_stamp():
            content.close()
            fresh = self.contents[log.id] = CompressedFile(content.path)
            self.update_log(replace(log, size=fresh.stamp[0], stamp=fresh.stamp[1]))

    def _reopen(self, log: Log, now: float) -> None:
        """After a start: the file under the log's name, if it is still the same one."""
        if log.id in self.lost_times:
            return
        content = self._open_file(Path(log.path), log)
        if content is None:
            self.lost_times.setdefault(log.id, now)
            self.missing_logs.add(log.id)
        elif log.form == "whole" or not log.position or logs.has_log_prefix(log, content.read):
            self.contents[log.id] = content
        else:
            content.close()
            self.mark_lost(log, now)
            self.missing_logs.add(log.id)

    def mark_lost(self, log: Log, now: float) -> None:
        """The file is another's now. What was not read of it may turn up in a copy."""
        self._release(log.id)
        self.lost_times[log.id] = now
        self._detach_file(log)

    def _detach_file(self, log: Log) -> None:
        """The log and its file are not the same any more."""
        if log.inode:
            self._truncated_logs[(log.device, log.inode)] = log.id
        self.logs[log.id] = replace(log, device=0, inode=0)
        self.changed_logs.add(log.id)

    def _is_same_file(self, log: Log, path: Path, status: os.stat_result) -> bool:
        """Whether the file of a known inode is the log's; keeps its new name, and its growth."""
        if log.stage == "open":
            content = self.contents.get(log.id)
            if content is None and not self.closed_files.is_idle(log):
                content = self._open_file(path, log)
                if content is None or (
                    log.form != "whole"
                    and log.position
                    and not logs.has_log_prefix(log, content.read)
                ):
                    self._detach_file(log)
                    return False
                self.contents[log.id] = content
                self.lost_times.pop(log.id, None)
                self.missing_logs.discard(log.id)
        elif _is_resumable(log) and log.form == "growing" and status.st_size != log.position:
            return self._handle_change(log, path, status.st_size)
        elif _is_rewritten(log, status):
            if log.stage == "ended":
                self._detach_file(log)
            else:
                self._reused_ids[(log.device, log.inode)] = log.id
            return False
        if log.path != str(path):
            self.update_log(replace(log, path=str(path), renamed=True))
        return True

    def _handle_change(self, log: Log, path: Path, size: int) -> bool:
        """An ended log whose file changed: has it grown, or is it another's now?"""
        content = self._open_file(path, log)
        if content is None:
            return True
        if size > log.position and (not log.position or logs.has_log_prefix(log, content.read)):
            grown = replace(log, path=str(path), stage="open", content="", listed=False)
            self.update_log(grown)
            self.contents[log.id] = content
            return True
        content.close()
        self._detach_file(log)
        return False

    def _add_file(self, path: Path, status: os.stat_result, now: float, *, finish: bool) -> None:
        """A file of an unknown inode."""
        settled = self._is_settled(status, now, finish=finish)
        self.closed_files.make_room(self.contents, self.logs)
        try:
            plain = PlainFile.open(path)
        except OSError as error:
            self._record_denied(path, error)
            return
        self.denied_files.pop(str(path), None)
        packed = is_compressed(plain.read(0, 16))
        content: LogContent = CompressedFile(path) if packed else plain
        if packed:
            plain.close()
            if not settled:
                return
        place = (status.st_dev, status.st_ino)
        try:
            if not self._match_known(path, place, content):
                self._add_unknown(path, place, content, settled=settled, finish=finish)
        except FileNotFoundError:
            # Rotated away this very moment: the next look finds it by its new name.
            content.close()
            self._retry_times.pop((*place, status.st_size), None)

    def _record_denied(self, path: Path, error: OSError) -> None:
        """Keeps, and says once, that a file cannot be read."""
        why = error.strerror or str(error)
        if self.denied_files.get(str(path)) != why:
            self.notices.append(f"{path}: cannot be read ({why})")
        self.denied_files[str(path)] = why

    def _is_settled(self, status: os.stat_result, now: float, *, finish: bool) -> bool:
        """Whether a file rests. One whose time lies in the future is held against what was seen."""
        if self.wall_time >= status.st_mtime:
            return self.wall_time - status.st_mtime >= self.search.settle_seconds
        mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        since = self._future_files.setdefault(mark, now)
        return finish or now - since >= self.search.settle_seconds

    def _match_known(self, path: Path, place: Place, content: LogContent) -> bool:
        """Whether the content is a known log's, in whole or in part; takes it as that."""
        cut = self._truncated_logs.pop(place, None)
        cut = cut if cut in self.logs and self.logs[cut].path == str(path) else None
        log = copies.find_copy(self.logs, content)
        if log is not None:
            self._handle_copy(log, path, place, content)
            return True
        if cut is None:
            log = copies.find_partial_copy(self.logs, self.contents, content)
        if log is not None:
            self._record_copy(log, path, place, content)
            return True
        size = content.status.st_size if isinstance(content, PlainFile) else 0
        found = copies.find_edited(self.logs, content, size, cut) if size else None
        if found is None:
            return False
        log, known = found
        self.missing_logs.discard(log.id)
        words = f"{copies.CHANGED_REASON} after it was read as {log.path}: what it holds up to "
        words += f"byte {known.position:,} is taken for counted"
        if not known.is_certain:
            words += ", though where the known part ends cannot be told"
        self.notices.append(f"{path} {words}")
        self._continue_as_new(log, path, place, content, known.position, words)
        return True

    def _continue_as_new(
        self, log: Log, path: Path, place: Place, content: LogContent, position: int, words: str
    ) -> None:
        """Follows a file from ``position`` on, as a log of its own."""
        own = copies.continue_log(log, content, position, path, words)
        own = replace(own, id=self._log_id(place), device=place[0], inode=place[1])
        self.update_log(own)
        self.contents[own.id] = content

    def _handle_copy(self, log: Log, path: Path, place: Place, content: LogContent) -> None:
        form: LogForm = "packed" if isinstance(content, CompressedFile) else "growing"
        if not content.read(log.position, 1):
            self.missing_logs.discard(log.id)  # all there was of it
            self._record_copy(log, path, place, content)
        elif log.stage == "open" and self.is_live(log):
            if copies.has_own_content(log, self.contents.get(log.id), content):
                words = f"begins with all of {log.path}: what both hold counts once"
                self._continue_as_new(log, path, place, content, log.position, words)
            else:
                content.close()  # a copy of what is still written: wait until one of them ends
        else:
            self._release(log.id)
            self.lost_times.pop(log.id, None)
            self.missing_logs.discard(log.id)
            status = path.stat()
            self.update_log(replace(log, path=str(path), device=place[0], inode=place[1], form=form,
                             stage="open", content="", listed=False, size=status.st_size,
                             stamp=status.st_mtime_ns))  # fmt: skip
            self.contents[log.id] = content

    def _record_copy(self, log: Log, path: Path, place: Place, content: LogContent) -> None:
        form: LogForm = "packed" if isinstance(content, CompressedFile) else "growing"
        content.close()
        why = f"holds what was read as {log.path}"
        copy = self._new_log(path, place, log.source, form)
        self.update_log(replace(copy, stage="copy", reason=why, position=path.stat().st_size))

    def _add_unknown(
        self, path: Path, place: Place, content: LogContent, *, settled: bool, finish: bool
    ) -> None:
        """A log that was never met."""
        fresh = self._new_log(path, place, "", "whole")
        log = self.unknown_files.identify(
            fresh, content, self.search, self.logs, settled=settled, finish=finish
        )
        if log is not None and log.stage == "left out" and log.id not in self.logs:
            self.notices.append(f"left out {path}: {log.reason}")
        if log is None or log.stage != "open":
            content.close()
        if log is not None:
            self.update_log(log)
            if log.stage == "open":
                self.contents[log.id] = content

    def content(self, log: Log, now: float) -> LogContent | None:
        """What the log holds; opened anew where its file was let go of to make room."""
        if log.id in self.closed_files:
            self._reopen(log, now)
        found = self.contents.pop(log.id, None)
        if found is not None:
            self.contents[log.id] = found  # the last of them was used last
        return found

    def _open_file(self, path: Path, log: Log) -> LogContent | None:
        """The file of a log as its form wants it; None where there is none that can be read."""
        self.closed_files.discard(log.id)
        self.closed_files.make_room(self.contents, self.logs)
        if log.form == "packed":
            return CompressedFile(path) if path.is_file() else None
        try:
            return PlainFile.open(path)
        except OSError:
            return None

    def _new_log(self, path: Path, place: Place, source: str, form: LogForm) -> Log:
        status = path.stat()
        found = Log(self._log_id(place), str(path), *place, source, form)
        return replace(found, size=status.st_size, stamp=status.st_mtime_ns)

    def _log_id(self, place: Place) -> int:
        return self._reused_ids.get(place) or max(self.logs, default=0) + 1


def _is_resumable(log: Log) -> bool:
    """Whether a log that is not open counted, and goes on where it was if its file grows."""
    return log.stage == "ended" or (log.stage == "left out" and log.has_content)


def _is_rewritten(log: Log, status: os.stat_result) -> bool:
    """Whether the file of a log that is not open was written since: it may hold another's."""
    if log.form == "growing" and log.stage != "ended":
        return status.st_size != log.position
    written = log.stamp > 0 and (status.st_size, status.st_mtime_ns) != (log.size, log.stamp)
    return log.stage != "open" and log.form != "growing" and written
