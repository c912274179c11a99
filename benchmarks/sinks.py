"""The jobs of the section sinks, each in a process of its own.

    python -m benchmarks.sinks JOB COUNT SCRATCH

Jobs: ``plain`` writes the alerts as NDJSON and flushes them to the disk; ``put`` puts them into the
outbox, all in one transaction; the others, named as in the proof, deliver what was put, in the
sink's own batches, to a receiver on loopback that does all it is asked. Prints one JSON object: how
many alerts, and how many a second.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from proof.receiver import receive
from proof.run import forked, gone, mock_kafka
from proof.story import SERVED, Place, alert

from detector.delivery.outbox.scheduler import DeliveryTimeout, deliver
from detector.delivery.outbox.store import Outbox
from detector.delivery.routing import Route
from simulation.loopback import free_port


def plain(alerts: list[dict[str, object]], scratch: Path) -> float:
    """The floor: the same alerts as lines of a file."""
    began = time.perf_counter()
    with (scratch / "plain.ndjson").open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(each)}\n" for each in alerts)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


def put(alerts: list[dict[str, object]], scratch: Path, name: str = "file") -> float:
    began = time.perf_counter()
    with Outbox.open(scratch / "outbox", [name]) as box:
        box.put(alerts, {})
    return time.perf_counter() - began


def sent(alerts: list[dict[str, object]], scratch: Path, name: str) -> float:
    """Seconds of the delivery alone."""
    place, children = served(scratch, name)
    put(alerts, scratch, name)
    (route,) = [each for each in place.routes() if each.name == name]
    whole = Route(route.name, usual(route), route.sink, route.format)
    try:
        began = time.perf_counter()
        (report,) = deliver(place.outbox, [whole], DeliveryTimeout(3600)) or ()
        took = time.perf_counter() - began
    finally:
        for child in children:
            gone(child)
    if report.delivered != len(alerts):
        sys.exit(f"benchmarks sinks: {name} delivered {report.delivered}: {report.words}")
    return took


def usual(route: Route) -> object:
    """The proof's batches are small on purpose; here they are the sink's own."""
    from dataclasses import replace

    return replace(route.config, batch=0, timeout=10.0, rotate_bytes=0)


def served(scratch: Path, name: str) -> tuple[Place, list[int]]:
    """The receiver that a sink needs, running."""
    ports = {each: free_port() for each in SERVED}
    if name == "kafka":
        address = scratch / "brokers"
        children = [forked(mock_kafka, address)]
        while not address.exists():
            time.sleep(0.02)
        return Place(scratch, ports, address.read_text(encoding="utf-8")), children
    place = Place(scratch, ports, "127.0.0.1:9")
    if name not in SERVED:
        return place, []
    place.arrivals(name).touch()
    children = [forked(receive, name, ports[name], place.arrivals(name), 1, ill=False)]
    time.sleep(1.0)
    return place, children


def main() -> int:
    job, count, scratch = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    alerts = [alert(1, number) for number in range(count)]
    if job == "plain":
        took = plain(alerts, scratch)
    elif job == "put":
        took = put(alerts, scratch)
    else:
        took = sent(alerts, scratch, job)
    told = {"events": count, "job_s": round(took, 3), "alerts_a_second": round(count / took)}
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
