"""The shape of an NDJSON log that is read in pieces, as text between one piece and the next."""

from __future__ import annotations

import json
from typing import Final

import pyarrow as pa

from detector.readers import json_lines
from detector.readers.json_lines import Shape

_TYPE_NAMES: Final = {
    "text": pa.string(),
    "whole": pa.int64(),
    "real": pa.float64(),
    "truth": pa.bool_(),
    "texts": pa.list_(pa.string()),
    "mixed": pa.null(),
}


def merge(before: Shape, after: Shape) -> Shape:
    """The shape of two parts of a beginning, one after the other."""
    keys = {**after.keys, **before.keys}
    types = dict(before.types)
    for name, kind in after.types.items():
        if after.keys[name] == keys[name]:
            known = types.get(name, kind)
            types[name] = kind if known == kind else json_lines.common_type(known, kind)
    ordered = [*before.keys, *(name for name in after.keys if name not in before.keys)]
    counts = {name: before.counts.get(name, 0) + after.counts.get(name, 0) for name in ordered}
    return Shape({name: keys[name] for name in ordered}, types, counts)


def encode(shape: Shape) -> str:
    """As JSON."""
    names = {kind: name for name, kind in _TYPE_NAMES.items()}
    return json.dumps(
        [
            [
                list(path),
                names[shape.types[name]] if name in shape.types else None,
                shape.counts.get(name, 0),
            ]
            for name, path in shape.keys.items()
        ]
    )


def decode(text: str) -> Shape:
    """What ``encode`` made; earlier versions made it without counts."""
    found = [(tuple(path), kind, sum(count)) for path, kind, *count in json.loads(text)]
    return Shape(
        {".".join(path): path for path, _, _ in found},
        {".".join(path): _TYPE_NAMES[kind] for path, kind, _ in found if kind is not None},
        {".".join(path): count for path, _, count in found},
    )
