"""Alerts, routes and receivers made up for tests of sinks and of the outbox."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from detector import registry
from detector.feed.route import Route, routes
from detector.feed.sink import Item, Outcome, Sink, Unreachable
from detector.feed.trial import trial

MOMENT = datetime(2024, 2, 5, 12, tzinfo=UTC)


def made(number: int, entity: str = "", **other: Any) -> dict[str, Any]:
    """The alert of this number, with every key of a real one."""
    identity = hashlib.sha256(f"{number}".encode()).hexdigest()[:20]
    own = {"id": identity, "incident": identity, "entity": entity or f"account {number}"}
    return {**trial(MOMENT), **own, "rows": number, **other}


def item(number: int, payload: bytes = b"", **other: Any) -> Item:
    alert = made(number, **other)
    return Item(alert, payload or registry.formats()["native"].encode(alert))


def route(url: str, **table: Any) -> Route:
    """As from one table of [[sinks]]."""
    (found,) = routes([{"url": url, **table}], [], registry.sinks(), registry.formats())
    return found


def ids(items: Sequence[Item]) -> list[str]:
    return [each.alert["id"] for each in items]


@dataclass
class Scripted:
    """A sink that does what it is told: ``answer(items)`` gives outcomes or raises Unreachable."""

    answer: Callable[[Sequence[Item]], list[Outcome]]
    apart: bool = False
    batch: int = 10
    got: list[list[str]] = field(default_factory=list)
    opened: int = 0

    def route(self, name: str = "scripted", **table: Any) -> Route:
        @contextmanager
        def open_(_target, _form) -> Iterator[Any]:
            self.opened += 1
            yield self.send

        sink = Sink(
            "scripted", "for tests", ("scripted",), open_, lambda *_: None,
            batch=self.batch, apart=self.apart,
        )  # fmt: skip
        tables = [{"url": "scripted://here", "name": name, **table}]
        (found,) = routes(tables, [], {"scripted": sink}, registry.formats())
        return found

    def send(self, items: Sequence[Item]) -> list[Outcome]:
        outcomes = self.answer(items)
        self.got.append(ids(items))
        return outcomes


def down(_items: Sequence[Item]) -> list[Outcome]:
    raise Unreachable("Connection refused")


@dataclass
class Got:
    """A request as the receiver saw it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """``close`` ends the connection after so many bytes of the body; -1: without an answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    close: int | None = None


class Receiver:
    """A real HTTP server on loopback; ``answer(got)`` decides what it says."""

    def __init__(self, answer: Callable[[Got], Answer]) -> None:
        self.answer = answer
        self.got: list[Got] = []
        self.url = ""


@contextmanager
def receiving(
    answer: Callable[[Got], Answer] = lambda _got: Answer(), tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    receiver = Receiver(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.respond()

        do_GET = do_PUT = do_HEAD = do_POST  # noqa: N815

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Got(self.path, headers, body)
            receiver.got.append(got)
            said = receiver.answer(got)
            if said.close == -1:
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body[: said.close])
            if said.close is not None:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    server.block_on_close = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
