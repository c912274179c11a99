"""The audit of pseudonyms turned back: who asked for which one, when and why; never the name."""

from __future__ import annotations

import json
import os
import pwd
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from detector.core import files
from detector.core.errors import InputError

FILE_NAME: Final = "reveal-audit.ndjson"
#: The account that logged in stays the same under sudo and su (man 7 audit, loginuid).
_LOGINUID_FILE: Final = Path("/proc/self/loginuid")
_UNSET_LOGINUID: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class RevealAttempt:
    """``pseudonym`` is None where what was given has not the form of one: it may be a name.

    ``name`` is None where it could not be turned back.
    """

    pseudonym: str | None
    name: str | None


def write(
    path: Path, attempts: Sequence[RevealAttempt], by: str | None, reason: str | None
) -> None:
    """Appends a line for each attempt, on disk for good. Raises InputError where it cannot.

    Keys: time (UTC), by, os_user, pseudonym, revealed, reason.
    """
    time = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    told = _redact_names(reason, attempts)
    user = _login_user()
    lines = [
        {
            "time": time,
            "by": by,
            "os_user": user,
            "pseudonym": attempt.pseudonym,
            "revealed": attempt.name is not None,
            "reason": told,
        }
        for attempt in attempts
    ]
    try:
        _append(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
    except OSError as error:
        hint = (
            "no pseudonym is turned back without its audit line; name a file that can be "
            'written with reveal_audit = "..."'
        )
        raise InputError.not_written(error, path, hint) from error


def _append(path: Path, data: bytes) -> None:
    with files.open_locked_append(path) as handle:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":  # a line that a crash cut
            data = b"\n" + data
        files.append(handle, data)


def _redact_names(reason: str | None, attempts: Sequence[RevealAttempt]) -> str | None:
    """A reason in which who wrote it guessed right: the name is not for the audit to tell."""
    for attempt in attempts:
        if reason and attempt.name and attempt.pseudonym:
            whole = rf"(?<!\w){re.escape(attempt.name)}(?!\w)"
            reason = re.sub(whole, attempt.pseudonym, reason, flags=re.IGNORECASE)
    return reason


def _login_user() -> str:
    number = os.getuid()
    try:
        login = int(_LOGINUID_FILE.read_text(encoding="ascii"))
        number = login if login != _UNSET_LOGINUID else number
    except (OSError, ValueError):
        pass  # not of this kernel
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
