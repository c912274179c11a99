"""Sends what waits: each sink in a thread of its own, in order, at its own pace."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detector.core import locks
from detector.delivery.outbox.store import Outbox
from detector.delivery.outbox.worker import Report, SinkWorker
from detector.delivery.routing import Route

LOCK: Final = "deliver.lock"


@dataclass(frozen=True, slots=True)
class DeliveryTimeout:
    """Seconds until no new batch is begun, and whether to wait for sinks that are not due."""

    seconds: float
    waits_for_retries: bool = False


def deliver(
    folder: Path, routes: Sequence[Route], patience: DeliveryTimeout
) -> list[Report] | None:
    """Delivers what the outbox in ``folder`` has for ``routes``; None where another process does.

    One at a time: two would send the alerts of an entity in any order.
    """
    # Whoever delivers from this folder is alone.
    with locks.holding(folder / LOCK) as alone:
        if not alone:
            return None
        stop = threading.Event()
        deadline = time.monotonic() + patience.seconds

        def work(route: Route) -> Report:
            with Outbox.open(folder, create=False) as box:
                drain = SinkWorker(box, route, random.Random(), stop)  # noqa: S311 - jitter, no secret
                return drain.run(deadline, waits=patience.waits_for_retries)

        with ThreadPoolExecutor(max(1, len(routes)), "sink") as pool:
            tasks = [pool.submit(work, route) for route in routes]
            try:
                wait(tasks)
            finally:
                stop.set()  # someone pressed a key: what is under way is finished, no more begun
        reports = [task.result() for task in tasks]
        with Outbox.open(folder, create=False) as box:
            box.prune()
        return reports
