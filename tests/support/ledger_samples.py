"""Events and fake sources for the ledger's tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import strategies as st

from detector.core.errors import InputError
from detector.core.schema import ACTIONS, EVENTS, REJECTS, empty
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, Source
from detector.readers.compression import chunks
from detector.readers.log_input import LogInput, base_name

START = datetime(2024, 2, 6, 8, tzinfo=UTC)


def events(*rows: dict) -> pl.DataFrame:
    """Events with defaults for what a row does not name; ``at`` is hours after START."""
    full = []
    for row in rows:
        given = dict(row)
        moment = START + timedelta(hours=given.pop("at", 0))
        base = dict.fromkeys(EVENTS)
        base |= {"timestamp": moment, "account": "ann", "action": "read", "success": True}
        full.append(base | given)
    return pl.DataFrame(full, schema=dict(EVENTS), orient="row")


#: Few hours, so that events share them, on both sides of the midnights of several zones.
_hours = st.sampled_from(
    [datetime(2024, 3, 30, hour, tzinfo=UTC) for hour in (18, 22, 23)]
    + [datetime(2024, 3, 31, hour, tzinfo=UTC) for hour in (0, 21, 22)]
)
_moments = st.builds(
    lambda hour, micros: hour + timedelta(microseconds=micros),
    _hours,
    st.integers(0, 3_599_999_999),
)
#: Most are reads by one person, so that parts of a log have sums of the same key.
_accounts = st.sampled_from(["ann", "ann", "ann", "bob", "cy\nd"])
_actions = st.sampled_from(["read", "read", "read", *ACTIONS])

_name = st.one_of(st.none(), st.sampled_from(["a", "b", "\x1b[2J", "é", ""]))

_amounts = st.one_of(st.none(), st.integers(0, 2**40))

one_event = st.fixed_dictionaries(
    {
        "timestamp": _moments,
        "account": _accounts,
        "client_address": _name,
        "application": _name,
        "database": _name,
        "object": _name,
        "other_objects": st.one_of(st.none(), st.lists(st.sampled_from(["a", "b", "c"]))),
        "action": _actions,
        "rows": _amounts,
        "bytes": _amounts,
        "duration_ms": st.none(),
        "statement": _name,
        "success": st.booleans(),
    }
)

some_events = st.lists(one_event, max_size=30).map(
    lambda rows: pl.DataFrame(rows, schema=dict(EVENTS), orient="row")
)


@st.composite
def in_parts(draw: st.DrawFn) -> list[pl.DataFrame]:
    """Four parts of a log, in which some events meet one of another part in all that sums go by.

    The first event always does: left to chance, too few logs would have anything to add.
    """
    parts: list[list[dict]] = [[], [], [], []]
    for number, one in enumerate(draw(st.lists(one_event, max_size=12))):
        place = draw(st.integers(0, 3))
        parts[place].append(one)
        if number == 0 or draw(st.booleans()):
            amounts = draw(st.fixed_dictionaries({"rows": _amounts, "bytes": _amounts}))
            later = one["timestamp"].replace(minute=draw(st.integers(0, 59)))
            other = {**one, **amounts, "timestamp": later, "success": draw(st.booleans())}
            parts[(place + draw(st.integers(1, 3))) % 4].append(other)
    return [pl.DataFrame(rows, schema=dict(EVENTS), orient="row") for rows in parts]


def write_log(path: Path, *lines: dict | str) -> Path:
    """A log of the fake format: one JSON event a line, ``at`` as in ``events``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def source(
    name: str = "lines",
    *,
    size: int = 2,
    breaks_after: int | None = None,
    seen: list[dict[str, str]] | None = None,
    pause: Callable[[], None] = lambda: None,
) -> Source:
    """A log format of JSON lines, read ``size`` lines a batch.

    Text that is no JSON is rejected; an unfinished last line is left. ``breaks_after`` n
    batches it raises InputError; ``seen`` collects the tails it was handed; its own tail is
    its file's name. ``pause`` is called after each batch.
    """

    def read(log: LogInput, _settings: Settings, tail: ReaderState) -> Iterator[Batch]:
        if seen is not None:
            seen.append(dict(tail.sessions))
        text = b"".join(data for data, _ in chunks(log)).decode()
        lines = text.splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        for number, start in enumerate(range(0, len(whole), size)):
            if number == breaks_after:
                raise InputError("broke", where=log.name)
            yield _batch(log, whole[start : start + size], start)
            pause()

    return Source(name, "JSON lines", lambda *_: True, read, lambda *_: {})


def _batch(log: LogInput, lines: list[str], start: int) -> Batch:
    good, bad = [], []
    for number, line in enumerate(lines, start + 1):
        try:
            good.append(json.loads(line))
        except ValueError:
            bad.append({"file": base_name(log), "line": number, "reason": "no JSON"})
    return Batch(
        events=events(*good) if good else empty(EVENTS),
        rejects=pl.DataFrame(bad, schema=dict(REJECTS)),
        skipped=1,
        bytes_read=log.size(),
        tail=ReaderState({"last": base_name(log), base_name(log): "open"}),
    )
