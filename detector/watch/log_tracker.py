"""Which logs there are: found, known again after rotation, and told from copies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from detector.normalize.source import Source
from detector.readers import discovery
from detector.watch import copies
from detector.watch import log_position as logs
from detector.watch.file_times import FileTimes, Place
from detector.watch.log_content import CompressedFile, LogContent, PlainFile, is_compressed
from detector.watch.log_position import STREAMS, Log, LogForm
from detector.watch.new_files import FileSearch, UnknownFiles
from detector.watch.open_contents import OpenContents
from detector.watch.stream_inputs import SourceChooser, Streams


@dataclass(slots=True)
class LogTracker:
    """All logs that were ever followed, by id, and the open ones' ``contents``; ``times`` say when
    other files are looked at.

    ``changed_logs`` are logs whose record is to be kept with the next transaction; ``missing_logs``
    those whose file was gone at the start; ``denied_files`` files that cannot be read. What comes
    in by itself comes from ``streams``.
    """

    search: FileSearch
    logs: dict[int, Log]
    unknown_files: UnknownFiles
    streams: Streams = field(default_factory=Streams)
    contents: OpenContents = field(init=False)
    times: FileTimes = field(init=False)
    changed_logs: set[int] = field(default_factory=set)
    lost_times: dict[int, float] = field(default_factory=dict)
    missing_logs: set[int] = field(default_factory=set)
    denied_files: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    _reused_ids: dict[Place, int] = field(default_factory=dict)
    _truncated_logs: dict[Place, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contents = OpenContents(self.logs)
        self.times = FileTimes(self.search.settle_seconds)

    def update_log(self, log: Log) -> None:
        """Takes a log in, or what became of it, which is on disk by then."""
        self.logs[log.id] = log
        if log.id in self.streams.by_log_id:
            self.streams.by_log_id[log.id].discard_before(log.position)
        self.changed_logs.add(log.id)
        if log.stage != "open":
            self.contents.release(log.id)

    def open_logs(self) -> list[Log]:
        """Those that may still give something, in the order they were found."""
        return [log for log in self.logs.values() if log.stage == "open"]

    def unread_bytes(self) -> int:
        """Bytes of all logs that were not read yet."""
        return sum(self.contents.unread_bytes(log) for log in self.open_logs())

    @property
    def is_over(self) -> bool:
        """Whether all that was asked for came in by itself, and has come."""
        return not self.search.arguments and self.streams.is_over

    def use_sources(self, sources: Mapping[str, Source]) -> None:
        """How logs are read, from now on."""
        self.search = replace(self.search, sources=sources)

    def take_notices(self) -> list[str]:
        """What there is to tell people, once."""
        found, self.notices = self.notices, []
        return found

    def source_for(self, log: Log) -> Source:
        """Of a log."""
        return self.search.sources[log.source]

    def scan(self, now: float, wall: float, *, finish: bool = False) -> None:
        """Finds what is new, and what became of what is known, at a time of ``times``.

        Raises InputError for streams that cannot be used.
        """
        self.times.begin(now, wall, finish=finish)
        self._check_open(now)
        choose = SourceChooser(self.search.sources, self.search.settings, self.search.source)
        for found, stream in self.streams.scan(self.logs, choose, now, finish=finish):
            self.contents.put(found.id, stream)
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
            due = self.times.is_due(status) or place in self.unknown_files.hashers
            if due and status.st_size:
                self.times.mark_seen(status)
                self._add_file(path, status, finish=finish)

    def close(self) -> None:
        """Lets all files go."""
        self.contents.close()
        self.streams.close()

    def _check_open(self, now: float) -> None:
        """Of files that were cut short, or overwritten, what was read is all there will be."""
        for log in self.open_logs():
            content = self.contents.get(log.id)
            if log.form in STREAMS or self.contents.is_idle(log):
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
            fresh = CompressedFile(content.path)
            self.contents.put(log.id, fresh)
            self.update_log(replace(log, size=fresh.stamp[0], stamp=fresh.stamp[1]))

    def _reopen(self, log: Log, now: float) -> None:
        """After a start: the file under the log's name, if it is still the same one."""
        if log.id in self.lost_times:
            return
        content = self.contents.open_file(Path(log.path), log)
        if content is None:
            self.lost_times.setdefault(log.id, now)
            self.missing_logs.add(log.id)
        elif log.form == "whole" or not log.position or logs.has_log_prefix(log, content.read):
            self.contents.put(log.id, content)
        else:
            content.close()
            self.mark_lost(log, now)
            self.missing_logs.add(log.id)

    def mark_lost(self, log: Log, now: float) -> None:
        """The file is another's now. What was not read of it may turn up in a copy."""
        self.contents.release(log.id)
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
            if content is None and not self.contents.is_idle(log):
                content = self.contents.open_file(path, log)
                if content is None or (
                    log.form != "whole"
                    and log.position
                    and not logs.has_log_prefix(log, content.read)
                ):
                    self._detach_file(log)
                    return False
                self.contents.put(log.id, content)
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
        content = self.contents.open_file(path, log)
        if content is None:
            return True
        if size > log.position and (not log.position or logs.has_log_prefix(log, content.read)):
            grown = replace(log, path=str(path), stage="open", content="", listed=False)
            self.update_log(grown)
            self.contents.put(log.id, content)
            return True
        content.close()
        self._detach_file(log)
        return False

    def _add_file(self, path: Path, status: os.stat_result, *, finish: bool) -> None:
        """A file of an unknown inode."""
        settled = self.times.is_settled(status)
        try:
            plain = self.contents.open_plain(path)
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
            self.times.forget(status)

    def _record_denied(self, path: Path, error: OSError) -> None:
        """Keeps, and says once, that a file cannot be read."""
        why = error.strerror or str(error)
        if self.denied_files.get(str(path)) != why:
            self.notices.append(f"{path}: cannot be read ({why})")
        self.denied_files[str(path)] = why

    def _match_known(self, path: Path, place: Place, content: LogContent) -> bool:
        """Whether the content is a known log's, in whole or in part; takes it as that."""
        cut = self._truncated_logs.pop(place, None)
        cut = cut if cut in self.logs and self.logs[cut].path == str(path) else None
        log = copies.find_copy(self.logs, content)
        if log is not None:
            self._handle_copy(log, path, place, content)
            return True
        if cut is None:
            log = copies.find_partial_copy(self.logs, self.contents.by_log, content)
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
        self.contents.put(own.id, content)

    def _handle_copy(self, log: Log, path: Path, place: Place, content: LogContent) -> None:
        form: LogForm = "packed" if isinstance(content, CompressedFile) else "growing"
        if not content.read(log.position, 1):
            self.missing_logs.discard(log.id)  # all there was of it
            self._record_copy(log, path, place, content)
        elif log.stage == "open" and self.contents.is_live(log):
            if copies.has_own_content(log, self.contents.get(log.id), content):
                words = f"begins with all of {log.path}: what both hold counts once"
                self._continue_as_new(log, path, place, content, log.position, words)
            else:
                content.close()  # a copy of what is still written: wait until one of them ends
        else:
            self.contents.release(log.id)
            self.lost_times.pop(log.id, None)
            self.missing_logs.discard(log.id)
            status = path.stat()
            self.update_log(replace(log, path=str(path), device=place[0], inode=place[1], form=form,
                             stage="open", content="", listed=False, size=status.st_size,
                             stamp=status.st_mtime_ns))  # fmt: skip
            self.contents.put(log.id, content)

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
                self.contents.put(log.id, content)

    def content(self, log: Log, now: float) -> LogContent | None:
        """What the log holds; opened anew where its file was let go of to make room."""
        if self.contents.is_closed(log):
            self._reopen(log, now)
        return self.contents.use(log.id)

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
