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
from detector.delivery.config import SinkConfig, parse_flag
from detector.delivery.sinks import kafka
from detector.readers.compression import MIB
from detector.watch.log_position import Log, LogForm

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

SCHEMES: Final = ("kafka://", "kafka+tls://")
#: Bytes held of all partitions together; more only of an entry that is longer.
MAX_BUFFER_BYTES: Final = 32 * MIB
#: Messages taken from librdkafka at once, and bytes that it reads ahead (KiB, all partitions).
MESSAGES_PER_POLL: Final = 1000
PREFETCH_KIB: Final = 16 * 1024
#: Seconds between two looks for new partitions, and that a broker may take to answer.
DISCOVERY_SECONDS: Final = 60.0
BROKER_TIMEOUT: Final = 15.0
#: Seconds that a run which reads to the end waits for more at a time.
POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Gap:
    """``lost`` messages cannot be had any more; reading goes on at ``offset``, if it is given."""

    lost: int
    reason: str
    offset: int | None


@dataclass(slots=True)
class Partition:
    """One partition. ``gap`` is what the broker does not have any more, once it is met."""

    topic: Topic
    number: int
    name: str
    form: LogForm = "topic"
    end_reason: str = ""
    gap: Gap | None = None
    _buffer_start: int = 0
    _next_offset: int = 0
    _start_offset: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    #: (position of its end, its offset, where in it reading began) of each message held.
    _messages: deque[tuple[int, int, int]] = field(default_factory=deque)
    _skip_bytes: int = 0
    _is_assigned: bool = False
    _is_paused: bool = False
    _is_at_end: bool = False

    def begin(self, log: Log) -> None:
        """Reading goes on at the log's offset."""
        if not self._is_assigned:
            self._buffer_start = log.position
            begun = log.position or log.offset
            self.seek(log.offset if begun else None, log.within)

    def seek(self, offset: int | None, within: int = 0) -> None:
        """Reads from an offset on (None: all there is), without the first bytes of its message."""
        self.gap, self._skip_bytes, self._is_at_end = None, within, False
        self._next_offset = self._start_offset = offset or 0
        if self._is_assigned:
            self.topic.unassign(self.number)
        self._is_assigned = True
        self.topic.assign(self.number, offset)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``: what is there now, without waiting."""
        if not self._is_assigned:
            self.seek(None)
        share = self.topic.buffer_share
        wanted = offset + (length if length > MAX_BUFFER_BYTES else min(length, share))
        while self._buffer_start + len(self._buffer) < wanted and self.topic.poll():
            pass
        start = offset - self._buffer_start
        return bytes(self._buffer[start : start + length])

    def add(self, message: Message) -> None:
        """Takes a message in: its lines, each with its end."""
        self._is_at_end = False
        offset = message.offset()
        assert offset is not None
        self._next_offset = offset + 1
        data = message.value() or b""
        if data and not data.endswith(b"\n"):
            data += b"\n"
        within = self._skip_bytes if offset == self._start_offset else 0
        self._buffer += data[within:]
        if len(data) > within:
            self._messages.append((self._buffer_start + len(self._buffer), offset, within))
        if len(self._buffer) > self.topic.buffer_share and not self._is_paused:
            self._is_paused = True
            self.topic.pause(self.number)

    def mark_end(self) -> None:
        """All that is there now was taken in."""
        self._is_at_end = True

    def handle_out_of_range(self) -> None:
        """The broker has not what is asked for: finds out why."""
        low, high = self.topic.offset_bounds(self.number)
        if low > self._next_offset:
            lost = low - self._next_offset
            words = f"the broker deleted {lost:,} messages before they were read (offsets "
            words += (
                f"{self._next_offset} to {low - 1}): its retention is shorter than the "
                "watcher's lag"
            )
            self.gap = Gap(lost, words, low)
        elif high < self._next_offset:
            words = (
                f"offsets end at {high} and {self._next_offset} was reached: the topic "
                "was made anew "
            )
            words += "or cut back, and what of it was read cannot be told; it is not followed on"
            self.gap = Gap(1, words, None)
        else:
            self.seek(self._next_offset, self._skip_bytes)

    def has_ended(self, *, finish: bool) -> bool:
        """Whether the end was reached, for a run that ends there; or a gap. May wait."""
        if not self._is_assigned:
            self.seek(None)
        if finish and self.gap is None and not self._is_at_end and not self._is_paused:
            self.topic.wait_for_messages()
        return self.gap is not None or (finish and self._is_at_end)

    def discard_before(self, position: int) -> None:
        """What comes before ``position`` is on disk."""
        done = position - self._buffer_start
        del self._buffer[:done]
        self._buffer_start = position
        while self._messages and self._messages[0][0] <= position:
            self._messages.popleft()
        if self._is_paused and len(self._buffer) <= self.topic.buffer_share:
            self._is_paused = False
            self.topic.resume(self.number)

    def position_fields(self, position: int) -> dict[str, Any]:
        """Offset of the message in which ``position`` is, and how far into it."""
        start = self._buffer_start
        for end, offset, within in self._messages:
            if position < end:
                return {"offset": offset, "within": within + position - start}
            start = end
        return {"offset": self._next_offset, "within": 0}

    def unread_bytes(self, position: int) -> int:
        """Bytes held; what the broker has beyond is known in messages alone."""
        return max(0, self._buffer_start + len(self._buffer) - position)

    @property
    def unread_messages(self) -> int:
        """How many the broker has that were not taken in."""
        return max(0, self.topic.end_offset(self.number) - self._next_offset)

    def stop(self) -> None:
        """Nothing: it waits at the broker."""

    def close(self) -> None:
        """Nothing more is fetched."""
        if self._is_assigned and not self.topic.is_closed:
            self.topic.unassign(self.number)
        self._is_assigned = False


@dataclass(slots=True)
class Topic:
    """A topic, by its own consumer. ``notices`` is what there is to tell people."""

    config: SinkConfig
    notices: list[str] = field(default_factory=list)
    is_closed: bool = False
    _consumer: Consumer | None = None
    _partitions: dict[int, Partition] = field(default_factory=dict)
    _discovery_time: float = float("-inf")
    _silent_seconds: float = 0.0
    _last_error: str = ""

    @classmethod
    def from_url(cls, url: str) -> Topic:
        """Of ``kafka://host:9092/topic``, settings as of sinks. Raises SettingsError."""
        where = url.partition("#")[0]
        try:
            target = parse_flag(url)
            kafka.check_connection(target)
        except SettingsError as error:
            raise SettingsError(error.what, where=where, hint=error.hint) from None
        if find_spec("confluent_kafka") is None:
            hint = "install it: pip install 'detector[kafka]'"
            raise SettingsError("needs confluent_kafka", where=where, hint=hint)
        return cls(target)

    @property
    def name(self) -> str:
        """The URL without its settings."""
        return self.config.url

    @property
    def is_over(self) -> bool:
        """Never: more can come."""
        return False

    @property
    def buffer_share(self) -> int:
        """Bytes that a partition may hold."""
        return max(MIB, MAX_BUFFER_BYTES // max(1, len(self._partitions)))

    def streams(self, now: float) -> Sequence[Partition]:
        """All partitions; new ones are found now and then. Raises InputError at the start."""
        if now - self._discovery_time >= DISCOVERY_SECONDS:
            self._discovery_time = now
            try:
                self._discover_partitions()
            except InputError as error:
                if not self._partitions:
                    raise
                self.notices.append(str(error))
        return list(self._partitions.values())

    def _discover_partitions(self) -> None:
        from confluent_kafka import KafkaException

        _, topic = kafka.split_address(self.config)
        try:
            cluster = self._open_consumer().list_topics(topic, timeout=BROKER_TIMEOUT)
        except KafkaException as error:
            words = self._last_error or error.args[0].str()
            hint = "is the address right, and is the broker up?"
            raise InputError(f"no answer ({words})", where=self.name, hint=hint) from None
        found = cluster.topics[topic]
        if found.error is not None:
            raise InputError(f"cannot be read ({found.error.str()})", where=self.name)
        for number in sorted(found.partitions):
            name = f"kafka:{cluster.cluster_id or self.name}/{topic}/{number}"
            self._partitions.setdefault(number, Partition(self, number, name))

    def _open_consumer(self) -> Consumer:
        from confluent_kafka import Consumer

        if self._consumer is None:
            # Its own lines would go to stderr; what it says of errors we say ourselves.
            quiet = logging.getLogger("detector.kafka")
            quiet.propagate = False
            quiet.addHandler(logging.NullHandler())
            wanted = {
                **kafka.connection_settings(self.config),
                "group.id": "detector-watch",  # librdkafka wants one; it is never joined
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": PREFETCH_KIB,
                "error_cb": self._record_error,
            }
            self._consumer = Consumer(wanted, logger=quiet)
        return self._consumer

    def _record_error(self, error: Any) -> None:
        words = " ".join(error.str().split())
        if words != self._last_error:
            self.notices.append(f"{self.name}: {words}")
        self._last_error = words

    def poll(self, seconds: float = 0.0) -> bool:
        """Hands what came in to its partitions; whether something did."""
        from confluent_kafka import KafkaError

        found = self._open_consumer().consume(MESSAGES_PER_POLL, seconds)
        for message in found:
            error = message.error()
            partition = self._partitions[message.partition() or 0]
            if error is None:
                partition.add(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
                partition.mark_end()
            elif error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001
                partition.handle_out_of_range()
            else:
                self._record_error(error)
        if found:
            self._silent_seconds, self._last_error = 0.0, ""
        return bool(found)

    def wait_for_messages(self) -> None:
        """Waits for more. Raises InputError where the broker is silent for long."""
        if not self.poll(POLL_SECONDS):
            self._silent_seconds += POLL_SECONDS
        if self._silent_seconds > BROKER_TIMEOUT:
            what = f"no answer ({self._last_error or 'it is silent'})"
            raise InputError(what, where=self.name, hint="is the broker up?")

    def offset_bounds(self, number: int) -> tuple[int, int]:
        """The first offset of a partition, and the one after its last. Raises InputError."""
        from confluent_kafka import KafkaException

        try:
            low, high = self._open_consumer().get_watermark_offsets(
                self._topic_partition(number), timeout=BROKER_TIMEOUT
            )
        except KafkaException as error:
            what = f"no answer ({error.args[0].str()})"
            raise InputError(what, where=self.name, hint="is the broker up?") from None
        return int(low), int(high)

    def end_offset(self, number: int) -> int:
        """The offset after a partition's last, as far as it is known."""
        found = self._open_consumer().get_watermark_offsets(
            self._topic_partition(number), cached=True
        )
        return int(found[1]) if found else 0

    def _topic_partition(self, number: int, offset: int | None = None) -> Any:
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        topic = kafka.split_address(self.config)[1]
        return TopicPartition(topic, number, OFFSET_BEGINNING if offset is None else offset)

    def assign(self, number: int, offset: int | None) -> None:
        """Fetches a partition from an offset on, None from its first."""
        self._open_consumer().incremental_assign([self._topic_partition(number, offset)])

    def unassign(self, number: int) -> None:
        """Fetches it no more."""
        self._open_consumer().incremental_unassign([self._topic_partition(number)])

    def pause(self, number: int) -> None:
        """Fetches no more of it for now."""
        self._open_consumer().pause([self._topic_partition(number)])

    def resume(self, number: int) -> None:
        """Fetches again."""
        self._open_consumer().resume([self._topic_partition(number)])

    def close(self) -> None:
        """Lets the brokers go."""
        self.is_closed = True
        if self._consumer is not None:
            self._consumer.close()
