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
from detector.core.formatting import path_text, quantity
from detector.core.schema import REJECTS
from detector.core.settings import Settings
from detector.ledger.data_quality import quality_warnings
from detector.ledger.ingest import IngestResult, ingest
from detector.ledger.store import Ledger
from detector.ledger.summary import row_count_warning
from detector.normalize import notes
from detector.normalize.format_detection import detect
from detector.privacy.pseudonyms import key_check_for
from detector.readers.discovery import expand

#: Whether logs have row counts shows within a month of them.
ROW_COUNT_WINDOW = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class IngestStep:
    """``unused`` are whole files that no source could read, as REJECTS of line 0; ``doubts`` are
    what makes the logs doubtful, in words.
    """

    result: IngestResult
    unused_files: pl.DataFrame
    doubts: tuple[str, ...] = ()


def ingest_logs(
    logs: list[str], source: str | None, folder: Path, settings: Settings, kept: str
) -> IngestStep:
    """Ingests ``logs`` into the ledger at ``folder`` and says what became of them.

    ``kept`` says where a person finds the rejects.
    """
    files, unused = detect(expand(logs), registry.sources(), settings, source)
    _print_unused(unused)
    formats = Counter(found.name for _, found in files)
    words = ", ".join(f"{name} ({quantity(n, 'file')})" for name, n in sorted(formats.items()))
    console.say(f"{'format' if source else 'format guessed'}: {words}")
    ledger = Ledger.open(folder, settings.timezone, pseudonyms=key_check_for(settings))
    total = sum(log.size() for log, _ in files)
    noted: Counter[str] = Counter()
    heard = [(log, notes.with_note_counts(found, noted)) for log, found in files]
    with console.progress("reading", total) as advance:
        done = ingest(heard, ledger, settings, advance)
    states = Counter(report.state for report in done.files)
    _print_unused(done.unused)
    console.say(
        f"{quantity(done.events, 'event')}"
        + "".join(f", {quantity(n, 'file')} {state}" for state, n in sorted(states.items()))
        + (f"; {quantity(done.rejects, 'record')} rejected, {kept}" if done.rejects else "")
    )
    for words in notes.sentences(noted):
        console.say(words)
    if done.days:
        since = max(done.days[0], done.days[-1] - ROW_COUNT_WINDOW)
        if words := row_count_warning(ledger.totals(since, done.days[-1])):
            console.say(words)
    doubtful = quality_warnings(ledger, done, settings)
    console.say(*(f"WARNING: {words}" for words in doubtful))
    left_out = [
        {"file": path_text(name), "line": 0, "reason": reason}
        for name, reason in (*unused, *done.unused)
    ]
    return IngestStep(done, pl.DataFrame(left_out, schema=dict(REJECTS)), tuple(doubtful))


def _print_unused(unused: Sequence[tuple[str, str]]) -> None:
    for name, reason in unused:
        console.say(f"left out {name}: {reason}")
