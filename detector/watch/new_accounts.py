"""Names that nobody knows, by day: a rise in them is a new system, or somebody who invents them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from detector.core.formatting import percentage, quantity
from detector.ledger.data_quality import MIN_COUNT

#: Names that are kept at most: beyond them, more are told already.
MAX_NAMES: Final = 2_000_000


@dataclass(slots=True)
class NewAccounts:
    """``known_accounts`` are the accounts of training, and of the days before the newest."""

    known_accounts: set[str]
    day: date = date.min
    day_accounts: set[str] = field(default_factory=set)

    def add(self, day: date, accounts: Iterable[str]) -> None:
        """Accounts that were active on a day; late ones of days before are known from then on."""
        if day > self.day:
            self.known_accounts |= self.day_accounts
            self.day, self.day_accounts = day, set()
        kept = self.day_accounts if day == self.day else self.known_accounts
        if len(kept) < MAX_NAMES:
            kept.update(accounts)

    def warning(self, most: float) -> str:
        """What to say where more than the share ``most`` of the newest day's are new."""
        new = len(self.day_accounts - self.known_accounts)
        if new < MIN_COUNT or new <= most * len(self.day_accounts):
            return ""
        many = f"{quantity(new, 'account')} of {self.day}'s {len(self.day_accounts):,}"
        part = percentage(new / len(self.day_accounts))
        said = f"{many} ({part}) were never seen before"
        return f"{said}: new hires, a new system, or invented names"
