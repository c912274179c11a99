"""Accounts as pseudonyms: with one key, equal names are equal, and the key turns them back.

The cipher is AES-SIV (RFC 5297) without a nonce, made for this: what it gives is a keyed hash of
the name, followed by the name encrypted with the hash as its counter. Equal names become equal, and
nothing else can be told without the key; with it, the hash tells a pseudonym from a forgery.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import polars as pl

from detector.core.settings import Settings
from detector.privacy import keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

PREFIX: Final = "p-"
#: Names are filled up to a multiple of so many bytes: their length would tell people apart.
BLOCK: Final = 16
#: Names remembered; a log of more accounts costs time, not memory.
REMEMBERED: Final = 1_000_000

#: What is encrypted, as associated data: one key, and no answer for one use is one for another.
_ACCOUNT: Final = [b"detector account 1"]
_CHECK: Final = [b"detector key check 1"]
_HASH: Final = 16
#: ISO/IEC 7816-4: after the name one such byte, then zeros. Names can end in zeros, not in it.
_END: Final = b"\x80"
_FORM: Final = re.compile(rf"{PREFIX}[a-z2-7]+")


@dataclass(slots=True)
class Pseudonyms:
    """Pseudonyms of one key. ``check`` names the key (32 hex digits) and tells nothing of it."""

    check: str
    _cipher: AESSIV = field(repr=False)
    _known: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of_key(cls, secret: bytes) -> Self:
        """Pseudonyms of a key of 32, 48 or 64 bytes."""
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        cipher = AESSIV(secret)
        return cls(cipher.encrypt(bytes(BLOCK), _CHECK)[:_HASH].hex(), cipher)

    def of(self, name: str) -> str:
        """The pseudonym of a name."""
        found = self._known.get(name)
        if found is None:
            found = self.once(name)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[name] = found
        return found

    def once(self, text: str) -> str:
        """As ``of``, without remembering it: for text that comes but once."""
        return PREFIX + _written(self._cipher.encrypt(_filled(text.encode()), _ACCOUNT))

    def name(self, pseudonym: str) -> str | None:
        """The name behind a pseudonym; None where it is none, is altered, or of another key."""
        from cryptography.exceptions import InvalidTag

        data = _data(pseudonym)
        if data is None:
            return None
        try:
            filled = self._cipher.decrypt(data, _ACCOUNT)
        except InvalidTag:
            return None
        return filled.rstrip(b"\0").removesuffix(_END).decode()

    def column(self, names: pl.Series) -> pl.Series:
        """``names`` (String or Categorical) as pseudonyms of the same type; nulls stay null.

        Each distinct name is encrypted once.
        """
        distinct = names.unique().drop_nulls()
        made = [self.of(name) for name in distinct.cast(pl.String)]
        theirs = pl.Series(made, dtype=pl.String).cast(names.dtype)
        return names.replace_strict(distinct, theirs, default=None, return_dtype=names.dtype)


def of(settings: Settings) -> Pseudonyms | None:
    """What the settings ask for: pseudonyms of their key, or None. Raises SettingsError."""
    return opened(settings) if settings.pseudonyms else None


def opened(settings: Settings) -> Pseudonyms:
    """Pseudonyms of the settings' key, switched on or not. Raises SettingsError."""
    return Pseudonyms.of_key(keys.read(settings))


def check_of(settings: Settings) -> str:
    """Which key the settings ask for, as ``Pseudonyms.check``; empty where none."""
    found = of(settings)
    return found.check if found is not None else ""


def difference(held: str, wanted: str) -> tuple[str, str] | None:
    """What keeps apart two things made with keys of these checks, and how to mend it.

    ``held`` is of the thing at hand, ``wanted`` of the settings. None where they are alike.
    """
    if held == wanted:
        return None
    if not held:
        return "holds names of accounts, not pseudonyms", "set pseudonyms = false"
    if not wanted:
        return "holds pseudonyms", "set pseudonyms = true and name the key it was made with"
    return "holds pseudonyms of another key", "name the key it was made with"


def in_form(text: str) -> bool:
    """Whether a text could be a pseudonym, of whatever key."""
    return _data(text) is not None


def _filled(name: bytes) -> bytes:
    marked = name + _END
    return marked + bytes(-len(marked) % BLOCK)


def _written(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _data(pseudonym: str) -> bytes | None:
    """What stands behind the prefix; None where it is not what ``of`` can have made."""
    if not _FORM.fullmatch(pseudonym):
        return None
    text = pseudonym.removeprefix(PREFIX).upper()
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        return None
    whole = len(data) > _HASH and (len(data) - _HASH) % BLOCK == 0
    # Bits that no byte needs could make two texts of one pseudonym.
    return data if whole and PREFIX + _written(data) == pseudonym else None
