"""JSON entries, one a line or many under a key, as a frame of text columns.

What is nested stays as JSON text. A piece is parsed by polars at once; where that fails it is
halved until the lines that are at fault stand alone, so that one bad line costs little.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import polars as pl

from detector.core.prefetch import ahead
from detector.normalize.format_probe import Glimpse
from detector.readers import blocks as records
from detector.readers import compression, json_array, plain_text
from detector.readers.blocks import Block, Reject
from detector.readers.json_array import Cut
from detector.readers.json_lines import Keys

#: Large enough for both cores, small enough that several read ahead fit in memory.
_BLOCK: Final = 16 * compression.MIB
#: Below so many lines, each is looked at by itself.
_FEW: Final = 64
_LINE: Final = "line"
_OTHER_KIND: Final = "has values of another kind than its neighbours"
Line: TypeAlias = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Entries:
    """``frame`` has the wanted columns, all String, and ``line`` (Int64), where each begins."""

    frame: pl.DataFrame
    rejects: list[Reject]
    empty: int
    bytes_read: int
    notes: dict[str, int] = field(default_factory=dict)


def read(path: Path, seen: Glimpse, wanted: Mapping[str, Keys]) -> Iterator[Entries]:
    """The entries of ``path``, block by block, with a column for each of ``wanted``.

    ``empty`` counts lines whose list is
    empty. Raises InputError.
    """
    how = json_array.cut([dict(entry) for entry in seen.entries])
    reader = _Reader(_tree(wanted), wanted, seen.wrapper, seen.form == "document", how)
    if seen.form != "document":
        return ahead(map(reader.entries, records.line_blocks(path, _BLOCK)))
    told = json_array.Lines()
    blocks = records.line_blocks(
        path, _BLOCK, chunks=json_array.lines(plain_text.chunks(path), how, told)
    )
    return ahead(_placed(reader.entries(block), block.first_line, told) for block in blocks)


def _placed(found: Entries, first: int, told: json_array.Lines) -> Entries:
    """``found`` with the file's own lines for the numbers of a document's entries."""
    rejects = [Reject(told.of(number), reason) for number, reason in found.rejects]
    numbers = [told.of(number) for number in found.frame[_LINE]]
    told.forget(first)
    frame = found.frame.with_columns(pl.Series(_LINE, numbers, dtype=pl.Int64))
    return replace(found, frame=frame, rejects=rejects)


def _tree(wanted: Mapping[str, Keys]) -> dict[str, Any]:
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


def _types(tree: Mapping[str, Any]) -> dict[str, pl.DataType]:
    return {
        name: pl.Struct(_types(kind)) if isinstance(kind, dict) else kind
        for name, kind in tree.items()
    }


@dataclass(frozen=True, slots=True)
class _Reader:
    tree: Mapping[str, Any]
    wanted: Mapping[str, Keys]
    wrapper: str
    document: bool
    how: Cut

    @property
    def schema(self) -> dict[str, pl.DataType]:
        types = _types(self.tree)
        return {self.wrapper: pl.List(pl.Struct(types))} if self.wrapper else types

    def entries(self, block: Block) -> Entries:
        """All entries of a block."""
        rejects = list(block.rejects)
        frames = []
        if block.data and not block.data.isspace():
            whole = records.count(block.data, b"\n")
            frame = self.parsed(block.data, whole)
            if frame is not None:
                first = block.first_line
                numbers = pl.int_range(first, first + whole, dtype=pl.Int64).alias(_LINE)
                frames.append(frame.with_columns(numbers))
            else:
                lines = [
                    (number, line)
                    for number, line in enumerate(block.data.split(b"\n"), block.first_line)
                    if line.strip()
                ]
                self.halved(lines, frames, rejects)
        raw = pl.concat(frames) if frames else self.nothing()
        if self.wrapper:
            raw, empty = self.unfolded(raw, rejects)
        else:
            empty = 0
        return Entries(self.flat(raw), rejects, empty, block.raw_bytes, block.notes)

    def nothing(self) -> pl.DataFrame:
        return pl.DataFrame(schema={**self.schema, _LINE: pl.Int64()})

    def parsed(self, data: bytes, count: int) -> pl.DataFrame | None:
        """``count`` lines at once; None where one of them is at fault."""
        try:
            frame = pl.read_ndjson(data, schema=self.schema, ignore_errors=False)
        except (pl.exceptions.PolarsError, ValueError):
            return None
        return frame if frame.height == count else None

    def halved(
        self, lines: Sequence[Line], frames: list[pl.DataFrame], rejects: list[Reject]
    ) -> None:
        """Adds the frames of ``lines``, and what is wrong with those that have none."""
        if not lines:
            return
        frame = self.parsed(b"\n".join(line for _, line in lines) + b"\n", len(lines))
        if frame is not None:
            numbers = pl.Series(_LINE, [number for number, _ in lines], dtype=pl.Int64)
            frames.append(frame.with_columns(numbers))
        elif len(lines) > _FEW:
            middle = len(lines) // 2
            self.halved(lines[:middle], frames, rejects)
            self.halved(lines[middle:], frames, rejects)
        elif len(lines) > 1:
            good = [(n, line) for n, line in lines if _fault(line) is None]
            for line in lines:
                if line not in good:
                    self.singly(line, frames, rejects)
            if len(good) < len(lines):
                self.halved(good, frames, rejects)
            else:
                for line in lines:
                    self.halved([line], frames, rejects)
        else:
            self.singly(lines[0], frames, rejects)

    def singly(self, line: Line, frames: list[pl.DataFrame], rejects: list[Reject]) -> None:
        """One line that is at fault: what can be saved of it."""
        number, text = line
        saved = self.saved(text)
        if not saved:
            rejects.append(Reject(number, _fault(text) or _OTHER_KIND))
        for entry in saved:
            fault = _fault(entry)
            frame = None if fault else self.parsed(self.wrapped(entry) + b"\n", 1)
            if frame is None:
                rejects.append(Reject(number, fault or _OTHER_KIND))
            else:
                mark = pl.lit(number, pl.Int64).alias(_LINE)
                frames.append(frame.with_columns(mark))

    def saved(self, text: bytes) -> list[bytes]:
        """The entries of a line that has several, broken ones too."""
        if self.wrapper:
            try:
                found = json.loads(text)[self.wrapper]
                if isinstance(found, list):
                    return [json.dumps(entry).encode() for entry in found]
            except (ValueError, RecursionError, TypeError, KeyError):
                pass
            pieces = self.how.pieces(text) if b"[" in text else []
            return [part for piece in pieces for part in json_array.parted(piece)]
        return json_array.parted(text) if self.document and _fault(text) else []

    def wrapped(self, entry: bytes) -> bytes:
        if not self.wrapper:
            return entry
        return b"{" + json.dumps(self.wrapper).encode() + b":[" + entry + b"]}"

    def unfolded(self, raw: pl.DataFrame, rejects: list[Reject]) -> tuple[pl.DataFrame, int]:
        """One row for each entry of each list, and how many lists have none."""
        column = pl.col(self.wrapper)
        missing = raw.filter(column.is_null())[_LINE]
        rejects += [Reject(line, f"holds no list {self.wrapper!r}") for line in missing]
        empty = raw.select((column.list.len() == 0).sum()).item() or 0
        rows = raw.filter(column.list.len() > 0).explode(self.wrapper)
        void = rows.filter(column.is_null())[_LINE]
        rejects += [Reject(line, "is JSON but not an object") for line in void]
        return rows.filter(column.is_not_null()).unnest(self.wrapper), empty

    def flat(self, raw: pl.DataFrame) -> pl.DataFrame:
        """A column for each wanted name."""
        return raw.select(
            *(self.reached(keys).alias(name) for name, keys in self.wanted.items()), _LINE
        )

    def reached(self, keys: Keys) -> pl.Expr:
        node: Any = self.tree
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        if not isinstance(node, pl.String):
            return pl.lit(None, pl.String())
        column = pl.col(keys[0])
        for key in keys[1:]:
            column = column.struct.field(key)
        return column


def _fault(line: bytes) -> str | None:
    """Why a line is no JSON object, as strictly as polars; None where it is one."""
    try:
        found = json.loads(line, parse_constant=_refuse)
    except RecursionError:
        return "is nested too deeply"
    except ValueError:
        return "is not valid JSON"
    return None if isinstance(found, dict) else "is JSON but not an object"


def _refuse(word: str) -> None:
    raise ValueError(word)
