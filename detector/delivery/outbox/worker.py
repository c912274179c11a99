"""One sink's queue: batch after batch, until nothing waits or the sink does not take more."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from detector.delivery.outbox import admin
from detector.delivery.outbox.backoff import pause, seconds_until_due
from detector.delivery.outbox.store import Entry, Outbox, RefusedAlert, SinkState
from detector.delivery.routing import Route
from detector.delivery.sink import (
    MAX_MESSAGE,
    Deferral,
    Delivery,
    Item,
    Outcome,
    Refusal,
    Send,
    Unreachable,
    repeat_outcome,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a sink got, and what it did not; ``words`` are the server's."""

    name: str
    delivered: int
    waiting: int
    aside: int
    words: str
    next_try: float


class SinkWorker:
    """Sends one route's alerts from the outbox. Not for several threads."""

    def __init__(
        self, box: Outbox, route: Route, chance: random.Random, stop: threading.Event
    ) -> None:
        self._box = box
        self._route = route
        self._chance = chance
        self._stop = stop
        self._open = ExitStack()
        self._send: Send | None = None
        self._most = route.batch
        self._delivered = 0
        self._said = ""

    def run(self, deadline: float, *, waits: bool) -> Report:
        """Until nothing waits; until the sink is not due, unless ``waits``; until ``deadline``.

        ``deadline`` is on the monotonic clock. What is under way then is still finished.
        """
        name = self._route.name
        with self._open:
            while not self._stop.is_set():
                self._box.skip_below(name, self._route.config.minimum_severity)
                now = time.time()
                later = seconds_until_due(self._box.state(name).next_try, now)
                batch = [] if later else self._next_batch(now)
                if batch:
                    self._send_batch(batch)
                elif not later:
                    held = self._box.next_retry(name, now)
                    if held is None:
                        break
                    later = seconds_until_due(held, now)
                left = deadline - time.monotonic()
                if left <= 0 or (later and (not waits or later > left)):
                    break
                self._stop.wait(later)
        return self._report()

    def _next_batch(self, now: float) -> list[Entry]:
        return self._box.next_batch(
            self._route.name, self._most, now, apart=self._route.sink.has_item_outcomes
        )

    def _send_batch(self, batch: Sequence[Entry]) -> None:
        """Sends a batch and keeps what became of it."""
        items = [Item(entry.alert, self._route.format.encode(entry.alert)) for entry in batch]
        outcomes = self._try_send(items)
        if len(batch) > 1 and all(isinstance(each, Refusal) for each in outcomes):
            # A receiver that takes or refuses a batch as a whole does not say which alert it was:
            # halves of halves find it, and nothing counts as refused until it stands alone.
            self._most = max(1, len(batch) // 2)
            return
        self._most = min(self._route.batch, self._most * 2)
        self._record_outcomes(batch, outcomes)

    def _try_send(self, items: Sequence[Item]) -> list[Outcome]:
        try:
            if self._send is None:
                opened = self._route.sink.open(self._route.config, self._route.format)
                self._send = self._open.enter_context(opened)
            return self._send(items)
        except Unreachable as error:
            self._send = None
            self._open.close()
            return repeat_outcome(items, error.later)

    def _record_outcomes(self, batch: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        now = time.time()
        delivered, held, late = [], [], []
        for entry, outcome in zip(batch, outcomes, strict=True):
            self._said = outcome.message[:MAX_MESSAGE] or self._said
            if isinstance(outcome, Delivery):
                delivered.append(entry.seq)
            elif isinstance(outcome, Refusal):
                aside = entry.refusals + 1 >= self._route.config.refusals
                again = now + pause(entry.refusals + 1, None, self._chance)
                held.append(RefusedAlert(entry.seq, outcome.message[:MAX_MESSAGE], again, aside))
            else:
                late.append(outcome)
        state = self._next_state(late, some=bool(delivered), now=now)
        self._box.record_outcomes(self._route.name, delivered, held, state)
        self._delivered += len(delivered)

    def _next_state(self, late: Sequence[Deferral], *, some: bool, now: float) -> SinkState:
        """The sink's state after a batch of which ``late`` are for another time."""
        if not late:
            return SinkState()
        before = 0 if some else self._box.state(self._route.name).attempts
        asked = max((each.retry_after or 0.0 for each in late), default=0.0)
        rest = pause(before + 1, asked, self._chance)
        return SinkState(before + 1, now + rest, late[0].message[:MAX_MESSAGE])

    def _report(self) -> Report:
        name = self._route.name
        known = {count.sink: count for count in admin.counts(self._box)}
        found = known.get(name)
        if found is None:
            return Report(name, self._delivered, 0, 0, self._said, 0.0)
        next_try = found.next_try or self._box.next_retry(name, time.time()) or 0.0
        words = found.words if found.waiting else self._said
        return Report(name, self._delivered, found.waiting, found.aside, words, next_try)
