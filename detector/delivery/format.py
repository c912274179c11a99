"""What an alert format is: a frozen value with one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from detector.alerts.alert import Alert

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Format:
    r"""One shape of an alert.

    ``title`` is one line for people. ``encode`` gives one record in UTF-8, without ``\n`` or ``\r``
    anywhere; the same alert gives the same bytes. ``is_syslog`` says that the record is a whole RFC
    5424 message already, which ``syslog.wrap_record`` must not wrap again. ``variants`` are formats
    of their own, such as older versions of the schema, under names of their own.
    """

    name: str
    title: str
    media_type: str
    encode: Callable[[Alert], bytes]
    is_syslog: bool = False
    variants: tuple[Format, ...] = ()

    @property
    def is_json(self) -> bool:
        """Whether records are JSON objects, fit for an .ndjson file."""
        return self.media_type == JSON
