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
PADDING_BLOCK: Final = 16
#: Names remembered; a log of more accounts costs time, not memory.
CACHE_SIZE: Final = 1_000_000

#: What is encrypted, as associated data: one key, and no answer for one use is one for another.
_ACCOUNT_AAD: Final = [b"detector account 1"]
_CHECK_AAD: Final = [b"detector key check 1"]
_TAG_BYTES: Final = 16
#: ISO/IEC 7816-4: after the name one such byte, then zeros. Names can end in zeros, not in it.
_PADDING_MARK: Final = b"\x80"
_PATTERN: Final = re.compile(rf"{PREFIX}[a-z2-7]+")


@dataclass(slots=True)
class Pseudonyms:
    """Pseudonyms of one key. ``key_check`` names the key (32 hex digits) and tells nothing of
    it.
    """

    key_check: str
    _cipher: AESSIV = field(repr=False)
    _cache: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_key(cls, secret: bytes) -> Self:
        """Pseudonyms of a key of 32, 48 or 64 bytes."""
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        cipher = AESSIV(secret)
        return cls(cipher.encrypt(bytes(PADDING_BLOCK), _CHECK_AAD)[:_TAG_BYTES].hex(), cipher)

    def encrypt(self, name: str) -> str:
        """The pseudonym of a name."""
        found = self._cache.get(name)
        if found is None:
            found = self.encrypt_uncached(name)
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[name] = found
        return found

    def encrypt_uncached(self, text: str) -> str:
        """As ``of``, without remembering it: for text that comes but once."""
        return PREFIX + _encode(self._cipher.encrypt(_pad(text.encode()), _ACCOUNT_AAD))

    def reveal(self, pseudonym: str) -> str | None:
        """The name behind a pseudonym; None where it is none, is altered, or of another key."""
        from cryptography.exceptions import InvalidTag

        data = _decode(pseudonym)
        if data is None:
            return None
        try:
            filled = self._cipher.decrypt(data, _ACCOUNT_AAD)
        except InvalidTag:
            return None
        return filled.rstrip(b"\0").removesuffix(_PADDING_MARK).decode()

    def encrypt_column(self, names: pl.Series) -> pl.Series:
        """``names`` (String or Categorical) as pseudonyms of the same type; nulls stay null.

        Each distinct name is encrypted once.
        """
        distinct = names.unique().drop_nulls()
        made = [self.encrypt(name) for name in distinct.cast(pl.String)]
        theirs = pl.Series(made, dtype=pl.String).cast(names.dtype)
        return names.replace_strict(distinct, theirs, default=None, return_dtype=names.dtype)


def load_if_enabled(settings: Settings) -> Pseudonyms | None:
    """What the settings ask for: pseudonyms of their key, or None. Raises SettingsError."""
    return load(settings) if settings.pseudonyms else None


def load(settings: Settings) -> Pseudonyms:
    """Pseudonyms of the settings' key, switched on or not. Raises SettingsError."""
    return Pseudonyms.from_key(keys.read(settings))


def key_check_for(settings: Settings) -> str:
    """Which key the settings ask for, as ``Pseudonyms.key_check``; empty where none."""
    found = load_if_enabled(settings)
    return found.key_check if found is not None else ""


def mismatch(held: str, wanted: str) -> tuple[str, str] | None:
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


def is_pseudonym(text: str) -> bool:
    """Whether a text could be a pseudonym, of whatever key."""
    return _decode(text) is not None


def _pad(name: bytes) -> bytes:
    marked = name + _PADDING_MARK
    return marked + bytes(-len(marked) % PADDING_BLOCK)


def _encode(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _decode(pseudonym: str) -> bytes | None:
    """What stands behind the prefix; None where it is not what ``of`` can have made."""
    if not _PATTERN.fullmatch(pseudonym):
        return None
    text = pseudonym.removeprefix(PREFIX).upper()
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        return None
    whole = len(data) > _TAG_BYTES and (len(data) - _TAG_BYTES) % PADDING_BLOCK == 0
    # Bits that no byte needs could make two texts of one pseudonym.
    return data if whole and PREFIX + _encode(data) == pseudonym else None
