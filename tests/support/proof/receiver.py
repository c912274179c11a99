"""A receiver in a process of its own, which is slow, says no, or breaks off, as its dice fall."""

from __future__ import annotations

import contextlib
import email
import json
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from email import policy
from pathlib import Path
from typing import Any

from receivers.elastic import HEADERS, Cluster
from receivers.mailbox import ACCEPTED, mailbox
from receivers.splunk import Collector
from receivers.web import Answer, Got, receiving

from proof.story import noted

#: Of the seven things a request may meet (see ``Moods.meet``), how often each.
WEIGHTS = (10, 2, 1, 1, 1, 1, 1)


class Notes:
    """What arrived, on disk before it is answered."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, *records: bytes) -> None:
        """One write: what is killed has noted all of it, or nothing."""
        os.write(self._file, "".join(f"{noted(record)}\n" for record in records).encode())


class Moods:
    """Of an HTTP server. ``ill`` false: it does all that is asked."""

    def __init__(self, seed: int, *, ill: bool) -> None:
        self._chance = random.Random(seed)
        self._ill = ill
        self._lock = threading.Lock()

    def meet(self) -> str:
        """What becomes of this request."""
        with self._lock:
            names = ("well", "slow", "429", "500", "closes", "takes and closes", "takes, half")
            return self._chance.choices(names, WEIGHTS)[0] if self._ill else "well"

    def pause(self, most: float) -> None:
        """A moment, of at most so many seconds."""
        with self._lock:
            seconds = self._chance.random() * most
        time.sleep(seconds)

    def web(self, answer: Callable[[Got], Answer]) -> Callable[[Got], Answer]:
        """An answer that may go wrong."""

        def moody(got: Got) -> Answer:
            mood = self.meet()
            if mood == "slow":
                self.pause(0.1)
            if mood == "429":
                return Answer(429, b"slow down", {**HEADERS, "retry-after": "0"})
            if mood == "500":
                return Answer(500, b"broken", dict(HEADERS))
            if mood == "closes":
                return Answer(close=-1)
            said = answer(got)
            if mood == "takes and closes":
                return Answer(close=-1)
            if mood == "takes, half" and said.body:
                said.close = len(said.body) // 2
            return said

        return moody


def webhook(notes: Notes, moods: Moods, port: int) -> None:
    def answer(got: Got) -> Answer:
        notes.note(*got.body.splitlines())
        return Answer(200, b"thank you")

    _serve(moods.web(answer), port)


def splunk(notes: Notes, moods: Moods, port: int) -> None:
    """Receipts are forgotten when it is killed, as a restarted Splunk forgets them."""

    def index(event: dict[str, Any]) -> None:
        notes.note(json.dumps(event["event"]).encode())

    _serve(moods.web(Collector(index).answer), port)


def elastic(notes: Notes, moods: Moods, port: int, known: set[str]) -> None:
    """Single items are rejected, too."""

    def create(_identity: str, document: dict[str, Any]) -> None:
        notes.note(json.dumps(document).encode())

    def judge(*_: Any) -> tuple[int, str, str] | None:
        full = moods.meet() == "429"
        return (429, "es_rejected_execution_exception", "queue is full") if full else None

    lock, cluster = threading.Lock(), Cluster(create, judge, known)

    def answer(got: Got) -> Answer:
        with lock:
            return cluster.answer(got)

    _serve(moods.web(answer), port)


def _serve(answer: Callable[[Got], Answer], port: int) -> None:
    with receiving(answer, port=port):
        threading.Event().wait()


def mail(notes: Notes, moods: Moods, port: int) -> None:
    def take(content: bytes) -> str:
        mood = moods.meet()
        if mood in {"429", "500"}:
            return "451 try again later"
        if mood == "closes":
            return "421 closing"
        message = email.message_from_bytes(content, policy=policy.default)
        (attached,) = message.iter_attachments()
        notes.note(*attached.get_content().splitlines())
        return "451 or was it" if mood == "takes and closes" else ACCEPTED

    with mailbox(take, port=port):
        threading.Event().wait()


def syslog(notes: Notes, moods: Moods, port: int) -> None:
    """Takes a message out of the connection once it is noted: what it was sent and had not noted
    when it dies, TCP resets. (A server that reads ahead loses what it had read.)
    """

    def serve(line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            while seen := line.recv(1 << 16, socket.MSG_PEEK):
                mood = moods.meet()
                if mood == "slow":
                    moods.pause(0.1)
                if mood == "closes":
                    return
                whole, messages = frames(seen)
                if not messages:
                    time.sleep(0.001)
                    continue
                notes.note(*messages)
                if mood == "takes and closes":
                    return
                line.recv(whole)

    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            line, _ = listening.accept()
            threading.Thread(target=serve, args=(line,), daemon=True).start()


def frames(data: bytes) -> tuple[int, list[bytes]]:
    """Whole messages at the beginning of a stream (RFC 6587), as records, and their length."""
    at, found = 0, []
    while True:
        space = data.find(b" ", at)
        if space < 0 or not data[at:space].isdigit():
            return at, found
        end = space + 1 + int(data[at:space])
        if end > len(data):
            return at, found
        message = data[space + 1 : end]
        found.append(message[message.index(b"{") :])
        at = end


RECEIVERS = {"webhook": webhook, "splunk": splunk, "syslog": syslog, "mail": mail}


def receive(name: str, port: int, arrived: Path, seed: int, *, ill: bool) -> None:
    """Until it is killed."""
    notes, moods = Notes(arrived), Moods(seed, ill=ill)
    if name == "elastic":
        lines = arrived.read_text(encoding="utf-8").splitlines()
        elastic(notes, moods, port, {line.split()[0] for line in lines})
    else:
        RECEIVERS[name](notes, moods, port)
