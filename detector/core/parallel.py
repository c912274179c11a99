"""Work on two cores: threads, for numpy, polars and Cython let others run while they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

MAX_THREADS: Final = 2

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def map_threads(work: Callable[[_In], _Out], each: Iterable[_In]) -> list[_Out]:
    """What ``work`` makes of ``each``, in their order; what it raises is raised."""
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        return list(pool.map(work, each))
