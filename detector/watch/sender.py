"""Sends alerts while the watcher goes on: a thread that wakes when there is something to send."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from detector.core.errors import DetectorError
from detector.delivery.outbox.scheduler import DeliveryTimeout, deliver
from detector.delivery.routing import Route

#: Seconds after which sinks that were not due are tried again.
RETRY_SECONDS: Final = 2.0
#: Seconds of one delivery, and of the last one.
DELIVERY_SECONDS: Final = 30.0
FINAL_SECONDS: Final = 10.0


class Sender:
    """Of one outbox. As a context: a thread that ends, after a last delivery, with it."""

    def __init__(self, folder: Path, routes: Sequence[Route], say: Callable[[str], None]) -> None:
        self._folder = folder
        self._routes = routes
        self._say = say
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="sending", daemon=True)

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def update_routes(self, routes: Sequence[Route]) -> None:
        """From the next delivery on, to these sinks."""
        self._routes = routes
        if routes and not self._thread.is_alive():
            self._thread.start()
        self.wake()

    def __enter__(self) -> Self:
        if self._routes:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(FINAL_SECONDS + DELIVERY_SECONDS)

    def _run(self) -> None:
        words = ""
        while not self._stop:
            self._wake.wait(RETRY_SECONDS)
            self._wake.clear()
            said = self._deliver_once(FINAL_SECONDS if self._stop else DELIVERY_SECONDS)
            if said and said != words:
                self._say(said)
            words = said
        self._deliver_once(FINAL_SECONDS)

    def _deliver_once(self, seconds: float) -> str:
        """What could not be sent, in words."""
        if not self._routes:
            return ""
        try:
            reports = deliver(self._folder, self._routes, DeliveryTimeout(seconds)) or []
        except DetectorError as error:
            return str(error)
        return "; ".join(
            f"{report.name}: {report.waiting} waiting, {report.aside} dead letters: {report.words}"
            for report in reports
            if report.waiting or report.aside
        )
