"""Rounds of misfortune, and then the count: see tests/support/prove_delivery."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from detector import registry
from detector.delivery.outbox import backoff
from detector.delivery.outbox.scheduler import DeliveryTimeout, deliver
from detector.delivery.outbox.store import Outbox
from proof.receiver import receive
from proof.story import SERVED, Place, alert, in_file, noted
from simulation.loopback import free_port

#: Seconds of a round, and after which the last delivery is given up.
SHORTEST, LONGEST = 0.2, 1.6
LAST = 600.0


def forked(work: Callable[..., None], *arguments: object, **options: object) -> int:
    """A process of its own, with all that is imported here; its id."""
    child = os.fork()
    if child:
        return child
    try:
        work(*arguments, **options)
    finally:
        os._exit(0)


def gone(child: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Kills a child, if it has not ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGCONT)
        os.kill(child, how)
    os.waitpid(child, 0)


def detect(place: Place, seed: int, until: int, chance_seed: int) -> None:
    """The detector: puts alerts from where it was to ``until``, and delivers meanwhile."""
    backoff.FIRST_PAUSE, backoff.MAX_PAUSE = 0.02, 0.3  # type: ignore[misc]  # so that hours pass in seconds
    chance = random.Random(chance_seed)
    routes = place.routes()
    names = [route.name for route in routes]
    more = threading.Event()

    def raise_alerts() -> None:
        with Outbox.open(place.outbox, names) as box:
            number = int(box.progress().get("next", "0"))
            while number < until:
                end = min(until, number + chance.randint(1, 9))
                box.put([alert(seed, n) for n in range(number, end)], {"next": str(end)})
                number = end
                time.sleep(chance.random() * 0.02)
        more.set()

    with Outbox.open(place.outbox, names):
        pass
    threading.Thread(target=raise_alerts, daemon=True).start()
    last = time.monotonic() + LAST
    while time.monotonic() < last:
        ended = more.is_set()
        reports = deliver(place.outbox, routes, DeliveryTimeout(1.0, waits_for_retries=True))
        if ended and reports and not any(report.waiting for report in reports):
            return


class Receivers:
    """The processes that receive, and what befalls them."""

    def __init__(self, place: Place, chance: random.Random) -> None:
        self._place = place
        self._chance = chance
        self._running: dict[str, int] = {}
        for name in SERVED:
            place.arrivals(name).touch()

    def start(self, name: str, *, ill: bool = True) -> None:
        """Unless it runs."""
        if name not in self._running:
            place = self._place
            self._running[name] = forked(
                receive, name, place.ports[name], place.arrivals(name),
                self._chance.randrange(10**9), ill=ill,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """At once."""
        if name in self._running:
            gone(self._running.pop(name))

    def signal(self, name: str, what: signal.Signals) -> None:
        """Stops it, so that it hangs, or lets it go on."""
        if name in self._running:
            os.kill(self._running[name], what)


def play(
    place: Place, receivers: Receivers, kafka: int, rounds: int, alerts: int, seed: int
) -> Counter[str]:
    """All rounds; how often what happened."""
    chance = random.Random(seed)
    told: Counter[str] = Counter()
    for number in range(1, rounds + 1):
        for name in SERVED:
            receivers.start(name)
        until = alerts * number // rounds
        detector = forked(detect, place, seed, until, chance.randrange(10**9))
        _misfortunes(receivers, kafka, chance, told)
        if chance.random() < 0.85:
            gone(detector)
            told["detector killed"] += 1
            _tear(place, chance, told)
        else:
            gone(detector, signal.SIGTERM)
        if number % 20 == 0:
            print(f"round {number} of {rounds}", file=sys.stderr)
    return told


def _misfortunes(
    receivers: Receivers, kafka: int, chance: random.Random, told: Counter[str]
) -> None:
    """One round's: each receiver may be killed, or hang, for a while."""
    length = chance.uniform(SHORTEST, LONGEST)
    events: list[tuple[float, Callable[[], None]]] = []
    for name in SERVED:
        begin, end = sorted(chance.uniform(0, length) for _ in range(2))
        fate = chance.random()
        if fate < 0.4:
            told[f"{name} killed"] += 1
            events.append((begin, lambda name=name: receivers.kill(name)))
            events.append((end, lambda name=name: receivers.start(name)))
        elif fate < 0.6:
            told[f"{name} hung"] += 1
            events.append((begin, lambda name=name: receivers.signal(name, signal.SIGSTOP)))
            events.append((end, lambda name=name: receivers.signal(name, signal.SIGCONT)))
    if chance.random() < 0.3:
        told["kafka hung"] += 1
        begin, end = sorted(chance.uniform(0, length) for _ in range(2))
        events.append((begin, lambda: os.kill(kafka, signal.SIGSTOP)))
        events.append((end, lambda: os.kill(kafka, signal.SIGCONT)))
    began = time.monotonic()
    for at, happens in sorted(events, key=lambda event: event[0]):
        time.sleep(max(0.0, began + at - time.monotonic()))
        happens()
    time.sleep(max(0.0, began + length - time.monotonic()))


