"""What train and score do first: recognise the logs and take them into the ledger."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from detector import registry
from detector.cli import screen
from detector.ledger.ingest import Ingested, ingest
from detector.ledger.store import Ledger
from detector.reading.paths import expand
from detector.reading.recognise import recognise
from detector.settings import Settings


def take_in(logs: list[str], source: str | None, folder: Path, settings: Settings) -> Ingested:
    """Ingests ``logs`` into the ledger at ``folder`` and says what became of them."""
    paths = expand(logs)
    files, unused = recognise(paths, registry.sources(), settings, source)
    for path, reason in unused:
        screen.say(f"left out {path}: {reason}")
    formats = Counter(found.name for _, found in files)
    words = ", ".join(f"{n} {name}" for name, n in sorted(formats.items()))
    screen.say(f"{'format given' if source else 'format recognised'}: {words} ({_files(files)})")
    ledger = Ledger.open(folder, settings.timezone)
    total = sum(path.stat().st_size for path, _ in files)
    with screen.progress("reading", total) as advance:
        done = ingest(files, ledger, settings, advance)
    states = Counter(report.state for report in done.files)
    events = sum(report.events for report in done.files)
    rejects = sum(report.rejects for report in done.files)
    screen.say(
        f"{events:,} events"
        + "".join(f", {n} {_files(range(n))} {state}" for state, n in sorted(states.items()))
        + (f"; {rejects:,} records rejected (reasons in rejects.ndjson)" if rejects else "")
    )
    return done


def _files(files: object) -> str:
    return "file" if len(files) == 1 else "files"  # type: ignore[arg-type]
