"""Frames as text, for what a log read in pieces holds back between one piece and the next."""

from __future__ import annotations

import base64
import io

import polars as pl


def text_of(frame: pl.DataFrame) -> str:
    """The frame as Arrow IPC in base 64."""
    held = io.BytesIO()
    frame.write_ipc(held)
    return base64.b64encode(held.getvalue()).decode()


def frame_of(text: str) -> pl.DataFrame:
    """What ``text_of`` made."""
    return pl.read_ipc(io.BytesIO(base64.b64decode(text)))