def _tear(place: Place, chance: random.Random, told: Counter[str]) -> None:
    """Half a line at the end of the file, as a machine that lost its power leaves it."""
    path = place.folder / "file" / "alerts.ndjson"
    if chance.random() < 0.2 and path.exists():
        told["file torn"] += 1
        with path.open("ab") as file:
            file.write(b'{"id": "half of a li')


def mock_kafka(address: Path) -> None:
    """The mock cluster forgets all when it is killed, so it only hangs."""
    from receivers.brokers import cluster

    with cluster(1) as brokers:
        fresh = address.with_suffix(".new")
        fresh.write_text(brokers, encoding="utf-8")
        fresh.rename(address)
        threading.Event().wait()


def judge(name: str, arrived: Iterable[str], alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """What a receiver got, against what was put. ``sound`` is the verdict."""
    encode = registry.formats()["native"].encode
    expected = {noted(encode(each)): n for n, each in enumerate(alerts)}
    seen = Counter(arrived)
    latest: dict[str, int] = {}
    disorder = 0
    for line in seen:  # in the order of first arrivals
        number = expected.get(line)
        if number is None:
            continue
        entity = alerts[number]["entity"]
        disorder += latest.get(entity, -1) > number
        latest[entity] = max(number, latest.get(entity, -1))
    lost = len(expected.keys() - seen.keys())
    invented = len(seen.keys() - expected.keys())
    return {
        "sink": name, "alerts": len(expected), "lost": lost, "invented": invented,
        "out_of_order": disorder, "duplicates": seen.total() - len(seen),
        "sound": not (lost or invented or disorder),
    }  # fmt: skip


def in_kafka(brokers: str, enough: int) -> list[str]:
    from receivers.brokers import consumed

    return [noted(message.value()) for message in consumed(brokers, enough, 60)]


def import_first() -> None:
    """What children would each import for themselves, in the little time they have."""
    for name in ("aiosmtpd.controller", "confluent_kafka", "elasticsearch.helpers", "httpx"):
        importlib.import_module(name)
    registry.sinks()


def prove(folder: Path, rounds: int, count: int, seed: int) -> list[dict[str, Any]]:
    """Runs the proof in ``folder``; a verdict for each sink."""
    import_first()
    address = folder / "brokers"
    kafka = forked(mock_kafka, address)
    while not address.exists():
        time.sleep(0.02)
    place = Place(
        folder, {name: free_port() for name in SERVED}, address.read_text(encoding="utf-8")
    )
    receivers = Receivers(place, random.Random(seed + 1))
    try:
        told = play(place, receivers, kafka, rounds, count, seed)
        under_way = {
            name: len(set(place.arrivals(name).read_text(encoding="utf-8").splitlines()))
            for name in SERVED
        }
        for name in SERVED:
            receivers.kill(name)
            receivers.start(name, ill=False)
        last = forked(detect, place, seed, count, seed)
        os.waitpid(last, 0)
        head = {"rounds": rounds, "seed": seed, "happened": dict(told)}
        print(json.dumps({**head, "arrived_in_the_rounds": under_way}), flush=True)
        alerts = [alert(seed, number) for number in range(count)]
        verdicts = [
            judge(name, place.arrivals(name).read_text(encoding="utf-8").splitlines(), alerts)
            for name in SERVED
        ]
        verdicts.append(judge("file", in_file(folder), alerts))
        verdicts.append(judge("kafka", in_kafka(place.brokers, count), alerts))
    finally:
        for name in SERVED:
            receivers.kill(name)
        gone(kafka)
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder in which all is left to look at")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        verdicts = prove(folder, chosen.rounds, chosen.alerts, chosen.seed)
    for verdict in verdicts:
        print(json.dumps(verdict))
    return 0 if all(verdict["sound"] for verdict in verdicts) else 1
