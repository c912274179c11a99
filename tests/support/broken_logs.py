"""Breaks one entry of a real log, for tests that all others must survive."""

from __future__ import annotations

import gzip

from hypothesis import strategies as st
from read_logs import Read

from detector import registry
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile


def read(name, path, data=None, tail=None, **settings):
    """A log read by the source ``name``; ``data`` is written to ``path`` first."""
    if data is not None:
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    source = registry.sources()[name]
    return Read.of(source.read(LocalFile(path), Settings(**settings), tail or ReaderState()))


def content(path):
    data = path.read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def entries(log):
    """How many entries or rejects the lines of a log are. A blank one is none; the NULs that a
    crash leaves are a reject of their own besides the text that stands behind them.
    """
    return sum(1 + _has_text_behind_nuls(line) for line in log.split(b"\n") if line.strip())


def _has_text_behind_nuls(line):
    if b"\0" not in line:
        return False
    rest = line.lstrip(b"\0")
    if b"\0" in rest:  # anybody's, unless an object of JSON stands behind them
        return rest[rest.rfind(b"\0") + 1 :].startswith(b"{")
    return line != rest and bool(rest.strip())


#: What happens to an entry: a byte flips, its end is cut off, two are joined, one is repeated.
FAULTS = st.sampled_from(["flip", "cut", "join", "repeat"])


def broken(entry, fault, at, byte):
    """``entry`` (bytes with its newline) after a ``fault`` at ``at`` (0 to 1)."""
    place = min(int(at * len(entry)), len(entry) - 2)
    if fault == "flip":
        changed = bytearray(entry)
        changed[place] = byte
        return bytes(changed)
    if fault == "cut":
        return entry[:place] + b"\n"
    if fault == "join":
        return entry[:-1] + entry
    return entry * 3
