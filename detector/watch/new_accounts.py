"""Names that nobody knows, by day: a rise in them is a new system, or somebody who invents them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from detector.core.formatting import counted, share
from detector.ledger.data_quality import FEW

#: Names that are kept at most: beyond them, more are told already.
MOST: Final = 2_000_000


@dataclass(slots=True)
class Newcomers:
    """``known`` are the accounts of training, and of the days before the newest."""

    known: set[str]
    day: date = date.min
    seen: set[str] = field(default_factory=set)

    def add(self, day: date, accounts: Iterable[str]) -> None:
        """Accounts that were active on a day; late ones of days before are known from then on."""
        if day > self.day:
            self.known |= self.seen
            self.day, self.seen = day, set()
        kept = self.seen if day == self.day else self.known
        if len(kept) < MOST:
            kept.update(accounts)

    def words(self, most: float) -> str:
        """What to say where more than the share ``most`` of the newest day's are new."""
        new = len(self.seen - self.known)
        if new < FEW or new <= most * len(self.seen):
            return ""
        many = f"{counted(new, 'account')} of {self.day}'s {len(self.seen):,}"
        part = share(new / len(self.seen))
        said = f"{many} ({part}) were never seen before"
        return f"{said}: new hires, a new system, or invented names"
