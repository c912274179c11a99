"""JSON entries, one a line or many under a key, as a frame of text columns.

What is nested stays as JSON text. A piece is parsed by polars at once; where that fails it is
halved until the lines that are at fault stand alone, so that one bad line costs little.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import polars as pl

from detector.core.prefetch import read_ahead
from detector.normalize.format_probe import Probe
from detector.readers import blocks as records
from detector.readers import compression, json_array, plain_text
from detector.readers.blocks import Block, Reject
from detector.readers.json_array import EntrySplitter
from detector.readers.json_lines import KeyPath
from detector.readers.log_input import LogInput

#: Large enough for both cores, small enough that several read ahead fit in memory.
_BLOCK_BYTES: Final = 16 * compression.MIB
#: Below so many lines, each is looked at by itself.
_MIN_HALVING_LINES: Final = 64
_LINE_COLUMN: Final = "line"
_TYPE_MISMATCH_REASON: Final = "has values of another kind than its neighbours"
NumberedLine: TypeAlias = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class EntryBatch:
    """``frame`` has the wanted columns, all String, and ``line`` (Int64), where each begins."""

    frame: pl.DataFrame
    rejects: list[Reject]
    empty_count: int
    bytes_read: int
    notes: dict[str, int] = field(default_factory=dict)


def read(log: LogInput, seen: Probe, wanted: Mapping[str, KeyPath]) -> Iterator[EntryBatch]:
    """The entries of ``log``, block by block, with a column for each of ``wanted``.

    ``empty`` counts lines whose list is
    empty. Raises InputError.
    """
    how = json_array.entry_splitter([dict(entry) for entry in seen.entries])
    reader = _Reader(_type_tree(wanted), wanted, seen.wrapper, seen.form == "document", how)
    if seen.form != "document":
        return read_ahead(map(reader.read_block, records.line_blocks(log, _BLOCK_BYTES)))
    told = json_array.EntryLines()
    blocks = records.line_blocks(
        log, _BLOCK_BYTES, chunks=json_array.flatten_entries(plain_text.chunks(log), how, told)
    )
    return read_ahead(
        _restore_lines(reader.read_block(block), block.first_line, told) for block in blocks
    )


def _restore_lines(found: EntryBatch, first: int, told: json_array.EntryLines) -> EntryBatch:
    """``found`` with the file's own lines for the numbers of a document's entries."""
    rejects = [Reject(told.entry_line(number), reason) for number, reason in found.rejects]
    numbers = [told.entry_line(number) for number in found.frame[_LINE_COLUMN]]
    told.discard_before(first)
    frame = found.frame.with_columns(pl.Series(_LINE_COLUMN, numbers, dtype=pl.Int64))
    return replace(found, frame=frame, rejects=rejects)


def _type_tree(wanted: Mapping[str, KeyPath]) -> dict[str, Any]:
    """Nested names; a key that would have to be text and an object is left to the first."""
    tree: dict[str, Any] = {}
    for keys in wanted.values():
        *parents, leaf = keys
        node: Any = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                break
        else:
            node.setdefault(leaf, pl.String())
    return tree


def _tree_types(tree: Mapping[str, Any]) -> dict[str, pl.DataType]:
    return {
        name: pl.Struct(_tree_types(kind)) if isinstance(kind, dict) else kind
        for name, kind in tree.items()
    }


@dataclass(frozen=True, slots=True)
class _Reader:
    tree: Mapping[str, Any]
    key_paths: Mapping[str, KeyPath]
    wrapper: str
    is_document: bool
    splitter: EntrySplitter

    @property
    def schema(self) -> dict[str, pl.DataType]:
        types = _tree_types(self.tree)
        return {self.wrapper: pl.List(pl.Struct(types))} if self.wrapper else types

    def read_block(self, block: Block) -> EntryBatch:
        """All entries of a block."""
        rejects = list(block.rejects)
        frames = []
        if block.data and not block.data.isspace():
            whole = records.count_byte(block.data, b"\n")
            frame = self.parse(block.data, whole)
            if frame is not None:
                first = block.first_line
                numbers = pl.int_range(first, first + whole, dtype=pl.Int64).alias(_LINE_COLUMN)
                frames.append(frame.with_columns(numbers))
            else:
                lines = [
                    (number, line)
                    for number, line in enumerate(block.data.split(b"\n"), block.first_line)
                    if line.strip()
                ]
                self.bisect(lines, frames, rejects)
        raw = pl.concat(frames) if frames else self.empty_frame()
        if self.wrapper:
            raw, empty = self.unnest(raw, rejects)
        else:
            empty = 0
        return EntryBatch(self.select_columns(raw), rejects, empty, block.raw_bytes, block.notes)

    def empty_frame(self) -> pl.DataFrame:
        return pl.DataFrame(schema={**self.schema, _LINE_COLUMN: pl.Int64()})

    def parse(self, data: bytes, count: int) -> pl.DataFrame | None:
        """``count`` lines at once; None where one of them is at fault."""
        try:
            frame = pl.read_ndjson(data, schema=self.schema, ignore_errors=False)
        except (pl.exceptions.PolarsError, ValueError):
            return None
        return frame if frame.height == count else None

    def bisect(
        self, lines: Sequence[NumberedLine], frames: list[pl.DataFrame], rejects: list[Reject]
    ) -> None:
        """Adds the frames of ``lines``, and what is wrong with those that have none."""
        if not lines:
            return
        frame = self.parse(b"\n".join(line for _, line in lines) + b"\n", len(lines))
        if frame is not None:
            numbers = pl.Series(_LINE_COLUMN, [number for number, _ in lines], dtype=pl.Int64)
            frames.append(frame.with_columns(numbers))
        elif len(lines) > _MIN_HALVING_LINES:
            middle = len(lines) // 2
            self.bisect(lines[:middle], frames, rejects)
            self.bisect(lines[middle:], frames, rejects)
        elif len(lines) > 1:
            good = [(n, line) for n, line in lines if _json_error(line) is None]
            for line in lines:
                if line not in good:
                    self.parse_single(line, frames, rejects)
            if len(good) < len(lines):
                self.bisect(good, frames, rejects)
            else:
                for line in lines:
                    self.bisect([line], frames, rejects)
        else:
            self.parse_single(lines[0], frames, rejects)

    def parse_single(
        self, line: NumberedLine, frames: list[pl.DataFrame], rejects: list[Reject]
    ) -> None:
        """One line that is at fault: what can be saved of it."""
        number, text = line
        saved = self.split_entries(text)
        if not saved:
            rejects.append(Reject(number, _json_error(text) or _TYPE_MISMATCH_REASON))
        for entry in saved:
            fault = _json_error(entry)
            frame = None if fault else self.parse(self.wrap(entry) + b"\n", 1)
            if frame is None:
                rejects.append(Reject(number, fault or _TYPE_MISMATCH_REASON))
            else:
                mark = pl.lit(number, pl.Int64).alias(_LINE_COLUMN)
                frames.append(frame.with_columns(mark))

    def split_entries(self, text: bytes) -> list[bytes]:
        """The entries of a line that has several, broken ones too."""
        if self.wrapper:
            try:
                found = json.loads(text)[self.wrapper]
                if isinstance(found, list):
                    return [json.dumps(entry).encode() for entry in found]
            except (ValueError, RecursionError, TypeError, KeyError):
                pass
            pieces = self.splitter.split(text) if b"[" in text else []
            return [part for piece in pieces for part in json_array.split_line(piece)]
        return json_array.split_line(text) if self.is_document and _json_error(text) else []

    def wrap(self, entry: bytes) -> bytes:
        if not self.wrapper:
            return entry
        return b"{" + json.dumps(self.wrapper).encode() + b":[" + entry + b"]}"

    def unnest(self, raw: pl.DataFrame, rejects: list[Reject]) -> tuple[pl.DataFrame, int]:
        """One row for each entry of each list, and how many lists have none."""
        column = pl.col(self.wrapper)
        missing = raw.filter(column.is_null())[_LINE_COLUMN]
        rejects += [Reject(line, f"holds no list {self.wrapper!r}") for line in missing]
        empty = raw.select((column.list.len() == 0).sum()).item() or 0
        rows = raw.filter(column.list.len() > 0).explode(self.wrapper)
        void = rows.filter(column.is_null())[_LINE_COLUMN]
        rejects += [Reject(line, "is JSON but not an object") for line in void]
        return rows.filter(column.is_not_null()).unnest(self.wrapper), empty

    def select_columns(self, raw: pl.DataFrame) -> pl.DataFrame:
        """A column for each wanted name."""
        return raw.select(
            *(self.path_expression(keys).alias(name) for name, keys in self.key_paths.items()),
            _LINE_COLUMN,
        )

    def path_expression(self, keys: KeyPath) -> pl.Expr:
        node: Any = self.tree
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        if not isinstance(node, pl.String):
            return pl.lit(None, pl.String())
        column = pl.col(keys[0])
        for key in keys[1:]:
            column = column.struct.field(key)
        return column


def _json_error(line: bytes) -> str | None:
    """Why a line is no JSON object, as strictly as polars; None where it is one."""
    try:
        found = json.loads(line, parse_constant=_reject_constant)
    except RecursionError:
        return "is nested too deeply"
    except ValueError:
        return "is not valid JSON"
    return None if isinstance(found, dict) else "is JSON but not an object"


def _reject_constant(word: str) -> None:
    raise ValueError(word)
