"""The files of logs that may still give something: open, or closed for a while to make room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from detector.watch.kafka_input import Partition
from detector.watch.log_content import CompressedFile, LogContent, PlainFile
from detector.watch.log_position import STREAMS, Log
from detector.watch.open_files import ClosedFiles


@dataclass(slots=True)
class OpenContents:
    """By the number of their log, those that were used least lately first. ``known`` are all logs,
    for their positions.
    """

    known: Mapping[int, Log]
    by_log: dict[int, LogContent] = field(default_factory=dict)
    closed_files: ClosedFiles = field(default_factory=ClosedFiles)

    def __contains__(self, number: int) -> bool:
        return number in self.by_log

    def __len__(self) -> int:
        return len(self.by_log)

    def get(self, number: int) -> LogContent | None:
        """What is open of a log."""
        return self.by_log.get(number)

    def use(self, number: int) -> LogContent | None:
        """The same, which is the one that was used last from now on."""
        found = self.by_log.pop(number, None)
        if found is not None:
            self.by_log[number] = found
        return found

    def put(self, number: int, content: LogContent) -> None:
        """A log's content is open."""
        self.by_log[number] = content

    def release(self, number: int) -> None:
        """Lets a log's file go."""
        self.closed_files.discard(number)
        content = self.by_log.pop(number, None)
        if content is not None:
            content.close()

    def close(self) -> None:
        """Lets all files go."""
        for number in list(self.by_log):
            self.release(number)

    def is_idle(self, log: Log) -> bool:
        """Whether a log's file is closed, and nothing is to be read of it."""
        return self.closed_files.is_idle(log)

    def is_closed(self, log: Log) -> bool:
        """Whether a log's file was closed to make room."""
        return log.id in self.closed_files

    def is_live(self, log: Log) -> bool:
        """Whether a log's file stands under its name."""
        content = self.get(log.id)
        if log.form in STREAMS:
            return content is not None
        if self.is_closed(log):
            return self.closed_files.current_stamp(log) is not None
        if isinstance(content, CompressedFile):
            return content.path.exists()
        try:
            found = Path(log.path).stat()
        except OSError:
            return False
        return content is not None and (found.st_dev, found.st_ino) == (log.device, log.inode)

    def open_plain(self, path: Path) -> PlainFile:
        """A file, for which room is made. Raises OSError."""
        self.closed_files.make_room(self.by_log, self.known)
        return PlainFile.open(path)

    def open_file(self, path: Path, log: Log) -> LogContent | None:
        """The file of a log as its form wants it; None where there is none that can be read."""
        self.closed_files.discard(log.id)
        if log.form == "packed":
            self.closed_files.make_room(self.by_log, self.known)
            return CompressedFile(path) if path.is_file() else None
        try:
            return self.open_plain(path)
        except OSError:
            return None

    def unread_bytes(self, log: Log) -> int:
        """Bytes of a log that were not read yet; of one that is not read by bytes, 0."""
        stamp = self.closed_files.current_stamp(log) if self.is_closed(log) else None
        if stamp is not None:
            return max(0, stamp[0] - log.position)
        content = self.get(log.id)
        return 0 if content is None or log.form == "whole" else content.unread_bytes(log.position)

    def unread_messages(self, log: Log) -> int | None:
        """Messages of a topic's partition that were not taken in yet; None for other logs."""
        content = self.get(log.id)
        return content.unread_messages if isinstance(content, Partition) else None
