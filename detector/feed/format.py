"""A format of alerts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from detector.alerts.alert import Alert


@dataclass(frozen=True, slots=True)
class Format:
    """``encode`` gives one record, without a trailing newline and without a raw newline in it."""

    name: str
    media_type: str
    encode: Callable[[Alert], bytes]
    is_syslog: bool = False

    @property
    def is_json(self) -> bool:
        """Whether records are JSON objects."""
        return self.media_type == "application/json"
