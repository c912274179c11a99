"""Topics of Kafka, followed by offsets that the watcher's own state keeps.

Partitions are assigned, not subscribed to: no consumer group is joined, nothing is committed at the
broker, and nothing is ever rebalanced. A message is one or more lines of a log; an entry may
begin in one message and end in another.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from detector.core.errors import InputError, SettingsError
from detector.delivery.config import Target, of_flag
from detector.delivery.sinks import kafka
from detector.readers.compression import MIB
from detector.watch.log_position import Form, Log

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

SCHEMES: Final = ("kafka://", "kafka+tls://")
#: Bytes held of all partitions together; more only of an entry that is longer.
HELD: Final = 32 * MIB
#: Messages taken from librdkafka at once, and bytes that it reads ahead (KiB, all partitions).
AT_ONCE: Final = 1000
AHEAD: Final = 16 * 1024
#: Seconds between two looks for new partitions, and that a broker may take to answer.
AGAIN: Final = 60.0
PATIENCE: Final = 15.0
#: Seconds that a run which reads to the end waits for more at a time.
WAIT: Final = 0.2


@dataclass(frozen=True, slots=True)
class Gap:
    """``lost`` messages cannot be had any more; reading goes on at ``offset``, if it is given."""

    lost: int
    words: str
    offset: int | None


@dataclass(slots=True)
class Partition:
    """One partition. ``gap`` is what the broker does not have any more, once it is met."""

    topic: Topic
    number: int
    name: str
    form: Form = "topic"
    broken: str = ""
    gap: Gap | None = None
    _at: int = 0
    _next: int = 0
    _start: int = 0
    _held: bytearray = field(default_factory=bytearray)
    #: (position of its end, its offset, where in it reading began) of each message held.
    _messages: deque[tuple[int, int, int]] = field(default_factory=deque)
    _within: int = 0
    _assigned: bool = False
    _paused: bool = False
    _eof: bool = False

    def begin(self, log: Log) -> None:
        """Reading goes on at the log's offset."""
        if not self._assigned:
            self._at = log.position
            begun = log.position or log.offset
            self.seek(log.offset if begun else None, log.within)

    def seek(self, offset: int | None, within: int = 0) -> None:
        """Reads from an offset on (None: all there is), without the first bytes of its message."""
        self.gap, self._within, self._eof = None, within, False
        self._next = self._start = offset or 0
        if self._assigned:
            self.topic.unassign(self.number)
        self._assigned = True
        self.topic.assign(self.number, offset)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``: what is there now, without waiting."""
        if not self._assigned:
            self.seek(None)
        share = self.topic.share
        wanted = offset + (length if length > HELD else min(length, share))
        while self._at + len(self._held) < wanted and self.topic.pump():
            pass
        start = offset - self._at
        return bytes(self._held[start : start + length])

    def add(self, message: Message) -> None:
        """Takes a message in: its lines, each with its end."""
        self._eof = False
        offset = message.offset()
        assert offset is not None
        self._next = offset + 1
        data = message.value() or b""
        if data and not data.endswith(b"\n"):
            data += b"\n"
        within = self._within if offset == self._start else 0
        self._held += data[within:]
        if len(data) > within:
            self._messages.append((self._at + len(self._held), offset, within))
        if len(self._held) > self.topic.share and not self._paused:
            self._paused = True
            self.topic.pause(self.number)

    def end(self) -> None:
        """All that is there now was taken in."""
        self._eof = True

    def miss(self) -> None:
        """The broker has not what is asked for: finds out why."""
        low, high = self.topic.bounds(self.number)
        if low > self._next:
            lost = low - self._next
            words = f"the broker deleted {lost:,} messages before they were read (offsets "
            words += f"{self._next} to {low - 1}): its retention is shorter than the watcher's lag"
            self.gap = Gap(lost, words, low)
        elif high < self._next:
            words = f"offsets end at {high} and {self._next} was reached: the topic was made anew "
            words += "or cut back, and what of it was read cannot be told; it is not followed on"
            self.gap = Gap(1, words, None)
        else:
            self.seek(self._next, self._within)

    def ended(self, *, finish: bool) -> bool:
        """Whether the end was reached, for a run that ends there; or a gap. May wait."""
        if not self._assigned:
            self.seek(None)
        if finish and self.gap is None and not self._eof and not self._paused:
            self.topic.wait()
        return self.gap is not None or (finish and self._eof)

    def forget(self, position: int) -> None:
        """What comes before ``position`` is on disk."""
        done = position - self._at
        del self._held[:done]
        self._at = position
        while self._messages and self._messages[0][0] <= position:
            self._messages.popleft()
        if self._paused and len(self._held) <= self.topic.share:
            self._paused = False
            self.topic.resume(self.number)

    def marks(self, position: int) -> dict[str, Any]:
        """Offset of the message in which ``position`` is, and how far into it."""
        start = self._at
        for end, offset, within in self._messages:
            if position < end:
                return {"offset": offset, "within": within + position - start}
            start = end
        return {"offset": self._next, "within": 0}

    def behind(self, position: int) -> int:
        """Bytes held; what the broker has beyond is known in messages alone."""
        return max(0, self._at + len(self._held) - position)

    @property
    def messages(self) -> int:
        """How many the broker has that were not taken in."""
        return max(0, self.topic.high(self.number) - self._next)

    def stop(self) -> None:
        """Nothing: it waits at the broker."""

    def close(self) -> None:
        """Nothing more is fetched."""
        if self._assigned and not self.topic.closed:
            self.topic.unassign(self.number)
        self._assigned = False


@dataclass(slots=True)
class Topic:
    """A topic, by its own consumer. ``said`` is what there is to tell people."""

    target: Target
    said: list[str] = field(default_factory=list)
    closed: bool = False
    _consumer: Consumer | None = None
    _partitions: dict[int, Partition] = field(default_factory=dict)
    _looked: float = float("-inf")
    _silent: float = 0.0
    _words: str = ""

    @classmethod
    def of(cls, url: str) -> Topic:
        """Of ``kafka://host:9092/topic``, settings as of sinks. Raises SettingsError."""
        where = url.partition("#")[0]
        try:
            target = of_flag(url)
            kafka.demand(target)
        except SettingsError as error:
            raise SettingsError(error.what, where=where, hint=error.hint) from None
        if find_spec("confluent_kafka") is None:
            hint = "install it: pip install 'detector[kafka]'"
            raise SettingsError("needs confluent_kafka", where=where, hint=hint)
        return cls(target)

    @property
    def name(self) -> str:
        """The URL without its settings."""
        return self.target.url

    @property
    def over(self) -> bool:
        """Never: more can come."""
        return False

    @property
    def share(self) -> int:
        """Bytes that a partition may hold."""
        return max(MIB, HELD // max(1, len(self._partitions)))

    def streams(self, now: float) -> Sequence[Partition]:
        """All partitions; new ones are found now and then. Raises InputError at the start."""
        if now - self._looked >= AGAIN:
            self._looked = now
            try:
                self._find()
            except InputError as error:
                if not self._partitions:
                    raise
                self.said.append(str(error))
        return list(self._partitions.values())

    def _find(self) -> None:
        from confluent_kafka import KafkaException

        _, topic = kafka.address(self.target)
        try:
            cluster = self._ready().list_topics(topic, timeout=PATIENCE)
        except KafkaException as error:
            words = self._words or error.args[0].str()
            hint = "is the address right, and is the broker up?"
            raise InputError(f"no answer ({words})", where=self.name, hint=hint) from None
        found = cluster.topics[topic]
        if found.error is not None:
            raise InputError(f"cannot be read ({found.error.str()})", where=self.name)
        for number in sorted(found.partitions):
            name = f"kafka:{cluster.cluster_id or self.name}/{topic}/{number}"
            self._partitions.setdefault(number, Partition(self, number, name))

    def _ready(self) -> Consumer:
        from confluent_kafka import Consumer

        if self._consumer is None:
            # Its own lines would go to stderr; what it says of errors we say ourselves.
            quiet = logging.getLogger("detector.kafka")
            quiet.propagate = False
            quiet.addHandler(logging.NullHandler())
            wanted = {
                **kafka.connection(self.target),
                "group.id": "detector-watch",  # librdkafka wants one; it is never joined
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": AHEAD,
                "error_cb": self._hear,
            }
            self._consumer = Consumer(wanted, logger=quiet)
        return self._consumer

    def _hear(self, error: Any) -> None:
        words = " ".join(error.str().split())
        if words != self._words:
            self.said.append(f"{self.name}: {words}")
        self._words = words

    def pump(self, seconds: float = 0.0) -> bool:
        """Hands what came in to its partitions; whether something did."""
        from confluent_kafka import KafkaError

        found = self._ready().consume(AT_ONCE, seconds)
        for message in found:
            error = message.error()
            partition = self._partitions[message.partition() or 0]
            if error is None:
                partition.add(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
                partition.end()
            elif error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001
                partition.miss()
            else:
                self._hear(error)
        if found:
            self._silent, self._words = 0.0, ""
        return bool(found)

    def wait(self) -> None:
        """Waits for more. Raises InputError where the broker is silent for long."""
        if not self.pump(WAIT):
            self._silent += WAIT
        if self._silent > PATIENCE:
            what = f"no answer ({self._words or 'it is silent'})"
            raise InputError(what, where=self.name, hint="is the broker up?")

    def bounds(self, number: int) -> tuple[int, int]:
        """The first offset of a partition, and the one after its last. Raises InputError."""
        from confluent_kafka import KafkaException

        try:
            low, high = self._ready().get_watermark_offsets(self._place(number), timeout=PATIENCE)
        except KafkaException as error:
            what = f"no answer ({error.args[0].str()})"
            raise InputError(what, where=self.name, hint="is the broker up?") from None
        return int(low), int(high)

    def high(self, number: int) -> int:
        """The offset after a partition's last, as far as it is known."""
        found = self._ready().get_watermark_offsets(self._place(number), cached=True)
        return int(found[1]) if found else 0

    def _place(self, number: int, offset: int | None = None) -> Any:
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        topic = kafka.address(self.target)[1]
        return TopicPartition(topic, number, OFFSET_BEGINNING if offset is None else offset)

    def assign(self, number: int, offset: int | None) -> None:
        """Fetches a partition from an offset on, None from its first."""
        self._ready().incremental_assign([self._place(number, offset)])

    def unassign(self, number: int) -> None:
        """Fetches it no more."""
        self._ready().incremental_unassign([self._place(number)])

    def pause(self, number: int) -> None:
        """Fetches no more of it for now."""
        self._ready().pause([self._place(number)])

    def resume(self, number: int) -> None:
        """Fetches again."""
        self._ready().resume([self._place(number)])

    def close(self) -> None:
        """Lets the brokers go."""
        self.closed = True
        if self._consumer is not None:
            self._consumer.close()
