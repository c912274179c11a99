"""Finds parts by where they stand: each module of a package defines one, of one type.

Loud on mistakes: a module without its part, or two parts of one name, is an error at once.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import TypeVar

from detector.features.feature import Family
from detector.feed.format import Format
from detector.feed.sink import Sink
from detector.reading import plain
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


def _by_name(package: ModuleType, attribute: str, kind: type[Part]) -> dict[str, Part]:
    found = parts(package, attribute, kind)
    named = {str(part.name): part for part in found}  # type: ignore[attr-defined]
    if len(named) != len(found):
        raise TypeError(f"two parts of {package.__name__} have the same name")
    return named


@cache
def sources() -> dict[str, Source]:
    """All log formats by name."""
    from detector import sources as package

    found = _by_name(package, "SOURCE", Source)
    return {name: plain.growing(source) for name, source in found.items()}


@cache
def formats() -> dict[str, Format]:
    """All alert formats by name, with their variants."""
    from detector import formats as package

    found = [
        each
        for part in _by_name(package, "FORMAT", Format).values()
        for each in (part, *part.variants)
    ]
    named = {part.name: part for part in found}
    if len(named) != len(found):
        raise TypeError("two formats have the same name")
    return named


@cache
def sinks() -> dict[str, Sink]:
    """All kinds of destinations by the schemes of their URLs."""
    from detector import sinks as package

    kinds = _by_name(package, "SINK", Sink).values()
    found = {scheme: sink for sink in kinds for scheme in sink.schemes}
    if len(found) != sum(len(sink.schemes) for sink in kinds):
        raise TypeError("two sinks take the same scheme")
    return found


@cache
def families() -> tuple[Family, ...]:
    """All families of features, in the order of their names."""
    from detector.features import families as package

    found = tuple(_by_name(package, "FAMILY", Family).values())
    names = [feature.name for family in found for feature in family.features]
    if len(set(names)) != len(names):
        raise TypeError("two features have the same name")
    return found
