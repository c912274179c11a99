"""Whose record was read, as a keyed hash: enough to count different people by, and no name.

BLAKE2b (RFC 7693) with the key of pseudonyms, where the settings ask for those. Without, its key is
published: the hash hides nobody from who can try the ids, as accounts, whose names then stand in
the ledger, are not hidden either.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from detector.core.settings import Settings
from detector.privacy import keys

#: Bytes of a hash. Of a million people two share one with a chance of 1 in 500, so that no count
#: is off by more than its sampling; and its digits fit where polars keeps short text.
SIZE: Final = 6
#: One key, and no answer for one use is one for another.
_PERSONALIZATION: Final = b"subject 1"
_PUBLISHED_KEY: Final = b"detector"


def hash_subjects(subjects: Sequence[str], settings: Settings) -> list[str]:
    """``2 * SIZE`` hexadecimal digits for each. Raises SettingsError where the key is unfit."""
    secret = keys.read(settings) if settings.pseudonyms else _PUBLISHED_KEY
    keyed = blake2b(digest_size=SIZE, key=secret, person=_PERSONALIZATION)

    def one(subject: str) -> str:
        # What the key does first is done once.
        found = keyed.copy()
        found.update(subject.encode())
        return found.hexdigest()

    return [one(subject) for subject in subjects]
