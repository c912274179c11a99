"""``syslog+udp|tcp|tls://``: RFC 5424 messages to a syslog server.

TCP and TLS count octets (RFC 6587, section 3.4.1; RFC 5425, section 4.3). Syslog has no receipts,
so each batch has a connection of its own, whose end tells whether the server has read all of it
(see ``detector.feed.stream``). UDP (RFC 5426) has not even that: what is lost is lost.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from detector.errors import SettingsError
from detector.feed import stream, tls
from detector.feed.format import Format
from detector.feed.sink import (
    Delivered,
    Item,
    Outcome,
    Refused,
    Send,
    Sink,
    Unreachable,
    all_of,
)
from detector.feed.syslog import framed
from detector.feed.target import Target

PORTS: Final = {"syslog+udp": 514, "syslog+tcp": 514, "syslog+tls": 6514}
#: The largest datagram of UDP over IPv4, bytes.
DATAGRAM: Final = 65_507


def check(target: Target, form: Format) -> None:
    """There is a host, and certificates only for TLS."""
    del form
    if not target.host:
        raise SettingsError("a syslog url has no host", hint="such as syslog+tls://siem.example")
    if target.scheme != "syslog+tls" and (target.ca or target.cert):
        raise SettingsError("certificates are for syslog+tls:// alone", hint="use that scheme")


@contextmanager
def open_(target: Target, form: Format) -> Iterator[Send]:
    """Connects with each batch."""
    address = (target.host, target.port(PORTS[target.scheme]))
    secured = tls.context(target) if target.scheme == "syslog+tls" else None

    def send(items: Sequence[Item]) -> list[Outcome]:
        messages = [i.payload if form.is_syslog else framed(i.payload, i.alert) for i in items]
        try:
            if target.scheme == "syslog+udp":
                return _datagrams(messages, address, target.timeout)
            stream.deliver(counted(messages), address, target.timeout, secured)
        except OSError as error:
            raise Unreachable(tls.said(error)) from error
        return all_of(items, Delivered())

    yield send


def counted(messages: Sequence[bytes]) -> bytes:
    """``MSG-LEN SP SYSLOG-MSG`` for each (RFC 6587, section 3.4.1)."""
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


def _datagrams(
    messages: Sequence[bytes], address: tuple[str, int], timeout: float
) -> list[Outcome]:
    """Each may be too large; a server that is not there is seen with luck, a message later."""
    outcomes: list[Outcome] = []
    family, kind, protocol, _, where = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as line:
        line.settimeout(timeout)
        line.connect(where)
        for message in messages:
            if len(message) > DATAGRAM:
                outcomes.append(Refused(f"{len(message):,} bytes are too many for UDP"))
                continue
            line.send(message)
            outcomes.append(Delivered())
    return outcomes


SINK: Final = Sink(
    "syslog", "RFC 5424 messages over UDP, TCP or TLS", tuple(PORTS), open_, check, "rfc5424",
    keys=tls.KEYS, batch=500,
)  # fmt: skip
