"""Every error a user can meet, as one tree.

    DetectorError              exit 1; one line: where, what, how to mend
    |-- InputError             a log, folder or directory file that cannot be used
    |-- SettingsError          detector.toml or a flag that makes no sense (exit 2)
    |-- LedgerError            a ledger folder that is damaged, foreign or newer
    |-- ModelError             a model folder that is damaged, foreign or newer
    |-- OutboxError            an outbox that is damaged, foreign or newer
    |-- StateError             a watcher's state that is damaged, foreign, newer or in use
    |-- VerdictError           a verdict that cannot be taken, or a damaged file of them
    `-- NotEnoughHistory       the log is too short to learn from

Single bad lines of a log are not errors: they are rejects, kept as data (see
``detector.core.schema.REJECTS``).
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final, Self

#: How to mend what keeps a file from being written, by the number of the system's error.
_WRITE_HINTS: Final = {
    errno.ENOSPC: "free space there, and run it again",
    errno.EDQUOT: "free space there or get a larger quota, and run it again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), and run it again",
    errno.EACCES: "get permission there, or name another place",
    errno.EPERM: "get permission there, or name another place",
    errno.EROFS: "nothing can be written there: name another place",
    errno.EIO: "the disk fails: name a place on another",
}


class DetectorError(Exception):
    """Something the user can mend. ``str()`` is one line, fit to print.

    ``where`` is the file or setting, ``hint`` says how to mend it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | Path | None = None, hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint
        # A file's name may hold bytes that are no UTF-8.
        place = str(where).encode("utf-8", "surrogateescape") if where is not None else b""
        head = f"{place.decode('utf-8', 'backslashreplace')}: {what}" if place else what
        super().__init__(" ".join(f"{head}; {hint}".split()) if hint else " ".join(head.split()))

    @classmethod
    def not_written(cls, error: OSError, where: str | Path, hint: str = "") -> Self:
        """The error that says why ``where``, or the file in it, cannot be written."""
        return cls(
            f"cannot be written ({error.strerror or error})",
            where=error.filename or where,
            hint=hint or write_hint(error),
        )

    @property
    def reason(self) -> str:
        """What is wrong and how to mend it, without where."""
        return f"{self.what}; {self.hint}" if self.hint else self.what


def write_hint(error: OSError) -> str:
    """How to mend what kept a file from being written; empty where nobody knows."""
    return _WRITE_HINTS.get(error.errno or 0, "")


class InputError(DetectorError):
    """A log, a folder of logs, or an account directory that cannot be used."""


class SettingsError(DetectorError):
    """``detector.toml`` or a flag says something that cannot be meant."""

    exit_code = 2


class LedgerError(DetectorError):
    """The ledger folder is damaged, was made by a newer version, or is no ledger."""


class ModelError(DetectorError):
    """The model folder is damaged, foreign, newer, or was made with other features."""


class OutboxError(DetectorError):
    """The outbox is damaged, was made by a newer version, or is no outbox."""


class StateError(DetectorError):
    """The state folder of ``detector watch`` is damaged, newer, in use, or cannot be written."""


class VerdictError(DetectorError):
    """A verdict that cannot be taken, or a file of verdicts or of expectations that is damaged."""


class NotEnoughHistory(DetectorError):  # noqa: N818 - the name is the sentence the user reads
    """The history is too short to learn what is usual."""
