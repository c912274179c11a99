"""Logs that come in by themselves, and are no files: the sources of standard input and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.containment import in_memory
from detector.normalize.format_detection import recognise
from detector.normalize.source import Source
from detector.watch.log_content import Content, is_packed
from detector.watch.log_position import HEAD, Form, Log

#: What ``LOG`` is called for standard input, and its log.
DASH: Final = "-"
PIPE: Final = "standard input"


class Stream(Content, Protocol):
    """Content that comes in. Before ``forget`` bytes can be read again, and after it never."""

    @property
    def name(self) -> str:
        """What its log is called."""

    @property
    def form(self) -> Form:
        """Of its log."""

    def begin(self, log: Log) -> None:
        """Reading goes on where ``log`` is."""

    def ended(self, *, finish: bool) -> bool:
        """Whether nothing more will come; with ``finish``, of what is there now. May wait."""

    def forget(self, position: int) -> None:
        """What comes before ``position`` is on disk."""

    def stop(self) -> None:
        """What is there now is all there will be."""


class Inlet(Protocol):
    """One of the arguments: where streams come from."""

    def streams(self, now: float) -> Sequence[Stream]:
        """Those there are. Raises InputError."""

    @property
    def over(self) -> bool:
        """Whether nothing will ever come again."""

    @property
    def said(self) -> list[str]:
        """What there is to tell people; whoever does empties it."""

    def close(self) -> None:
        """Lets go of it."""


@dataclass(slots=True)
class Streams:
    """All streams of a watcher; ``begun`` are those whose logs are known, by the log's id."""

    inlets: Sequence[Inlet] = ()
    begun: dict[int, Stream] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether there were streams, and nothing more will come of any."""
        return bool(self.inlets) and all(inlet.over for inlet in self.inlets)

    def look(
        self, logs: Mapping[int, Log], choose: Choose, now: float, *, finish: bool
    ) -> list[tuple[Log, Stream]]:
        """Logs that begin, or go on. Raises InputError where one cannot be used."""
        found: list[tuple[Log, Stream]] = []
        running = {id(stream) for stream in self.begun.values()}
        for inlet in self.inlets:
            for stream in inlet.streams(now):
                if id(stream) in running:
                    continue
                number = max([*logs, *(log.id for log, _ in found)], default=0) + 1
                log = _known(stream, logs) or _fresh(stream, number, choose, finish=finish)
                if log is not None and (log.stage != "left out" or log.id not in logs):
                    stream.begin(log)
                    found.append((log, stream))
                    self.begun[log.id] = stream
        return found

    def words(self) -> list[str]:
        """What there is to tell people, once."""
        found = [words for inlet in self.inlets for words in inlet.said]
        for inlet in self.inlets:
            inlet.said.clear()
        return found

    def stop(self) -> None:
        """What is there now is all there will be."""
        for stream in self.begun.values():
            stream.stop()

    def close(self) -> None:
        """Lets all go."""
        for inlet in self.inlets:
            inlet.close()


@dataclass(frozen=True, slots=True)
class Choose:
    """How the source of a stream is told: by ``name``, or from its first lines."""

    sources: Mapping[str, Source]
    settings: Settings
    name: str | None

    def source(self, stream: Stream, head: bytes) -> Source:
        """Raises InputError."""
        if is_packed(head):
            hint = "pipe it through zcat, or name the file"
            raise InputError("is compressed", where=stream.name, hint=hint)
        with in_memory(head) as path:
            try:
                files, _ = recognise([path], self.sources, self.settings, self.name)
            except InputError as error:
                raise InputError(error.what, where=stream.name, hint=error.hint) from None
        source = files[0][1]
        if not source.follows(head):
            what, hint = f"is {source.name}, read once complete", "write it to a file and name that"
            raise InputError(what, where=stream.name, hint=hint)
        return source


def _known(stream: Stream, logs: Mapping[int, Log]) -> Log | None:
    """The log of a stream that goes on where it was. What came through a pipe is over."""
    if stream.form == "pipe":
        return None
    alike = (log for log in logs.values() if (log.form, log.path) == (stream.form, stream.name))
    log = next(alike, None)
    return log if log is None or log.stage == "left out" else replace(log, stage="open")


def _fresh(stream: Stream, number: int, choose: Choose, *, finish: bool) -> Log | None:
    """The log of a stream that begins; None while too little is there to tell what it is."""
    while True:
        ended = stream.ended(finish=finish)
        head = stream.read(0, HEAD)
        enough = ended or len(head) >= HEAD
        if head and (enough or b"\n" in head):
            try:
                source = choose.source(stream, head)
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
