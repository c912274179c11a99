"""A log that is written, rotated and compressed as servers do it."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import time
from pathlib import Path

#: Bytes after which the log is rotated, about.
ROTATED = 1_000_000


class Writer:
    """Appends ``data`` to a log in ``folder``, from where ``at`` says."""

    def __init__(self, folder: Path, data: bytes, chance: random.Random) -> None:
        self.log = folder / "audit.ndjson"
        self.data = data
        self.at = 0
        self.chance = chance
        self.number = 0
        self.rotations = {"renamed": 0, "copied": 0, "compressed": 0}

    def write(self, seconds: float, until: int) -> None:
        """Up to ``until``, in about so many seconds."""
        end = time.monotonic() + seconds
        while self.at < until:
            left = end - time.monotonic()
            share = 1.0 if left <= 0 else min(1.0, 0.05 / max(left, 0.05))
            size = max(1, round((until - self.at) * share * self.chance.uniform(0.5, 1.5)))
            with self.log.open("ab") as file:
                file.write(self.data[self.at : min(until, self.at + size)])
            self.at = min(until, self.at + size)
            if self.log.stat().st_size > ROTATED * self.chance.uniform(0.5, 1.5):
                self._rotate()
            if left > 0:
                time.sleep(min(left, 0.05))

    def _rotate(self) -> None:
        self._end_line()
        self.number += 1
        old = self.log.with_name(f"{self.log.name}.{self.number}")
        if self.chance.random() < 0.5:
            self.log.rename(old)
            self.rotations["renamed"] += 1
        else:
            shutil.copy(self.log, old.with_name(f".{old.name}"))
            old.with_name(f".{old.name}").rename(old)
            os.truncate(self.log, 0)
            self.rotations["copied"] += 1
        before = self.log.with_name(f"{self.log.name}.{self.number - 2}")
        if before.exists() and self.chance.random() < 0.5:
            packed = before.with_name(f".{before.name}.gz")
            packed.write_bytes(gzip.compress(before.read_bytes(), 1))
            packed.rename(before.with_name(f"{before.name}.gz"))
            before.unlink()
            self.rotations["compressed"] += 1

    def _end_line(self) -> None:
        """Programs end their line before they go on in another file."""
        end = self.data.find(b"\n", self.at) + 1 or len(self.data)
        if self.at and self.data[self.at - 1 : self.at] != b"\n":
            with self.log.open("ab") as file:
                file.write(self.data[self.at : end])
            self.at = end
