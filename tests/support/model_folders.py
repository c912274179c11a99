"""Model folders that someone changed, with the checksums mended as whoever changes them can."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from small_office import FAMILIES

from detector.core.errors import ModelError
from detector.model import store


def refused(folder: Path) -> str:
    """What is said of the folder: one line that names it."""
    with pytest.raises(ModelError) as error:
        store.load(folder, FAMILIES)
    text = str(error.value)
    assert "\n" not in text
    assert str(folder) in text
    return text


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes model.json."""
    head = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    change(head)
    head.pop("checksum")
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps({**head, "checksum": digest}), encoding="utf-8")


def replaced(folder: Path, name: str, data: bytes) -> None:
    """Another file in the place of one."""
    (folder / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    rewrite(folder, lambda head: head["files"].update({name: digest}))


def parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()
