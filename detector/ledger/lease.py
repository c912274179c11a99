"""Who has a ledger's newest days, while they are not in it: a watcher's state, named in a file.

The same logs taken in by anyone else would count twice, so nobody else may write meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from detector.core.errors import LedgerError
from detector.core.files import sync
from detector.ledger import manifest

FILE_NAME: Final = "watched.json"


@dataclass(frozen=True, slots=True)
class Lease:
    """``state`` is the id of a watcher's state, ``folder`` where that was; ``days`` are those that
    it has, and ``logs`` how many logs it has read of which the ledger knows nothing yet.
    """

    state: str
    folder: str
    days: tuple[date, ...] = ()
    logs: int = 0


def load(ledger: Path) -> Lease | None:
    """Who holds a ledger. Raises LedgerError where the file is damaged."""
    path = ledger / FILE_NAME
    if not path.exists():
        return None
    raw = manifest.read_json(path, _missing_state_hint(path))
    try:
        return msgspec.convert(raw, Lease)
    except msgspec.ValidationError as error:
        hint = _missing_state_hint(path)
        raise LedgerError(f"damaged ({error})", where=path, hint=hint) from error


def save(ledger: Path, hold: Lease) -> None:
    """On disk when it returns. Raises OSError."""
    told = {"format": manifest.FORMAT_VERSION, **msgspec.to_builtins(hold)}
    manifest.write_json(ledger / FILE_NAME, told)


def release(ledger: Path) -> None:
    """Nobody holds it. Raises OSError."""
    (ledger / FILE_NAME).unlink(missing_ok=True)
    sync(ledger)


def check_holder(ledger: Path, state: str) -> None:
    """Raises LedgerError where another state than ``state`` holds a ledger."""
    hold = load(ledger)
    if hold is None or hold.state == state:
        return
    mend = f"first put them into it: detector watch LOG --once --state {hold.folder}"
    raise LedgerError(
        f"the watcher of state {hold.folder} has {_pending_description(hold)}; what is "
        "written here now would "
        "count twice",
        where=ledger,
        hint=f"{mend}, with the LOGs it followed; {_missing_state_hint(ledger / FILE_NAME)}",
    )


def _pending_description(hold: Lease) -> str:
    if hold.days:
        first, last = hold.days[0], hold.days[-1]
        span = f"{first}" if first == last else f"days of {first} to {last}"
        return f"{span}, not in the ledger yet"
    if hold.logs:
        return "logs that it read and that the ledger does not know yet"
    return "what it read since, not in the ledger yet"


def _missing_state_hint(path: Path) -> str:
    return f"if that state is gone, delete {path}"
