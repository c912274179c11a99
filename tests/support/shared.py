"""What is dear to make, and that no test changes, is made once in a run of the tests."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled, in whichever process of the run came to it first.

    What a failed ``make`` left behind is not taken for whole: who asks next makes it anew.
    """
    own = factory.getbasetemp()
    # Processes of pytest-xdist have their folders in one.
    top = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, whole = top / name, top / f"{name}.whole"
    with (top / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


@contextmanager
def no_space_beyond(size: int) -> Iterator[None]:
    """No file can be made larger, as on a full disk: the kernel refuses it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
