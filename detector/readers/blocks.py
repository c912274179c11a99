"""Cuts a log into blocks of whole records, so that memory does not grow with the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from detector.core.errors import InputError
from detector.readers import compression, encodings, plain_text
from detector.readers.compression import MIB
from detector.readers.encodings import RECODED_NOTE, REPLACED
from detector.readers.log_input import LogInput

BOM: Final = b"\xef\xbb\xbf"
#: Bytes that are counted at once, few enough for the processor's cache.
_COUNT_CHUNK: Final = 1 << 18
UTF_16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
#: Lines that are read at once: 64 kB of zstd can become 2 GB of newlines, and each line that is
#: held apart takes some hundred bytes.
MAX_LINES: Final = 1 << 18
#: So many NULs in a row are no character of UTF-16: file systems leave them after a crash.
_MIN_NUL_RUN: Final = 2
_LONG_NUL_RUN: Final = bytes(16)
NUL_BYTE_REASON: Final = "holds a NUL byte"

#: Pieces of a log, with the raw bytes consumed on disk so far, as ``plain.chunks`` gives them.
Chunks: TypeAlias = Iterator[tuple[bytes, int]]


class Reject(NamedTuple):
    """A record that cannot be used: the line it starts on (from 1) and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, valid UTF-8 without NUL, each ended by a newline.

    ``first_line`` is the line number of the first byte. A rejected record inside ``data`` is
    replaced by as many empty lines, so that line numbers stay right; ``data`` can be empty
    where only ``rejects`` are to be told. ``raw_bytes`` of the file on disk are consumed.
    ``recoded`` records were read as Windows-1252, ``replaced`` ones of JSON with replacement
    characters.
    """

    data: bytes
    first_line: int
    raw_bytes: int
    rejects: list[Reject] = field(default_factory=list)
    recoded_count: int = 0
    replaced: int = 0

    @property
    def notes(self) -> dict[str, int]:
        """Those of ``source.Batch``."""
        found = {RECODED_NOTE: self.recoded_count, REPLACED: self.replaced}
        return {words: number for words, number in found.items() if number}


def csv_blocks(log: LogInput, block: int = 16 * MIB, limit: int = 64 * MIB) -> Iterator[Block]:
    """Blocks cut at a newline outside quotes.

    A record longer than ``limit`` bytes, or whose quote is never closed, becomes a reject and
    reading goes on at the line after its first. ``block`` is at most half of ``limit``.
    Raises InputError where the file is unreadable or binary.
    """
    return _Cutter(quoted=True, limit=limit).blocks(log, min(block, limit // 2))


def line_blocks(
    log: LogInput,
    block: int = 32 * MIB,
    limit: int = 64 * MIB,
    chunks: Chunks | None = None,
) -> Iterator[Block]:
    """Blocks cut at any newline; a line longer than ``limit`` bytes becomes a reject.

    ``chunks`` are what is cut, if not the content of ``log`` as it is. Raises InputError where
    the file is unreadable or binary.
    """
    return _Cutter(quoted=False, limit=limit).blocks(log, min(block, limit // 2), chunks)


@dataclass(slots=True)
class _Cutter:
    quoted: bool
    limit: int
    line: int = 1
    in_long_line: bool = False  # inside the rest of a line that was too long
    rejects: list[Reject] = field(default_factory=list)

    def blocks(self, log: LogInput, block: int, given: Chunks | None = None) -> Iterator[Block]:
        held = b""
        raw = 0
        first = True
        chunks = given or plain_text.chunks(log, min(block, 8 * MIB))
        broken = ""
        while True:
            try:
                pieces, length = [held], len(held)
                for data, raw in chunks:  # noqa: B007 - used below
                    if first:
                        data, first = strip_bom(data, log.name), False  # noqa: PLW2901
                    pieces.append(data)
                    length += len(data)
                    if length >= block:
                        break
                else:
                    break
            except compression.TruncatedError as error:
                broken = error.reason
                break
            done, held = self.cut_pieces(pieces)
            if done or self.rejects:
                yield from self.emit(done, raw)
            held = self.drop_long_start(held)
        held = b"".join(pieces)
        yield from self.finish(held, raw, broken)

    def finish(self, held: bytes, raw: int, broken: str) -> Iterator[Block]:
        """The last records: one without its newline counts, one that breaks off does not."""
        while held:
            if not broken and not held.endswith(b"\n"):
                held += b"\n"
            done, held = self.cut(held)
            if done or self.rejects:
                yield from self.emit(done, raw)
            if broken:
                break
            if held:
                held = self.drop_line(held, "a quote is opened and never closed")
        if broken:
            yield Block(b"", self.line, raw, [Reject(self.line, f"file ends early: {broken}")])
        elif self.rejects:
            yield from self.emit(b"", raw)

    def emit(self, data: bytes, raw: int) -> Iterator[Block]:
        lines = count_byte(data, b"\n")
        middle = (
            _last_record_end(data[: len(data) // 2], quoted=self.quoted) if lines > MAX_LINES else 0
        )
        if middle:
            yield from self.emit(data[:middle], raw)
            yield from self.emit(data[middle:], raw)
            return
        found, self.rejects = self.rejects, []
        first = self.line
        self.line += lines
        cleaned, bad, recoded, replaced = _clean(data, first, quoted=self.quoted)
        yield Block(cleaned, first, raw, found + bad, recoded, replaced)

    def cut_pieces(self, pieces: list[bytes]) -> tuple[bytes, bytes]:
        """As ``cut`` of the pieces joined, copying them once where the cut is in the last."""
        *others, last = pieces
        length = sum(map(len, pieces))
        if not self.in_long_line and length <= self.limit:
            odd = self.quoted and sum(count_byte(piece, b'"') for piece in others) % 2 == 1
            end = _last_record_end(last, quoted=self.quoted, odd=odd)
            if end:
                return b"".join([*others, memoryview(last)[:end]]), last[end:]
        return self.cut(b"".join(pieces))

    def cut(self, held: bytes) -> tuple[bytes, bytes]:
        """(whole records, the rest)."""
        if self.in_long_line:
            end = held.find(b"\n") + 1
            if not end:
                return b"", b""
            self.line += 1
            self.in_long_line = False
            held = held[end:]
        end = _last_record_end(held, quoted=self.quoted)
        if end > self.limit and _first_record_end(held, quoted=self.quoted) > self.limit:
            return self.cut(self.drop_line(held, self.length_reason))
        return held[:end], held[end:]

    def drop_long_start(self, held: bytes) -> bytes:
        """``held``, which has no whole record, without its beginning if that is too long."""
        while len(held) > self.limit:
            held = self.drop_line(held, self.length_reason)
            if _last_record_end(held, quoted=self.quoted):
                break
        return held

    @property
    def length_reason(self) -> str:
        return f"a record longer than {self.limit:,} bytes"

    def drop_line(self, held: bytes, reason: str) -> bytes:
        """``held`` from its second line on; the first becomes a reject."""
        self.rejects.append(Reject(self.line, reason))
        end = held.find(b"\n") + 1
        if not end:
            self.in_long_line = True
            return b""
        self.line += 1
        return held[end:]


def last_line_end(data: bytes) -> int:
    """Where the last whole line of ``data`` ends: ``Growing.cut`` of formats of one line."""
    return data.rfind(b"\n") + 1


def last_record_end(data: bytes) -> int:
    """Where the last whole CSV record of ``data`` ends."""
    return _last_record_end(data, quoted=True)


def count_byte(data: bytes | memoryview, byte: bytes) -> int:
    """How often ``byte`` is in ``data``: four times as fast as bytes.count."""
    array = np.frombuffer(data, np.uint8)
    parts = range(0, len(array), _COUNT_CHUNK)
    return sum(int(np.count_nonzero(array[at : at + _COUNT_CHUNK] == byte[0])) for at in parts)


def is_binary(data: bytes) -> bool:
    """Whether text that begins so is UTF-16, or no text at all. NULs that a crash left are none."""
    rest = data.lstrip(b"\0")
    data = data if len(data) - len(rest) < _MIN_NUL_RUN else rest
    data = data[:200].partition(_LONG_NUL_RUN)[0]
    even, odd = data[:200:2], data[1:200:2]
    zeros = max(even.count(0), odd.count(0))
    return data.startswith(UTF_16_BOMS) or (bool(even) and zeros * 2 > len(even) > 4)


def strip_bom(data: bytes, where: str) -> bytes:
    """The first chunk without its byte order mark. Raises InputError where it is no text."""
    if is_binary(data):
        hint = "a log is text in UTF-8, UTF-16 or Windows-1252"
        raise InputError("is binary data, not text", where=where, hint=hint)
    return data.removeprefix(BOM)


def _last_record_end(data: bytes, *, quoted: bool, odd: bool = False) -> int:
    """Where the last whole record ends: after the last newline with an even count of quotes.

    ``odd`` says whether an odd number of quotes came before ``data``.
    """
    position = data.rfind(b"\n")
    if not quoted:
        return position + 1
    odd ^= count_byte(data, b'"') % 2 == 1
    end = len(data)
    while position >= 0:
        odd ^= data.count(b'"', position, end) % 2 == 1
        if not odd:
            return position + 1
        # All newlines back to the last quote before this one are inside the same field.
        end = data.rfind(b'"', 0, position)
        if end < 0:  # the field began before ``data``
            return 0
        odd = not odd
        position = data.rfind(b"\n", 0, end)
    return 0


def _first_record_end(data: bytes, *, quoted: bool) -> int:
    """Where the first record ends (after its newline); 0 if it does not."""
    end = data.find(b"\n") + 1
    if not quoted:
        return end
    start = 0
    odd = False
    while end:
        odd ^= data.count(b'"', start, end) % 2 == 1
        if not odd:
            return end
        quote = data.find(b'"', end)
        if quote < 0:
            return 0
        start = quote
        end = data.find(b"\n", quote) + 1
    return 0


def split_records(data: bytes, *, quoted: bool) -> Iterator[bytes]:
    """Each record of ``data`` with its newline: the careful way."""
    held: list[bytes] = []
    odd = False
    for line in _split_lines(data):
        held.append(line)
        odd ^= quoted and line.count(b'"') % 2 == 1
        if not odd:
            yield b"".join(held)
            held = []
    if held:
        yield b"".join(held)


def _split_lines(data: bytes) -> Iterator[bytes]:
    """Lines ended by newlines only: bytes.splitlines also ends them at a bare CR."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _clean(data: bytes, first_line: int, *, quoted: bool) -> tuple[bytes, list[Reject], int, int]:
    """``data`` with records that are no text replaced by empty lines, the rejects, and how many
    records were not UTF-8 and could be read all the same: as another encoding, and with
    replacement characters.
    """
    if is_utf8(data) and b"\0" not in data:
        return data, [], 0, 0
    line, recoded, replaced = first_line, 0, 0
    rejects: list[Reject] = []
    kept: list[bytes] = []
    for record in split_records(data, quoted=quoted):
        newlines = record.count(b"\n")
        reason = ""
        if b"\0" in record:
            record, reason = _strip_nuls(record, quoted=quoted)  # noqa: PLW2901
            if record:
                rejects.append(Reject(line, reason))
                reason = ""
        if not reason and not is_utf8(record):
            decoded = encodings.transcode_windows_1252(record)
            recoded += decoded is not None
            if decoded is None and not quoted:
                decoded = encodings.replaced(record)
                replaced += decoded is not None
            reason = encodings.REJECT_REASON if decoded is None else ""
            record = decoded or record  # noqa: PLW2901
        if reason:
            rejects.append(Reject(line, reason))
            record = b"\n" * newlines  # noqa: PLW2901
        kept.append(record)
        line += newlines
    return b"".join(kept), rejects, recoded, replaced


def nul_reason(count: int) -> str:
    """Why so many NULs are a reject."""
    return f"{count:,} NUL bytes, as a crash leaves them"


def _strip_nuls(record: bytes, *, quoted: bool) -> tuple[bytes, str]:
    """A record behind the NULs that a crash left, and why what stood there is a reject.

    The record is empty where all of it is one: in the middle of text NULs may be anybody's. Only a
    JSON object behind them is beyond doubt, since JSON escapes them.
    """
    rest = record.lstrip(b"\0")
    if b"\0" not in rest:
        return rest, nul_reason(len(record) - len(rest))
    behind = rest[rest.rfind(b"\0") + 1 :]
    if not quoted and behind.startswith(b"{") and rest.count(b"\n") == 1:
        return behind, "is cut off by NUL bytes, as a crash leaves them"
    return b"", NUL_BYTE_REASON


def is_utf8(data: bytes) -> bool:
    """Whether it is UTF-8: Arrow looks only, bytes.decode makes a copy."""
    if data.isascii():
        return True
    bounds = pa.py_buffer(np.array([0, len(data)], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, bounds, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
