"""What the ledger knows of one ingested input: its manifest, a small JSON file.

Writing the manifest is the commit: what no manifest names is not in the ledger.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from detector.core.errors import LedgerError
from detector.core.files import write_atomically
from detector.core.settings import Settings

#: 2: hours know their minutes. 4: manifests have the digests of their files.
FORMAT_VERSION: Final = 4

#: Bytes that tell most logs apart. Manifests hold hashes of so many: it cannot be changed alone.
HEAD_BYTES: Final = 1 << 16
#: And smaller beginnings, by which a log is known that was cut short.
BEGINNINGS: Final = (1 << 12, 1 << 14, HEAD_BYTES)

#: Keys of the file that have other names here, and the other way round.
_FIELDS: Final = {
    "reading": "settings_fingerprint", "replaces": "replaced_ids", "head": "head_digest",
}  # fmt: skip
_KEYS: Final = {name: key for key, name in _FIELDS.items()}


@dataclass(frozen=True, slots=True)
class Part:
    """One ingested input.

    ``id`` is the sha256 of its decompressed content, which is ``size`` bytes long: a longer
    input that begins with the same bytes is the same log, grown. ``reading`` fingerprints
    the settings it was read with. ``replaced_ids`` are the ids of the contents it stands for
    besides its own. ``first`` and ``last`` are event times (UTC), null without events.
    ``days`` are the ledger's days that have files of it. ``tail`` is what it leaves open.
    ``head_digest`` is the sha256 of its first HEAD bytes, empty where an older detector read it.
    ``digests`` are the sha256 of its Parquet files, by their paths within the ledger.
    ``beginnings`` are the sha256 of its first bytes, by how many they are (BEGINNINGS), and
    ``watched`` what a watcher read, by content: its size, its events and its rejects.
    """

    id: str
    settings_fingerprint: str
    file: str
    source: str
    size: int
    events: int
    rejects: int
    skipped: int
    first: datetime | None
    last: datetime | None
    days: tuple[date, ...]
    tail: dict[str, str] = field(default_factory=dict)
    replaced_ids: tuple[str, ...] = ()
    head_digest: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    beginnings: dict[str, str] = field(default_factory=dict)
    watched: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """How its data files are called.

        Read with other settings it gets other files, so that the old ones stay whole until
        the new manifest is in place.
        """
        return stem(self.id, self.settings_fingerprint)

    @property
    def files(self) -> list[str]:
        """Its Parquet files, by their paths within the ledger."""
        daily = [
            data_path(table, day, self.stem) for day in self.days for table in ("hours", "touched")
        ]
        return [*daily, *([f"rejects/{self.stem}.parquet"] if self.rejects else [])]


def stem(part_id: str, reading: str) -> str:
    """The name, without suffix, of the data files of a content read with some settings."""
    return f"{part_id[:32]}-{reading}"


def data_path(table: str, day: date, stem: str) -> str:
    """Where, within the ledger, the rows of one table, day and part stand."""
    return f"{table}/day={day.isoformat()}/{stem}.parquet"


def settings_fingerprint(source: str, settings: Settings) -> str:
    """16 hex digits of everything that decides how a log's bytes become events."""
    told: list[object] = [source, sorted(settings.columns.items()), settings.log_timezone]
    if settings.identity:  # without rules, as before there were any
        told.append(settings.identity)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def encode(part: Part) -> dict[str, Any]:
    """``part`` as plain JSON."""
    told = msgspec.to_builtins(part)
    return {"format": FORMAT_VERSION, **{_KEYS.get(name, name): told[name] for name in told}}


def load(path: Path) -> Part:
    """The part whose manifest is ``path``. Raises LedgerError where that is damaged."""
    mend = "delete it and score the log again"
    raw = read_json(path, mend)
    try:
        part = msgspec.convert({_FIELDS.get(key, key): raw[key] for key in raw}, Part)
    except msgspec.ValidationError as error:
        raise LedgerError(f"damaged manifest ({error})", where=path, hint=mend) from error
    if (
        path.name != f"{part.id}.json"
        or not _is_hex(part.id)
        or not _is_hex(part.settings_fingerprint)
    ):
        raise LedgerError("damaged manifest (it is another's)", where=path, hint="delete it")
    if set(part.digests) != set(part.files):
        raise LedgerError("damaged manifest (digests of other files)", where=path, hint=mend)
    return part


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """The JSON object in ``path``. Raises LedgerError where it is damaged, newer or older."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise LedgerError(f"cannot be read ({error})", where=path, hint=hint) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("format"), int):
        raise LedgerError("damaged: no ledger's JSON", where=path, hint=hint)
    if raw["format"] > FORMAT_VERSION:
        raise LedgerError(
            f"was written by a newer detector (format {raw['format']}, this one knows "
            f"{FORMAT_VERSION})",
            where=path,
            hint="update detector",
        )
    if raw["format"] < FORMAT_VERSION:
        raise LedgerError(
            f"was written by an older detector (format {raw['format']}, this one needs "
            f"{FORMAT_VERSION})",
            where=path,
            hint="name a new folder for --ledger and take the logs in again",
        )
    return raw


def write_json(path: Path, value: dict[str, Any]) -> None:
    """``value`` in ``path``: after a crash at any moment, the old file or the new one."""
    write_atomically(path, f"{json.dumps(value, indent=1, sort_keys=True)}\n".encode())


def _is_hex(text: str) -> bool:
    """Ids become file names: nothing else may stand in them."""
    return len(text) >= 16 and all(char in "0123456789abcdef" for char in text)
