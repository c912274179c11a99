"""A TCP or TLS stream that is closed so that the sender learns whether all of it was read.

For protocols without receipts. We close first, and wait for the receiver to close in order: what it
had not read by then, its TCP would have reset (RFC 9293, section 3.10.4).
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Final

#: ``tcpi_state`` of a connection that is over (linux/tcp_states.h).
TCP_CLOSE: Final = 7
POLL_SECONDS: Final = 0.002
BLOCK_SIZE: Final = 1 << 16


def deliver(
    data: bytes, address: tuple[str, int], timeout: float, secured: ssl.SSLContext | None
) -> None:
    """Connects, sends and closes. Raises OSError (ssl.SSLError is one) unless all was read.

    ``timeout`` is that of each step, in seconds.
    """
    with socket.create_connection(address, timeout) as line:
        if secured is None:
            line.sendall(data)
            _close(line, timeout)
            return
        tunnel = TlsStream(line, secured, address[0])
        tunnel.handshake()
        try:
            tunnel.send(data)
            tunnel.send_close_notify()
            said = _close(line, timeout)
        except ConnectionError:
            tunnel.check_reply(_read_pending(line))  # such as that it wants a certificate
            raise
        tunnel.check_reply(said)


class TlsStream:
    """TLS over a socket that stays ours: Python's own wraps errors of the connection away."""

    def __init__(self, line: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._line = line
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)

    def handshake(self) -> None:
        """Checks the certificate and the host's name. Raises OSError."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._read()
            else:
                break
        self._flush()

    def send(self, data: bytes) -> None:
        """Raises OSError. The answers of servers that have none, such as tickets, wait."""
        for start in range(0, len(data), BLOCK_SIZE):
            self._tls.write(data[start : start + BLOCK_SIZE])
            self._flush()

    def send_close_notify(self) -> None:
        """Sends a close_notify (RFC 8446, section 6.1), so that nobody else can end the stream."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            self._flush()

    def check_reply(self, data: bytes) -> None:
        """The server's last words. Raises ssl.SSLError where it complains.

        Some answer with a close_notify; some, such as rsyslog, with nothing.
        """
        self._in.write(data)
        self._in.write_eof()
        try:
            while self._tls.read(BLOCK_SIZE):
                pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass

    def _read(self) -> None:
        data = self._line.recv(BLOCK_SIZE)
        if not data:
            raise ConnectionResetError(104, "the server closed during the handshake")
        self._in.write(data)

    def _flush(self) -> None:
        self._line.sendall(self._out.read())


def _read_pending(line: socket.socket) -> bytes:
    """What arrived before the connection broke."""
    try:
        return line.recv(BLOCK_SIZE, socket.MSG_DONTWAIT)
    except OSError:
        return b""


def _close(line: socket.socket, timeout: float) -> bytes:
    """Half closes and waits for the server to do the same; what it still said. Raises OSError.

    A server that dies before our data reaches it closes in order too, and resets afterwards: so
    that the connection is over, and without an error, is what counts.
    """
    line.shutdown(socket.SHUT_WR)
    until = time.monotonic() + timeout
    said = b""
    while part := line.recv(BLOCK_SIZE):
        said += part
        if time.monotonic() > until or len(said) > BLOCK_SIZE:
            raise TimeoutError
    while line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_CLOSE:
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(POLL_SECONDS)
    if error := line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise ConnectionResetError(error, "the server closed before it had read all")
    return said
