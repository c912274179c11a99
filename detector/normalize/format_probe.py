"""What the beginning of an export shows: its form, its columns' names, its first entries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.source import Sample
from detector.readers import (
    blocks,
    compression,
    csv_dialect,
    json_array,
    json_lines,
    json_shape,
    parquet,
    plain_text,
)
from detector.readers.json_lines import KeyPath
from detector.readers.log_input import LogInput

FileForm: TypeAlias = Literal["lines", "document", "csv", "parquet", "none"]

#: How much of a log is looked at to learn its keys, once it is known for what it is.
PROBE_BYTES: Final = compression.MIB
_SEPARATORS: Final = re.compile(r"[^\w.@]+")


@dataclass(frozen=True, slots=True)
class Probe:
    """``keys`` are the columns' names (nested ones with dots, as written) and the keys that lead
    to each. ``entries`` are the first of JSON, each by itself; ``wrapper`` is the key under which
    a line holds a list of them, "" where a line is one. ``header`` is CSV's. ``counts`` says how
    many of the entries have each name.
    """

    form: FileForm
    keys: Mapping[str, KeyPath] = field(default_factory=dict)
    entries: Sequence[Mapping[str, Any]] = ()
    wrapper: str = ""
    header: csv_dialect.Header | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """All names in lower case."""
        return frozenset(name.strip().lower() for name in self.keys)

    def find_name(self, wanted: str) -> tuple[str, KeyPath] | None:
        """The first of the names in ``wanted``, parted by spaces, that is there, in any case.

        What is no letter or digit counts as ``_``: ``timestamp (UTC)`` is ``timestamp_utc``. Of
        several spellings of one name the commonest counts, since a damaged entry may have a key of
        its own, and of those equally common the one that is ``wanted``.
        """
        spellings: dict[str, list[str]] = {}
        for name in self.keys:
            plain = _SEPARATORS.sub("_", name.strip().lower()).strip("_")
            spellings.setdefault(plain, []).append(name)
        for spelled in wanted.split():
            found = spellings.get(spelled.lower().strip("_"), [])
            if found:
                best = max(found, key=lambda name: (self.counts.get(name, 0), name == spelled))
                return best, self.keys[best]
        return None


@lru_cache(maxsize=4)
def probe_sample(sample: Sample) -> Probe:
    """What a sample shows; for Parquet its log is opened, as its columns stand at the end.

    Every source asks it of the same sample.
    """
    if not sample.head.startswith(b"PAR1"):
        return _probe_text(sample.head)
    try:
        with parquet.open_file(sample.log) as file:
            return _probe_parquet(file)
    except (InputError, pa.ArrowException, OSError, ValueError):
        return Probe("none")


def probe_file(log: LogInput, most: int = PROBE_BYTES) -> Probe:
    """What the beginning of a file shows. Raises InputError where it cannot be read."""
    head = plain_text.head(log, most)
    if head.startswith(b"PAR1"):
        with parquet.open_file(log) as file:
            return _probe_parquet(file)
    return _probe_text(head)


def has_line_entries(head: bytes) -> bool:
    """Whether a log that begins like this has one entry a line."""
    seen = Probe("none") if head.startswith(b"PAR1") else _probe_text(head)
    return seen.form == "lines" and not seen.wrapper


def last_entry_end(data: bytes) -> int:
    """``records.lines_end`` of such a log, in which a whole object needs no newline to end."""
    end = blocks.last_line_end(data)
    rest = data[end:].strip()
    whole = (
        rest[:1] == b"{" and rest[-1:] == b"}" and isinstance(json_lines.load_object(rest), dict)
    )
    return len(data) if whole else end


def merge(before: Probe, after: Probe) -> Probe:
    """What two parts of one log of lines show, one after the other; of the entries, none."""
    counts = dict(before.counts)
    keys = dict(before.keys)
    for name, path in after.keys.items():
        more = after.counts.get(name, 0)
        # Of a name with dots and the same one nested, the commoner counts.
        if more > counts.get(name, 0):
            keys[name] = path
        counts[name] = counts.get(name, 0) + more
    return Probe("lines", keys, counts=counts)


def encode(seen: Probe) -> str:
    """What a log of lines shows, as text between one piece of it and the next."""
    return json_shape.encode(json_lines.Shape(dict(seen.keys), {}, dict(seen.counts)))


def decode(text: str) -> Probe:
    """What ``encode`` made."""
    shape = json_shape.decode(text)
    return Probe("lines", shape.keys, counts=shape.counts)


def _probe_parquet(file: pq.ParquetFile) -> Probe:
    names = parquet.leaf_names(file.schema_arrow)
    return Probe("parquet", {name: tuple(name.split(".")) for name in names})


def _probe_text(head: bytes) -> Probe:
    data = head.removeprefix(blocks.BOM).lstrip()
    if json_array.is_document(data):
        return _probe_objects("document", json_array.first_entries(data))
    lines = [line for line in data.split(b"\n") if line.strip()]
    found = [
        entry
        for entry in (json_lines.load_object(line) for line in lines if line.lstrip()[:1] == b"{")
        if isinstance(entry, dict)
    ]
    # A log of objects can begin with a broken one.
    if data[:1] in {b"{", b"["} or len(found) * 2 > len(lines):
        for wrapper in json_array.WRAPPER_KEYS:
            inner = [entry[wrapper] for entry in found if isinstance(entry.get(wrapper), list)]
            if inner:
                entries = [item for items in inner for item in items if isinstance(item, dict)]
                return _probe_objects("lines", entries, wrapper)
        return _probe_objects("lines", found)
    header = csv_dialect.sniff(data, Settings())
    if header is None or len(header.names) < 2:
        return Probe("none")
    return Probe("csv", {name: (name,) for name in header.names}, header=header)


def _probe_objects(
    form: FileForm, entries: Sequence[Mapping[str, Any]], wrapper: str = ""
) -> Probe:
    """What ``entries`` show; of a name with dots and the same one nested, the commoner counts."""
    counts = Counter(path for entry in entries for path in json_lines.key_paths(entry))
    keys: dict[str, KeyPath] = {}
    for path in counts:
        name = ".".join(path)
        keys[name] = max(keys.get(name, path), path, key=counts.__getitem__)
    if not entries and not wrapper:
        return Probe("none")
    named = {name: counts[path] for name, path in keys.items()}
    return Probe(form, keys, entries, wrapper, counts=named)
