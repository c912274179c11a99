"""Frames as bytes and as text: what a log read in pieces holds back, and what a state keeps."""

from __future__ import annotations

import base64
import io

import polars as pl


def encode(frame: pl.DataFrame) -> bytes:
    """The frame as Arrow IPC."""
    out = io.BytesIO()
    frame.write_ipc(out, compression="zstd")
    return out.getvalue()


def decode(data: bytes) -> pl.DataFrame:
    """What ``encode`` made. Raises polars' errors, or ValueError, on anything else."""
    return pl.read_ipc(io.BytesIO(data))


def encode_text(frame: pl.DataFrame) -> str:
    """The frame as text."""
    return base64.b64encode(encode(frame)).decode()


def decode_text(text: str) -> pl.DataFrame:
    """What ``encode_text`` made."""
    return decode(base64.b64decode(text))
