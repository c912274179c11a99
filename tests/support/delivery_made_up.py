"""Alerts, routes and receivers made up for tests of sinks and of the outbox."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from detector import registry
from detector.delivery.routing import Route, build_routes
from detector.delivery.sink import Item, Outcome, Sink, Unreachable
from detector.delivery.test_alert import build_test_alert

MOMENT = datetime(2024, 2, 5, 12, tzinfo=UTC)


def made(number: int, entity: str | None = None, **other: Any) -> dict[str, Any]:
    """The alert of this number, with every key of a real one."""
    identity = hashlib.sha256(f"{number}".encode()).hexdigest()[:20]
    name = f"account {number}" if entity is None else entity
    own = {"id": identity, "alert": identity, "incident": identity, "entity": name}
    return {**build_test_alert(MOMENT), **own, "rows": number, **other}


def item(number: int, payload: bytes = b"", **other: Any) -> Item:
    alert = made(number, **other)
    return Item(alert, payload or registry.formats()["native"].encode(alert))


def route(url: str, **table: Any) -> Route:
    """As from one table of [[sinks]]; in the native format unless it says otherwise."""
    (found,) = build_routes(
        [{"url": url, "format": "native", **table}], [], registry.sinks(), registry.formats()
    )
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
            "scripted", "for tests", ("scripted",), open_, lambda *_: None, "native",
            batch=self.batch, has_item_outcomes=self.apart,
        )  # fmt: skip
        tables = [{"url": "scripted://here", "name": name, **table}]
        (found,) = build_routes(tables, [], {"scripted": sink}, registry.formats())
        return found

    def send(self, items: Sequence[Item]) -> list[Outcome]:
        outcomes = self.answer(items)
        self.got.append(ids(items))
        return outcomes


def down(_items: Sequence[Item]) -> list[Outcome]:
    raise Unreachable("Connection refused")
