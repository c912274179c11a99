"""Secrets of sinks: from the environment or a file, read when they are needed, never shown."""

from __future__ import annotations

import os
from pathlib import Path

from detector.delivery.config import SinkConfig
from detector.delivery.sink import Unreachable


def read_secret(target: SinkConfig) -> str | None:
    """None where none is named. Raises Unreachable where what is named is not there.

    A secret that is missing this morning holds back its own sink, not the others.
    """
    if target.token_env:
        found = os.environ.get(target.token_env, "").strip()
        if not found:
            raise Unreachable(f"the variable {target.token_env} is not set")
        return found
    if not target.token_file:
        return None
    try:
        found = Path(target.token_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreachable(f"{target.token_file} cannot be read: {_error_text(error)}") from None
    if not found:
        raise Unreachable(f"{target.token_file} is empty")
    return found


def _error_text(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is no text"
