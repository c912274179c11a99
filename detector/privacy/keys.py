"""The key of pseudonyms: from the environment or a file, read when it is needed, never shown."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from detector.core.errors import SettingsError
from detector.core.settings import Settings

#: AES-SIV takes two AES keys: of 128, 192 or 256 bits each (RFC 5297, section 2.2).
SIZES: Final = (32, 48, 64)
#: Random keys of 32 bytes with fewer different bytes do not occur; those that people type do.
MIN_DISTINCT_BYTES: Final = 16
KEYGEN_HINT: Final = "make one with: openssl rand -hex 64"

#: More than any key file holds.
_MAX_FILE_BYTES: Final = 4096
#: Permissions of others than the owner.
_GROUP_OTHER_BITS: Final = 0o077


def read(settings: Settings) -> bytes:
    """The key that ``settings`` name: of the variable where that is set, else of the file.

    Raises SettingsError, which never quotes the key, where there is none, or none fit for use.
    """
    variable, file = settings.pseudonym_key_env, settings.pseudonym_key_file
    if variable and os.environ.get(variable):
        return _parse_key(os.environ[variable], f"variable {variable}")
    if file:
        return _parse_key(_read_file(Path(file)), file)
    if variable:
        raise SettingsError("is not set", where=f"variable {variable}", hint=KEYGEN_HINT)
    raise SettingsError(
        "no key for pseudonyms", hint="name it with pseudonym_key_file or pseudonym_key_env"
    )


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _GROUP_OTHER_BITS:
                raise SettingsError(
                    f"is open to others than its owner (mode {mode:04o})",
                    where=path,
                    hint=f"chmod 600 {path}",
                )
            return file.read(_MAX_FILE_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}", where=path, hint=KEYGEN_HINT
        ) from None


def _parse_key(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        raise SettingsError(
            "is no key in hexadecimal digits", where=where, hint=KEYGEN_HINT
        ) from None
    if len(key) not in SIZES:
        wanted = ", ".join(str(2 * size) for size in SIZES)
        what = f"has {2 * len(key)} hexadecimal digits, and a key has one of {wanted}"
        raise SettingsError(what, where=where, hint=KEYGEN_HINT)
    if len(set(key)) < MIN_DISTINCT_BYTES:
        raise SettingsError("is no random key", where=where, hint=KEYGEN_HINT)
    return key
