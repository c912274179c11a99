"""JSON objects, one a line, as columns: names of nested keys are joined by dots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.json as pj

from detector.readers.blocks import Block
from detector.readers.column_names import Columns
from detector.readers.compression import MIB

#: The keys that lead to a value: ("user.name",) where a key is written with a dot,
#: ("user", "name") where it is nested.
KeyPath: TypeAlias = tuple[str, ...]

_MAX_DEPTH: Final = 6
#: As in ``conform``.
AUXILIARY_COLUMNS: Final = frozenset({"bytes", "duration_ms"})
#: As deep as BigQuery's audit log, with room.
_MAX_PATH_DEPTH: Final = 10
#: Parts of a block that Arrow parses side by side. A line that is longer than one is read line by
#: line, as its block then is.
_ARROW_PARTS: Final = 4
_TEXT_TYPES: Final = (pa.string(), pa.int64(), pa.bool_())
_NUMBER_TYPES: Final = (pa.string(), pa.int64(), pa.float64())
#: Types of canonical columns for which Arrow and the careful way agree to the last digit.
_ARROW_TYPES: Final = {
    **dict.fromkeys(("timestamp", "rows", "bytes", "duration_ms"), _NUMBER_TYPES),
    "other_objects": (pa.list_(pa.string()),),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the beginning of a log shows: each dotted name's keys and Arrow type.

    A name whose values are of more than one type has ``pa.null()``: its log is read carefully.
    ``counts`` says how many of the objects have each name.
    """

    keys: dict[str, KeyPath]
    types: dict[str, pa.DataType]
    counts: dict[str, int]

    @property
    def names(self) -> list[str]:
        """All dotted names, in the order they were met; of those that differ in case only, the
        commonest first, since a damaged object may have a key of its own.
        """
        place: dict[str, int] = {}
        for name in self.keys:
            place.setdefault(name.lower(), len(place))
        return sorted(
            self.keys,
            key=lambda name: (place[name.lower()], -self.counts.get(name, 0), not name.islower()),
        )


@dataclass(frozen=True, slots=True)
class ParsedObjects:
    """``table`` has canonical names; ``lines`` is the line of each row, or None where row i is
    the i-th line that is not blank; ``invalid`` are (line, reason) of lines left out.
    """

    table: pa.Table
    lines: list[int] | None
    invalid: list[tuple[int | None, str]]


def load_object(line: bytes) -> dict[str, Any] | str:
    """The object on one line, or why it is none."""
    try:
        # NaN and Infinity are no JSON, but are written; as values, they say nothing.
        found = json.loads(line, parse_constant=lambda _: None)
    except RecursionError:
        return "is nested too deeply"
    except ValueError:
        return "is not valid JSON"
    if not isinstance(found, dict):
        return "is JSON but not an object"
    return found


def infer_shape(head: bytes) -> Shape:
    """The shape of the objects in ``head``, the beginning of a log; lines that are none count
    for nothing.
    """
    keys: dict[str, KeyPath] = {}
    types: dict[str, pa.DataType] = {}
    counts: dict[str, int] = {}
    for line in head.split(b"\n"):
        found = load_object(line) if line.strip() else ""
        if isinstance(found, str):
            continue
        for path, value in _leaves(found, ()):
            name = ".".join(path)
            keys.setdefault(name, path)
            counts[name] = counts.get(name, 0) + 1
            kind = _arrow_type(value)
            if kind is not None and keys[name] == path:
                before = types.get(name, kind)
                types[name] = kind if before == kind else common_type(before, kind)
    return Shape(keys, types, counts)


def key_paths(found: Mapping[str, Any]) -> Iterator[KeyPath]:
    """The keys that lead to each value of an object."""
    return (path for path, _ in _leaves(found, (), _MAX_PATH_DEPTH))


def parse(block: Block, columns: Columns, seen: Shape) -> ParsedObjects:
    """The objects of ``block``: by Arrow where the block is as ``seen``, else line by line."""
    if not block.data or block.data.isspace():
        return ParsedObjects(
            pa.table({name: pa.array([], pa.string()) for name in columns}), [], []
        )
    quick = _parse_fast(block, columns, seen)
    return quick if quick is not None else _parse_slow(block, columns, seen)


