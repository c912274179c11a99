"""Logs that come in by themselves, and are no files: the sources of standard input and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.format_detection import detect
from detector.normalize.source import Source
from detector.readers.log_input import HeldBytes
from detector.watch.log_content import LogContent, is_compressed
from detector.watch.log_position import HEAD_BYTES, Log, LogForm

#: What ``LOG`` is called for standard input, and its log.
STDIN_ARGUMENT: Final = "-"
STDIN_NAME: Final = "standard input"


class Stream(LogContent, Protocol):
    """Content that comes in. Before ``discard_before`` bytes can be read again, and after it
    never.
    """

    @property
    def name(self) -> str:
        """What its log is called."""

    @property
    def form(self) -> LogForm:
        """Of its log."""

    def begin(self, log: Log) -> None:
        """Reading goes on where ``log`` is."""

    def has_ended(self, *, finish: bool) -> bool:
        """Whether nothing more will come; with ``finish``, of what is there now. May wait."""

    def discard_before(self, position: int) -> None:
        """What comes before ``position`` is on disk."""

    def stop(self) -> None:
        """What is there now is all there will be."""


class StreamInput(Protocol):
    """One of the arguments: where streams come from."""

    def streams(self, now: float) -> Sequence[Stream]:
        """Those there are. Raises InputError."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will ever come again."""

    @property
    def notices(self) -> list[str]:
        """What there is to tell people; whoever does empties it."""

    def close(self) -> None:
        """Lets go of it."""


@dataclass(slots=True)
class Streams:
    """All streams of a watcher; ``by_log_id`` are those whose logs are known, by the log's id."""

    inputs: Sequence[StreamInput] = ()
    by_log_id: dict[int, Stream] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether there were streams, and nothing more will come of any."""
        return bool(self.inputs) and all(inlet.is_over for inlet in self.inputs)

    def scan(
        self, logs: Mapping[int, Log], choose: SourceChooser, now: float, *, finish: bool
    ) -> list[tuple[Log, Stream]]:
        """Logs that begin, or go on. Raises InputError where one cannot be used."""
        found: list[tuple[Log, Stream]] = []
        running = {id(stream) for stream in self.by_log_id.values()}
        for inlet in self.inputs:
            for stream in inlet.streams(now):
                if id(stream) in running:
                    continue
                number = max([*logs, *(log.id for log, _ in found)], default=0) + 1
                log = _resume_log(stream, logs) or _new_log(stream, number, choose, finish=finish)
                if log is not None and (log.stage != "left out" or log.id not in logs):
                    stream.begin(log)
                    found.append((log, stream))
                    self.by_log_id[log.id] = stream
        return found

    def take_notices(self) -> list[str]:
        """What there is to tell people, once."""
        found = [words for inlet in self.inputs for words in inlet.notices]
        for inlet in self.inputs:
            inlet.notices.clear()
        return found

    def stop(self) -> None:
        """What is there now is all there will be."""
        for stream in self.by_log_id.values():
            stream.stop()

    def close(self) -> None:
        """Lets all go."""
        for inlet in self.inputs:
            inlet.close()


@dataclass(frozen=True, slots=True)
class SourceChooser:
    """How the source of a stream is told: by ``name``, or from its first lines."""

    sources: Mapping[str, Source]
    settings: Settings
    source_name: str | None

    def choose(self, stream: Stream, head: bytes) -> Source:
        """Raises InputError."""
        if is_compressed(head):
            hint = "pipe it through zcat, or name the file"
            raise InputError("is compressed", where=stream.name, hint=hint)
        beginning = HeldBytes(head, stream.name)
        files, _ = detect([beginning], self.sources, self.settings, self.source_name)
        source = files[0][1]
        if not source.can_follow(head):
            what, hint = f"is {source.name}, read once complete", "write it to a file and name that"
            raise InputError(what, where=stream.name, hint=hint)
        return source


def _resume_log(stream: Stream, logs: Mapping[int, Log]) -> Log | None:
    """The log of a stream that goes on where it was. What came through a pipe is over."""
    if stream.form == "pipe":
        return None
    alike = (log for log in logs.values() if (log.form, log.path) == (stream.form, stream.name))
    log = next(alike, None)
    return log if log is None or log.stage == "left out" else replace(log, stage="open")


def _new_log(stream: Stream, number: int, choose: SourceChooser, *, finish: bool) -> Log | None:
    """The log of a stream that begins; None while too little is there to tell what it is."""
    while True:
        ended = stream.has_ended(finish=finish)
        head = stream.read(0, HEAD_BYTES)
        enough = ended or len(head) >= HEAD_BYTES
        if head and (enough or b"\n" in head):
            try:
                source = choose.choose(stream, head)
            except InputError as error:
                if enough and stream.form == "topic":
                    reason = error.reason
                    return Log(number, stream.name, 0, 0, "", "topic", "left out", reason)
                if enough:
                    raise
            else:
                return Log(number, stream.name, 0, 0, source.name, stream.form)
        if ended or not finish:
            return None
