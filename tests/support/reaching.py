"""Holds a property to reaching the case that it is about.

A property that returns early, or compares nothing with nothing, passes without proving anything.
The test says of each example whether the case occurred; too few examples with it fail the test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from hypothesis import event

_CASES: Counter[str] = Counter()
_EXAMPLES = "examples"


def occurred(**cases: bool) -> None:
    """Notes an example and which cases occurred in it. Call it once an example."""
    _CASES[_EXAMPLES] += 1
    for name, here in cases.items():
        _CASES[name] += here
        event(f"{name}: {bool(here)}")


def reaches(**shares: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Demands that each case occurs in so large a share of a property's examples.

    Stands above ``given``. Cases and examples are those of ``occurred``.
    """

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(test)
        def run(*args: Any, **others: Any) -> None:
            _CASES.clear()
            test(*args, **others)
            found = {name: _CASES[name] / max(_CASES[_EXAMPLES], 1) for name in shares}
            assert {name: found[name] >= least for name, least in shares.items()} == dict.fromkeys(
                shares, True
            ), found

        return run

    return decorate
