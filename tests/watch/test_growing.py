"""Every source that follows a log while it grows gives what it gives of the whole file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples

from detector import registry
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.compression import chunks
from detector.readers.log_input import LocalFile
from detector.watch.chunk_reader import read_chunk
from detector.watch.log_position import Log

DATA = Path(__file__).parents[1] / "data"
SOURCES = registry.sources()
NOISE = b'\nwhat is this "\n{"no": \n'


def samples() -> list[tuple[str, str, bytes]]:
    found = []
    for name, source in SOURCES.items():
        folder = DATA / name
        if source.follow_reader is None or not folder.is_dir():
            continue
        paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
        texts = [
            (name, path.name, b"".join(data for data, _ in chunks(LocalFile(path))))
            for path in paths
            if path.suffix not in {".md", ".tsv"}
            # MariaDB's are as long, and cut alike.
            and not path.name.startswith("mysql9.7")
        ]
        # Of exports, those with an entry a line.
        found += [each for each in texts if source.can_follow(each[2])]
    name = "aws_activity_streams"
    found += [
        (name, path.name, alone(path.read_bytes())) for path in (DATA / name).glob("*.ndjson")
    ]
    return found


def alone(data: bytes) -> bytes:
    """The events of records that have a list of them, each on its line."""
    records = [json.loads(line)["databaseActivityEventList"] for line in data.splitlines()]
    return b"".join(json.dumps(event).encode() + b"\n" for events in records for event in events)


SAMPLES = samples()
#: Samples of more bytes are read by slow tests alone.
LARGE = 9_000
#: Into so many pieces of one length a sample is cut at most, beside the cuts that are drawn.
PIECES = 20


@dataclass
class Growing:
    """Content that grows."""

    data: bytearray = field(default_factory=bytearray)
    end_reason: str = ""

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def position_fields(self, position: int) -> dict[str, Any]:
        del position
        return {}

    def unread_bytes(self, position: int) -> int:
        return len(self.data) - position

    def close(self) -> None:
        return None


Found = tuple[list[tuple], list[tuple]]


def told(batches: list) -> Found:
    columns = [batch.events.with_columns(pl.col(pl.Categorical).cast(pl.String))
               for batch in batches if batch.events.height]  # fmt: skip
    events = sorted(pl.concat(columns).rows(), key=repr) if columns else []
    rejects = sorted((row for batch in batches for row in
                      batch.rejects.select("line", "reason").rows()), key=repr)  # fmt: skip
    return events, rejects


def at_once(name: str, path: Path) -> Found:
    return told(list(SOURCES[name].read(LocalFile(path), Settings(), ReaderState())))


def in_pieces(name: str, data: bytes, cuts: list[int], most: int) -> Found:
    content, batches = Growing(), []
    log = Log(1, "log", 0, 0, name, "topic")  # not known again by its bytes
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for one, other in pairwise(places):
        content.data += data[one:other]
        ended, more = other == len(data), True
        while more and log.stage == "open":
            taken = read_chunk(
                log, content, SOURCES[name], Settings(), most, ReaderState(), ended=ended
            )
            if taken is None:
                break
            log, more = taken.log, taken.has_more
            batches += taken.batches
    assert log.stage == "ended"
    return told(batches)


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(
            sample,
            id=f"{sample[0]}: {sample[1]}",
            marks=[pytest.mark.slow] if len(sample[2]) > LARGE else [],
        )
        for sample in SAMPLES
    ],
)
@pytest.mark.parametrize("noise", [False, pytest.param(True, marks=pytest.mark.slow)])
@given(cuts=st.lists(st.integers(0, 1 << 20), max_size=6), most=st.sampled_from([700, 1 << 20]))
@settings(
    max_examples=examples(6),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_pieces_cut_anywhere_give_the_events_and_rejects_of_the_whole(
    tmp_path: Path, sample: tuple[str, str, bytes], noise: bool, cuts: list[int], most: int
) -> None:
    name, file, data = sample
    if noise:
        middle = data.find(b"\n", len(data) // 2) + 1
        data = data[:middle] + NOISE + data[middle:-7]
    path = tmp_path / file.removesuffix(".gz")
    path.write_bytes(data)
    most = max(most, len(data) // PIECES)
    wanted, found = at_once(name, path), in_pieces(name, data, cuts, most)
    assert wanted[0]
    assert found == wanted


def test_each_source_that_grows_has_a_sample() -> None:
    tried = {name for name, _, _ in SAMPLES}
    tried |= {"csv", "ndjson", "postgresql_csvlog", "postgresql_jsonlog"}  # in test_agreement
    assert {name for name, source in SOURCES.items() if source.follow_reader is not None} == tried
