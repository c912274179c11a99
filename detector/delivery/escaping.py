r"""Text from a log, made safe for a line of text and still readable.

Names in an alert are hostile: a new line in one must not forge a second record, an escape sequence
must not reach the terminal of whoever reads the file. JSON has an escape for everything. CEF, LEEF
and syslog have none for most control characters, so these are written as people know them from
JSON, ``\u001b``, in all three. Nothing is lost: a backslash that would read as such an escape is
itself written ``\u005c``, every other one is left alone (``DOMAIN\user`` stays as it is).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

#: Control characters (C0, DEL, C1); line and paragraph separators; the marks that turn the
#: direction of what follows (Unicode TR 36, 3.4) or hide; the byte order mark; lone surrogates and
#: noncharacters, which UTF-8 or receivers refuse; tags, which carry invisible text.
_HIDDEN = (
    r"\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f"
)
#: A backslash before what would make it one of our escapes.
_AMBIGUOUS = r"\\(?=u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"
_UNSAFE = re.compile(f"{_AMBIGUOUS}|[{_HIDDEN}]")
#: In lists, between names.
COMMA = ","


def escape_hidden(text: str, also: str = "") -> str:
    r"""``text`` on one line, with hidden characters, and those in ``also``, as ``\u001b``.

    Reversible: replacing each ``\uXXXX`` and ``\UXXXXXXXX`` by its character, from left to right,
    gives ``text`` again.
    """
    pattern = re.compile(f"{_UNSAFE.pattern}|[{re.escape(also)}]") if also else _UNSAFE
    # Parsers strip the spaces around a value.
    inner = text.lstrip()
    before, inner = text[: len(text) - len(inner)], inner.rstrip()
    after = text[len(before) + len(inner) :]
    middle = pattern.sub(lambda found: _escape(found.group()), inner)
    return _escape(before) + middle + _escape(after)


def _escape(text: str) -> str:
    return "".join(
        f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}" for char in text
    )


def fit_text(text: str, most: int, escape: Callable[[str], str] = escape_hidden) -> str:
    """``escape(text)``, of at most ``most`` bytes of UTF-8; what is cut off is counted at its end.

    Raises ValueError where ``most`` has no room for the note.
    """
    if len(text) <= most and len((whole := escape(text)).encode()) <= most:
        return whole
    low, high = 0, min(len(text), most)
    while low < high:
        middle = (low + high + 1) // 2
        if len(_shorten(text, middle, escape).encode()) <= most:
            low = middle
        else:
            high = middle - 1
    short = _shorten(text, low, escape)
    if len(short.encode()) > most:
        raise ValueError(f"{most} bytes have no room for what says that text was cut")
    return short


def _shorten(text: str, kept: int, escape: Callable[[str], str]) -> str:
    return escape(text[:kept]) + f"...({len(text) - kept:,} more)"


def join_names(names: Iterable[str], most: int, escape: Callable[[str], str] = str) -> str:
    r"""Names between commas, as many as fit ``most`` bytes; a comma in one is ``\u002c``.

    ``escape`` is what the format adds on top.
    """
    whole = list(names)
    written: list[str] = []
    size = 0
    for name in whole:  # of thousands, no more than fit are looked at
        written.append(escape(escape_hidden(name, also=COMMA)))
        size += len(written[-1].encode()) + len(COMMA)
        if size - len(COMMA) > most:
            break
    else:
        return COMMA.join(written)
    for kept in range(len(written) - 1, 0, -1):
        short = COMMA.join([*written[:kept], f"...({len(whole) - kept:,} more)"])
        if len(short.encode()) <= most:
            return short
    return f"...({len(whole):,} more)"


def json_line(document: Any) -> bytes:
    """One line of JSON, ASCII only. What is no number (an infinity) becomes null."""
    return json.dumps(
        _replace_nonfinite(document), ensure_ascii=True, allow_nan=False, separators=(",", ":")
    ).encode("ascii")


def _replace_nonfinite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _replace_nonfinite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_nonfinite(each) for each in value]
    return value
