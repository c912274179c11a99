"""What reading a log leaves open, for what is read after it: plain data that goes to disk as JSON.

It may hold names from the log. So each field says what becomes of it where names are pseudonyms,
and one that does not say so cannot be used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

#: What a field's metadata say: whether it is pseudonymized.
PSEUDONYMIZED: Final = "pseudonymized"
#: All of the text; the keys of a mapping alone; or nothing, as no name can be in it.
WHOLE: Final = {PSEUDONYMIZED: "whole"}
KEYS: Final = {PSEUDONYMIZED: "keys"}
PLAIN: Final = {PSEUDONYMIZED: "no"}


@dataclass(frozen=True, slots=True)
class ReaderState:
    """``sessions`` are for the files after this one, all else is for the next piece of the same.

    ``sessions`` has, by what the log calls a session, or by a user's name, what goes on in the next
    file: for pgaudit the last statement of each session, so that a statement whose lines straddle a
    rotation counts once whether the two files are read in one run or on two days. ``pending`` are
    records that may go on, as the source encodes them. ``header`` is that of a CSV, ``shape`` what
    the beginning of the file showed, ``sample_size`` how many bytes of it were looked at.
    """

    sessions: Mapping[str, str] = field(default_factory=dict, metadata=KEYS)
    pending: str = field(default="", metadata=WHOLE)
    #: Names of columns and keys: those of the application, which are no accounts.
    header: str = field(default="", metadata=PLAIN)
    shape: str = field(default="", metadata=PLAIN)
    sample_size: int = field(default=0, metadata=PLAIN)

    def for_next_file(self) -> ReaderState:
        """What of it is for the files after this one."""
        return ReaderState(self.sessions)

    def without_pending(self) -> ReaderState:
        """All but the records that may go on."""
        return replace(self, pending="")

    def after(self, earlier: ReaderState) -> ReaderState:
        """It with the sessions of ``earlier`` files; of one that both have, its own word wins."""
        return replace(self, sessions={**earlier.sessions, **self.sessions})

    def map_names(self, name: Callable[[str], str], text: Callable[[str], str]) -> ReaderState:
        """It with ``name`` of each name, and ``text`` of each text, that is pseudonymized."""
        made = {
            each.name: _mapped(getattr(self, each.name), each.metadata[PSEUDONYMIZED], name, text)
            for each in fields(self)
        }
        return ReaderState(**made)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ReaderState:
        """What ``to_dict`` made, or what was one mapping of texts once.

        Raises TypeError and ValueError.
        """
        if "sessions" in raw and not isinstance(raw["sessions"], str):
            return cls(**{**raw, "sessions": dict(raw["sessions"])})
        rest = dict(raw)
        return cls(
            pending=rest.pop("held", ""),
            header=rest.pop("header", ""),
            shape=rest.pop("shape", ""),
            sample_size=int(rest.pop("seen", "0")),
            sessions=rest,
        )


def _mapped(value: Any, how: str, name: Callable[[str], str], text: Callable[[str], str]) -> Any:
    if how == "keys":
        return {name(key): each for key, each in value.items()}
    if how == "whole":
        return text(value) if value else value
    if how == "no":
        return value
    raise ValueError(f"a field of ReaderState is pseudonymized in no way that is known: {how!r}")
