"""Opens a log as bytes: plain, gzip (many members too), bzip2 or zstd, told by content."""

from __future__ import annotations

import bz2
import hashlib
import re
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol

import zstandard

from detector.core.errors import InputError
from detector.readers.log_input import LogInput

MIB: Final = 1 << 20
NO_LIMIT: Final = sys.maxsize
GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
BZIP2: Final = b"BZh"
#: A bzip2 stream has the size of its blocks behind the magic, and then a block or its end.
_BZIP2_START: Final = re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)")

#: Raw bytes given to a decompressor at once. A zstd block of 4 bytes can stand for 128 KiB, and
#: a deflate byte for 1,032, and 40 bytes of bzip2 for 900 KB: these keep what a bomb makes of one
#: piece under 20 MB.
_PIECE_BYTES: Final = {GZIP: 1 << 14, ZSTD: 1 << 9, BZIP2: 1 << 9}


class TruncatedError(Exception):  # noqa: N818 - the name is what happened
    """The compressed file breaks off or is damaged; all that could be read came before.

    No DetectorError: the reader makes one reject of it and uses what it has.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ContentIdentity:
    """What a log contains, whatever it is called and however it is compressed.

    ``sha256`` (hex) and ``size`` are of the decompressed content; ``prefixes`` has the sha256
    of the first n bytes for each n asked for that the content reaches.
    """

    sha256: str
    size: int
    prefixes: dict[int, str] = field(default_factory=dict)


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


@dataclass(slots=True)
class _BoundedFile:
    """A file that ends after ``remaining`` more bytes, however long it becomes meanwhile."""

    file: BinaryIO
    remaining: int

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, self.remaining))
        self.remaining -= len(data)
        return data


def chunks(
    log: LogInput, size: int = 8 * MIB, until: int = NO_LIMIT
) -> Iterator[tuple[bytes, int]]:
    """Decompressed bytes, about ``size`` at a time, with the raw bytes consumed on disk so far.

    What stands in the file after ``until`` raw bytes is left alone. Raises InputError where the
    file is missing or unreadable, and Truncated at the end of what can be read where the
    compressed data breaks off.
    """
    try:
        with log.open() as whole:
            magic = detect_magic(whole.read(10))
            whole.seek(0)
            file = _BoundedFile(whole, until)
            if magic:
                yield from _join_chunks(_inflate(file, magic), size)
            else:
                done = 0
                while data := file.read(size):
                    done += len(data)
                    yield data, done
    except FileNotFoundError:
        raise InputError("no such file", where=log.name) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=log.name) from error


def detect_magic(beginning: bytes) -> bytes:
    """The magic bytes of how a file that begins so is compressed; empty where it is not."""
    if beginning.startswith(BZIP2):
        return BZIP2 if _BZIP2_START.match(beginning) else b""
    return next((magic for magic in (GZIP, ZSTD) if beginning.startswith(magic)), b"")


def head(log: LogInput, size: int = 1 << 16) -> bytes:
    """The first ``size`` decompressed bytes, fewer where there are no more. Raises InputError."""
    return first_bytes(chunks(log, size), size)


def first_bytes(pieces: Iterable[tuple[bytes, int]], size: int) -> bytes:
    """The first ``size`` bytes of what ``chunks`` gives, fewer where there are no more."""
    collected = b""
    try:
        for data, _ in pieces:
            collected += data
            if len(collected) >= size:
                break
    except TruncatedError:
        pass  # the reader reports it, once it gets there
    return collected[:size]


class ContentHasher:
    """The identity of the content of ``log`` (its first ``until`` raw bytes), some of it at a
    time. ``sizes`` are the prefixes asked for; ``size`` is how much was read.

    A file that breaks off has the identity of what can be read: once it is whole, that is a
    prefix of it.
    """

    def __init__(self, log: LogInput, sizes: Collection[int] = (), until: int = NO_LIMIT) -> None:
        # Small enough for the processor's cache.
        self._chunks = chunks(log, MIB, until)
        self._digest = hashlib.sha256()
        self._wanted = sorted({size for size in sizes if size >= 0})
        self._prefixes: dict[int, str] = {}
        self.size = 0

    def step(self, most: int) -> ContentIdentity | None:
        """Reads about ``most`` bytes more; the identity, once all is read. Raises InputError."""
        end = self.size + most
        try:
            for data, _ in self._chunks:
                self._add(memoryview(data))
                if self.size >= end:
                    return None
        except TruncatedError:
            pass  # documented above
        if self._wanted and self._wanted[0] == 0:
            self._prefixes[0] = hashlib.sha256().hexdigest()
        return ContentIdentity(self._digest.hexdigest(), self.size, self._prefixes)

    def _add(self, rest: memoryview) -> None:
        while self._wanted and self._wanted[0] <= self.size + len(rest):
            cut = self._wanted.pop(0)
            self._digest.update(rest[: cut - self.size])
            rest, self.size = rest[cut - self.size :], cut
            self._prefixes[cut] = self._digest.copy().hexdigest()
        self._digest.update(rest)
        self.size += len(rest)


def content_identity(
    log: LogInput, sizes: Collection[int] = (), until: int = NO_LIMIT
) -> ContentIdentity:
    """As ``ContentHasher``, all at once. Raises InputError."""
    reading = ContentHasher(log, sizes, until)
    while (found := reading.step(NO_LIMIT)) is None:
        pass
    return found


def _join_chunks(pieces: Iterator[tuple[bytes, int]], size: int) -> Iterator[tuple[bytes, int]]:
    """Small pieces joined into chunks of at least ``size``; what came before an error first."""
    held: list[bytes] = []
    length = done = 0
    broken: TruncatedError | None = None
    try:
        for data, done in pieces:  # noqa: B007 - the last count is used after the loop
            held.append(data)
            length += len(data)
            if length >= size:
                yield b"".join(held), done
                held, length = [], 0
    except TruncatedError as error:
        broken = error
    if held:
        yield b"".join(held), done
    if broken is not None:
        raise broken


def _inflate(file: _BoundedFile, magic: bytes) -> Iterator[tuple[bytes, int]]:
    """Each raw piece decompressed, frame after frame."""
    frame = _new_decompressor(magic)
    done = 0
    while raw := file.read(_PIECE_BYTES[magic]):
        done += len(raw)
        while raw:
            data, broken = _decompress(frame, raw)
            if data:
                yield data, done
            if broken:
                raise TruncatedError(f"the compressed data is damaged ({broken})")
            if not frame.eof:
                break
            raw = _skip_padding(frame.unused_data, file, magic)
            if not raw:
                return
            raw += file.read(len(magic)) if len(raw) < len(magic) else b""
            if not raw.startswith(magic):
                raise TruncatedError("something that is not compressed follows the compressed data")
            frame = _new_decompressor(magic)
    if not frame.eof:
        raise TruncatedError("the compressed data breaks off before its end")


def _skip_padding(rest: bytes, file: _BoundedFile, magic: bytes) -> bytes:
    """What follows the NULs after a frame, however many: tapes and crashed disks pad with them."""
    while not (found := rest.lstrip(b"\0")):
        rest = file.read(_PIECE_BYTES[magic])
        if not rest:
            return b""
    return found


def _new_decompressor(magic: bytes) -> _Decompressor:
    if magic == GZIP:
        return zlib.decompressobj(wbits=31)
    if magic == BZIP2:
        return bz2.BZ2Decompressor()
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()


def _decompress(frame: _Decompressor, raw: bytes) -> tuple[bytes, str]:
    """What ``raw`` decompresses to, and what is wrong with it, if anything.

    zlib throws away the output of a piece in which it finds a fault; from a copy of its state
    the bytes before the fault are found again, one by one.
    """
    before = frame.copy() if isinstance(frame, _ZLIB_DECOMPRESSOR) else None
    try:
        return frame.decompress(raw), ""
    except (zlib.error, zstandard.ZstdError, OSError, EOFError) as error:
        reason = str(error)
    readable: list[bytes] = []
    if before is not None:
        for index in range(len(raw)):
            try:
                readable.append(before.decompress(raw[index : index + 1]))
            except zlib.error:
                break
    return b"".join(readable), reason


_ZLIB_DECOMPRESSOR = type(zlib.decompressobj())
