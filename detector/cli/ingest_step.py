"""What train and score do first: recognise the logs and take them into the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from detector import registry
from detector.cli import console
from detector.core.formatting import counted, readable
from detector.core.schema import REJECTS
from detector.core.settings import Settings
from detector.ledger.data_quality import doubts
from detector.ledger.ingest import Ingested, ingest
from detector.ledger.store import Ledger
from detector.ledger.summary import silent
from detector.normalize import notes
from detector.normalize.format_detection import recognise
from detector.privacy.pseudonyms import check_of
from detector.readers.discovery import expand

#: Whether logs have row counts shows within a month of them.
LOOKED_AT = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Taken:
    """``unused`` are whole files that no source could read, as REJECTS of line 0; ``doubts`` are
    what makes the logs doubtful, in words.
    """

    ingested: Ingested
    unused: pl.DataFrame
    doubts: tuple[str, ...] = ()


def take_in(
    logs: list[str], source: str | None, folder: Path, settings: Settings, kept: str
) -> Taken:
    """Ingests ``logs`` into the ledger at ``folder`` and says what became of them.

    ``kept`` says where a person finds the rejects.
    """
    paths = expand(logs)
    files, unused = recognise(paths, registry.sources(), settings, source)
    _say_left_out(unused)
    formats = Counter(found.name for _, found in files)
    words = ", ".join(f"{name} ({counted(n, 'file')})" for name, n in sorted(formats.items()))
    console.say(f"{'format' if source else 'format guessed'}: {words}")
    ledger = Ledger.open(folder, settings.timezone, pseudonyms=check_of(settings))
    total = sum(path.stat().st_size for path, _ in files)
    noted: Counter[str] = Counter()
    heard = [(path, notes.noting(found, noted)) for path, found in files]
    with console.progress("reading", total) as advance:
        done = ingest(heard, ledger, settings, advance)
    states = Counter(report.state for report in done.files)
    _say_left_out(done.unused)
    console.say(
        f"{counted(done.events, 'event')}"
        + "".join(f", {counted(n, 'file')} {state}" for state, n in sorted(states.items()))
        + (f"; {counted(done.rejects, 'record')} rejected, {kept}" if done.rejects else "")
    )
    for words in notes.words(noted):
        console.say(words)
    if done.days:
        since = max(done.days[0], done.days[-1] - LOOKED_AT)
        if words := silent(ledger.totals(since, done.days[-1])):
            console.say(words)
    doubtful = doubts(ledger, done, settings)
    console.say(*(f"WARNING: {words}" for words in doubtful))
    left_out = [
        {"file": readable(path), "line": 0, "reason": reason}
        for path, reason in (*unused, *done.unused)
    ]
    return Taken(done, pl.DataFrame(left_out, schema=dict(REJECTS)), tuple(doubtful))


def _say_left_out(unused: Sequence[tuple[Path, str]]) -> None:
    for path, reason in unused:
        console.say(f"left out {path}: {reason}")
