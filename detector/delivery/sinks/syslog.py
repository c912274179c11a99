"""``syslog+udp|tcp|tls://``: RFC 5424 messages to a syslog server.

TCP and TLS count octets (RFC 6587, section 3.4.1; RFC 5425, section 4.3), or where ``framing`` says
so, end each message by a newline (RFC 6587, section 3.4.2). Syslog has no receipts,
so each batch has a connection of its own, whose end tells whether the server has read all of it
(see ``detector.delivery.tcp``). UDP (RFC 5426) has not even that: what is lost is lost.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from detector.core.errors import SettingsError
from detector.delivery import tcp, tls
from detector.delivery.config import SinkConfig
from detector.delivery.format import Format
from detector.delivery.sink import (
    Delivery,
    Item,
    Outcome,
    Refusal,
    Send,
    Sink,
    Unreachable,
    repeat_outcome,
)
from detector.delivery.syslog_header import wrap_record
from detector.delivery.truncation import SYSLOG_BYTES, fit_record

PORTS: Final = {"syslog+udp": 514, "syslog+tcp": 514, "syslog+tls": 6514}
#: How messages are told apart on a stream; the first is the default.
NEWLINE: Final = "newline"
FRAMINGS: Final = ("", "octets", NEWLINE)
#: The largest datagram of UDP over IPv4, bytes.
MAX_DATAGRAM: Final = 65_507


def check(target: SinkConfig, form: Format) -> None:
    """There is a host, and certificates only for TLS."""
    del form
    if not target.host:
        raise SettingsError("a syslog url has no host", hint="such as syslog+tls://siem.example")
    if target.framing not in FRAMINGS:
        what = f"framing = {target.framing!r} must be one of {', '.join(filter(None, FRAMINGS))}"
        raise SettingsError(what, hint="newline for servers that do not count octets")
    if target.framing and target.scheme == "syslog+udp":
        raise SettingsError("framing is for TCP and TLS", hint="a datagram is a message")
    if target.scheme != "syslog+tls" and (target.ca or target.cert):
        raise SettingsError("certificates are for syslog+tls:// alone", hint="use that scheme")


@contextmanager
def open_(target: SinkConfig, form: Format) -> Iterator[Send]:
    """Connects with each batch."""
    address = (target.host, target.port(PORTS[target.scheme]))
    secured = tls.context(target) if target.scheme == "syslog+tls" else None
    frame = frame_by_newline if target.framing == NEWLINE else frame_by_octets

    def send(items: Sequence[Item]) -> list[Outcome]:
        messages = [_encode_message(item, form) for item in items]
        try:
            if target.scheme == "syslog+udp":
                return _send_datagrams(messages, address, target.timeout)
            tcp.deliver(frame(messages), address, target.timeout, secured)
        except OSError as error:
            raise Unreachable(tls.error_text(error)) from error
        return repeat_outcome(items, Delivery())

    yield send


def _encode_message(item: Item, form: Format) -> bytes:
    """The whole message. One of JSON is cut to what servers take of a message by default."""
    if form.is_syslog:
        return item.payload
    message = wrap_record(item.payload, item.alert)
    if not form.is_json or len(message) <= SYSLOG_BYTES:
        return message
    room = SYSLOG_BYTES - (len(message) - len(item.payload))
    return wrap_record(fit_record(item.alert, form.encode, room), item.alert)


def frame_by_newline(messages: Sequence[bytes]) -> bytes:
    """A line for each (RFC 6587, section 3.4.2): no record holds a line break."""
    return b"".join(message + b"\n" for message in messages)


def frame_by_octets(messages: Sequence[bytes]) -> bytes:
    """``MSG-LEN SP SYSLOG-MSG`` for each (RFC 6587, section 3.4.1)."""
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


def _send_datagrams(
    messages: Sequence[bytes], address: tuple[str, int], timeout: float
) -> list[Outcome]:
    """Each may be too large; a server that is not there is seen with luck, a message later."""
    outcomes: list[Outcome] = []
    family, kind, protocol, _, where = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as line:
        line.settimeout(timeout)
        line.connect(where)
        for message in messages:
            if len(message) > MAX_DATAGRAM:
                outcomes.append(Refusal(f"{len(message):,} bytes are too many for UDP"))
                continue
            line.send(message)
            outcomes.append(Delivery())
    return outcomes


SINK: Final = Sink(
    "syslog", "RFC 5424 messages over UDP, TCP or TLS", tuple(PORTS), open_, check, "rfc5424",
    keys=tls.KEYS | {"framing"}, batch=500,
)  # fmt: skip
