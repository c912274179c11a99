"""A CSV that a person keeps beside the logs: a header and rows, whose faults are told by line."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.readers import blocks, compression, csv_dialect
from detector.readers.log_input import LocalFile


@dataclass(frozen=True, slots=True)
class Sheet:
    """``names`` are the header's, in lower case."""

    path: Path
    names: list[str]
    text: str
    delimiter: str

    @classmethod
    def open(cls, path: Path, begins: str) -> Sheet:
        """The file, which may be compressed; ``begins`` shows the header of one as it should be.

        Raises InputError where it is empty, cut off or not UTF-8.
        """
        try:
            data = b"".join(data for data, _ in compression.chunks(LocalFile(path)))
            text = data.removeprefix(blocks.BOM).decode()
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            hint = "save the file as UTF-8"
            raise _line_error(path, line, "is not valid UTF-8", hint) from None
        except compression.TruncatedError as error:
            raise InputError(f"breaks off: {error.reason}", where=path) from None
        header = csv_dialect.sniff(data, Settings())
        if header is None:
            raise InputError("is empty", where=path, hint=f"it starts with: {begins}")
        names = [name.strip().lower() for name in header.names]
        return cls(path, names, text, header.delimiter)

    def require(self, *wanted: str) -> None:
        """Raises InputError for the first column that is not there."""
        for name in wanted:
            if name not in self.names:
                near = difflib.get_close_matches(name, self.names, n=1)
                shown = ", ".join(self.names[:8])
                hint = f"rename {near[0]!r} to it" if near else f"its columns are {shown}"
                raise InputError(f"no column {name!r}", where=self.path, hint=hint)

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Line and cells, without space around them, of each row that is not blank.

        Raises InputError at a row that is no CSV or has more or fewer cells than the header.
        """
        reader = csv.reader(
            io.StringIO(self.text, newline=""), delimiter=self.delimiter, strict=True
        )
        begun = False
        try:
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if begun:
                    yield reader.line_num, self._parse_row(cells, reader.line_num)
                begun = True
        except csv.Error as error:
            raise self.row_error(reader.line_num, f"is no CSV: {error}") from None

    def _parse_row(self, cells: list[str], line: int) -> dict[str, str]:
        if len(cells) != len(self.names):
            what = f"has {len(cells)} columns where the header has {len(self.names)}"
            raise self.row_error(line, what, "put quotes around a cell with a delimiter in it")
        return {name: cell.strip() for name, cell in zip(self.names, cells, strict=True)}

    def row_error(self, line: int, what: str, hint: str = "") -> InputError:
        """The error of a line."""
        return _line_error(self.path, line, what, hint)


def _line_error(path: Path, line: int, what: str, hint: str) -> InputError:
    return InputError(f"line {line}: {what}", where=path, hint=hint)
