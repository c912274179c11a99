"""Making what comes next while what is there is worked on: parsing lets go of Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item], most: int = 1) -> Iterator[Item]:
    """``items``, none of which may be None, of which up to ``most`` are made in advance, in a
    thread of their own. What they raise is raised where it would have been.
    """
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, items, None) for _ in range(most))
        while (item := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, items, None))
            yield item
