"""Text that is not UTF-8: UTF-16 files, and records in Windows-1252 (Latin-1's letters and more).

A file is UTF-16 where its byte order mark, or a NUL in every other byte, says so. Windows-1252 has
no mark. It is told record by record, so that a log gives the same whether it is read at once or
in pieces while it grows, and so that one damaged record does not change how the others are read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

UTF_16_CODECS: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UTF_32: Final = b"\xff\xfe\x00\x00"
_SAMPLE_BYTES: Final = 200
#: A whole character of UTF-8 beyond ASCII: a record that has one is damaged UTF-8, nothing else.
_UTF_8_CHARACTER: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}")
#: What people write in Windows-1252: letters, quotes, dashes, currency. Bytes it leaves undefined
#: are none of it, and 0xFF is a letter only within a word: elsewhere it is padding.
_WINDOWS_1252_TEXT: Final = re.compile(
    rb"(?:[\x00-\x7f\x80\x82-\x87\x89-\x8c\x8e\x91-\x9c\x9e-\xd6\xd8-\xf6\xf8-\xfe]"
    rb"|(?<=[A-Za-z])\xff)*"
)
REJECT_REASON: Final = "is not valid UTF-8"
#: What is noted of a record that could be read all the same.
RECODED_NOTE: Final = "not UTF-8, and read as Windows-1252"
REPLACED: Final = "of JSON that is not valid UTF-8, and read with replacement characters"


def utf_16_codec(beginning: bytes) -> str:
    """The codec of a file that begins so, if it is UTF-16; empty where it is not."""
    if beginning.startswith(_UTF_32):
        return ""
    if codec := UTF_16_CODECS.get(beginning[:2], ""):
        return codec
    even, odd = beginning[:_SAMPLE_BYTES:2], beginning[1:_SAMPLE_BYTES:2]
    if len(even) <= 4:
        return ""
    # Text of Western Europe has its NULs on one side only; what has them on both is binary.
    if odd.count(0) * 2 > len(odd) and not even.count(0):
        return "utf-16-le"
    if even.count(0) * 2 > len(even) and not odd.count(0):
        return "utf-16-be"
    return ""


def transcode_utf_16(
    chunks: Iterator[tuple[bytes, int]], codec: str
) -> Iterator[tuple[bytes, int]]:
    """UTF-8 of ``chunks``, whose content is UTF-16; what is none becomes the replacement mark."""
    decoder = codecs.getincrementaldecoder(codec)("replace")
    first = True
    raw = 0
    for data, raw in chunks:  # noqa: B007 - used below
        text = decoder.decode(data)
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        if text:
            yield text.encode("utf-8", "replace"), raw
    if rest := decoder.decode(b"", final=True):
        yield rest.encode("utf-8", "replace"), raw


def transcode_windows_1252(record: bytes) -> bytes | None:
    """UTF-8 of a record that is not UTF-8 but can be Windows-1252; None where it is neither."""
    if _UTF_8_CHARACTER.search(record) or not _WINDOWS_1252_TEXT.fullmatch(record):
        return None
    return record.decode("cp1252").encode()


def replaced(record: bytes) -> bytes | None:
    """A JSON object with the replacement character where it is not UTF-8; None where it is none.

    What stands around its values is ASCII, so one that is damaged says all the same who read what.
    """
    if not record.lstrip().startswith(b"{"):
        return None
    return record.decode("utf-8", "replace").encode()
