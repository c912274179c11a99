"""Finds parts by where they stand: each module of a package defines one, of one type.

Loud on mistakes: a module without its part, or two parts of one name, is an error at once.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import TypeVar

from detector.reading.source import Source

Part = TypeVar("Part")


def parts(package: ModuleType, attribute: str, kind: type[Part]) -> list[Part]:
    """The ``attribute`` of every module in ``package``, in the modules' order by name.

    Raises TypeError where a module lacks it or has something else there.
    """
    found: list[Part] = []
    for module_info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        part = getattr(module, attribute, None)
        if not isinstance(part, kind):
            raise TypeError(f"{module.__name__} must define {attribute}, a {kind.__name__}")
        found.append(part)
    return found


@cache
def sources() -> dict[str, Source]:
    """All log formats by name."""
    from detector import sources as package

    found = {source.name: source for source in parts(package, "SOURCE", Source)}
    if len(found) != len(list(pkgutil.iter_modules(package.__path__))):
        raise TypeError("two sources have the same name")
    return found
