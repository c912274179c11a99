"""Keeps everyone else out of the ledger for as long as the state has what is not in it."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass

from detector.core.errors import DetectorError
from detector.ledger import lease
from detector.ledger.lease import Lease
from detector.ledger.store import Ledger
from detector.watch.log_position import STREAMS, Log
from detector.watch.state import State


@dataclass(slots=True)
class LedgerLease:
    """Of one ledger by one state. The file is there before the first event is counted."""

    ledger: Ledger
    state: State
    _last_lease: Lease | None = None

    def save(self) -> None:
        """What is held now. Raises LedgerError."""
        found = self._current_lease()
        if found == self._last_lease:
            return
        try:
            lease.save(self.ledger.path, found)
        except OSError as error:
            raise self.ledger.write_error(error) from error
        self._last_lease = found

    def release(self) -> None:
        """Lets go of it where all is in the ledger; where that cannot be told, it stays held."""
        with suppress(OSError, sqlite3.Error, DetectorError):
            found = self._current_lease()
            if found.days or found.logs:
                self.save()
            else:
                lease.release(self.ledger.path)

    def _current_lease(self) -> Lease:
        logs = sum(_has_uncommitted(log) for log in self.state.logs())
        folder = str(self.state.folder.absolute())
        return Lease(self.state.facts()["id"], folder, tuple(self.state.days()), logs)


def _has_uncommitted(log: Log) -> bool:
    """Whether batch would take what was read of a log for new. What is no file it cannot read."""
    if log.form in STREAMS or not log.has_content or log.listed:
        return False
    return log.stage == "open" or (log.stage == "ended" and (log.unhashed or bool(log.content)))