def _parse_fast(block: Block, columns: Columns, seen: Shape) -> ParsedObjects | None:
    tree = _type_tree(columns, seen)
    if tree is None:
        return None
    try:
        table = pj.read_json(
            pa.BufferReader(block.data),
            read_options=pj.ReadOptions(block_size=max(len(block.data) // _ARROW_PARTS, MIB) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema(_schema_fields(tree)), unexpected_field_behavior="ignore"
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if len(table) != _count_lines(block):
        return None
    return ParsedObjects(
        pa.table({name: _nested_column(table, seen.keys[m.name]) for name, m in columns.items()}),
        None,
        [],
    )


def _type_tree(columns: Columns, seen: Shape) -> dict[str, Any] | None:
    """Types by nested keys, for Arrow; None where the log must be read carefully."""
    tree: dict[str, Any] = {}
    for canonical, mapped in columns.items():
        kind = seen.types.get(mapped.name)
        if kind not in _ARROW_TYPES.get(canonical, _TEXT_TYPES):
            return None
        *parents, leaf = seen.keys[mapped.name]
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                return None
        if node.setdefault(leaf, kind) is not kind:
            return None
    return tree


def _parse_slow(block: Block, columns: Columns, seen: Shape) -> ParsedObjects:
    values: dict[str, list[Any]] = {name: [] for name in columns}
    lines: list[int] = []
    invalid: list[tuple[int | None, str]] = []
    for number, line in _nonblank_lines(block):
        found = load_object(line)
        if isinstance(found, str):
            invalid.append((number, found))
            continue
        row = {name: _cell_text(_value_at(found, seen.keys[m.name])) for name, m in columns.items()}
        if "other_objects" in row:
            row["other_objects"] = _text_list(
                _value_at(found, seen.keys[columns["other_objects"].name])
            )
        for name in AUXILIARY_COLUMNS.intersection(row):
            row[name] = "?" if row[name] is _InvalidCell else row[name]  # it will cost itself only
        wrong = next((name for name, value in row.items() if value is _InvalidCell), None)
        if wrong is not None:
            invalid.append((number, f"{wrong} is neither text nor a number"))
            continue
        lines.append(number)
        for name, value in row.items():
            values[name].append(value)
    text, lists = pa.string(), pa.list_(pa.string())
    table = pa.table(
        {
            name: pa.array(cells, lists if name == "other_objects" else text)
            for name, cells in values.items()
        }
    )
    return ParsedObjects(table, lines, invalid)


def row_lines(objects: ParsedObjects, block: Block) -> list[int]:
    """The line of each row; slow, so only asked for where there are rejects."""
    return objects.lines if objects.lines is not None else [n for n, _ in _nonblank_lines(block)]


def _count_lines(block: Block) -> int:
    """Lines that are not blank. Where each ends with an object's end, none is."""
    data = block.data
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if data.count(b"}\n") + data.endswith(b"}") == lines:
        return lines
    return sum(1 for _ in _nonblank_lines(block))


def _nonblank_lines(block: Block) -> Iterator[tuple[int, bytes]]:
    """(line number, line) of each line that is not blank."""
    for offset, line in enumerate(block.data.split(b"\n")):
        if line and not line.isspace():
            yield block.first_line + offset, line


class _InvalidCell:
    """Stands for a value that cannot be a cell: an object, a list, half a character."""


def _cell_text(value: object) -> object:
    """A cell as text; the same as Arrow's for the types ``_parse_fast`` reads."""
    if value is None or isinstance(value, str):
        return value if value is None or _is_encodable(str(value)) else _InvalidCell
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return _InvalidCell


def _text_list(value: object) -> object:
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str) and _is_encodable(item)]
    return None


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, such as "\ud800"
        return False
    return True


def _value_at(found: dict[str, Any], keys: KeyPath) -> Any:
    value: Any = found
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _leaves(
    found: Mapping[str, Any], before: KeyPath, depth: int = _MAX_DEPTH
) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in found.items():
        path = (*before, key)
        if isinstance(value, dict):
            if len(path) < depth:
                yield from _leaves(value, path, depth)
        else:
            yield path, value


def _arrow_type(value: object) -> pa.DataType | None:
    """The Arrow type of a JSON value; None for null, ``pa.null()`` for what has none."""
    if value is None:
        return None
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    if isinstance(value, float):
        return pa.float64()
    if isinstance(value, str):
        return pa.string()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return pa.list_(pa.string())
    return pa.null()


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds both of two; ``pa.null()`` where there is none."""
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else pa.null()


def _schema_fields(tree: dict[str, Any]) -> Sequence[pa.Field]:
    return [
        pa.field(name, pa.struct(_schema_fields(kind)) if isinstance(kind, dict) else kind)
        for name, kind in tree.items()
    ]


def _nested_column(table: pa.Table, keys: KeyPath) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    column = table[keys[0]]
    return pc.struct_field(column, list(keys[1:])) if len(keys) > 1 else column
