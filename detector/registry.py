"""Finds parts by where they stand: each module of a package defines one, of one type.

Loud on mistakes: a module without its part, or two parts of one name, is an error at once.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from functools import cache
from types import ModuleType
from typing import Final, TypeVar

from detector.delivery.format import Format
from detector.delivery.sink import Sink
from detector.features.feature import Family
from detector.normalize import wrapped_logs
from detector.normalize.source import Source

Part = TypeVar("Part")
#: What a module of a log format has, be its ``SOURCE`` forgotten or misspelt.
SOURCE_SIGNS: Final = ("PRESET", "accepts")


def find_parts(package: ModuleType, attribute: str, kind: type[Part]) -> list[Part]:
    """The ``attribute`` of every module in ``package``, in the modules' order by name.

    Raises TypeError where a module lacks it or has something else there.
    """
    return [_find_part(module, attribute, kind) for module in _import_modules(package)]


def _import_modules(package: ModuleType) -> list[ModuleType]:
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def _find_part(module: ModuleType, attribute: str, kind: type[Part]) -> Part:
    part = getattr(module, attribute, None)
    if not isinstance(part, kind):
        raise TypeError(f"{module.__name__} must define {attribute}, a {kind.__name__}")
    return part


def find_vendor_parts(
    package: ModuleType, attribute: str, kind: type[Part], signs: Collection[str]
) -> list[Part]:
    """The ``attribute`` of every module that should have one, in the packages of ``package``.

    It should where it defines the attribute or one of ``signs``; other modules of a vendor are
    its parser. Raises TypeError where such a module lacks it, and where a package has none.
    """
    found: list[Part] = []
    for vendor in _import_modules(package):
        names = {attribute, *signs}
        modules = [module for module in _import_modules(vendor) if names & vars(module).keys()]
        if not modules:
            raise TypeError(f"no module of {vendor.__name__} defines {attribute}")
        found += [_find_part(module, attribute, kind) for module in modules]
    return found


def _index_by_name(found: list[Part], package: ModuleType) -> dict[str, Part]:
    named = {str(part.name): part for part in found}  # type: ignore[attr-defined]
    if len(named) != len(found):
        raise TypeError(f"two parts of {package.__name__} have the same name")
    return named


@cache
def sources() -> dict[str, Source]:
    """All log formats by name."""
    from detector import sources as package

    found = _index_by_name(find_vendor_parts(package, "SOURCE", Source, SOURCE_SIGNS), package)
    return {name: wrapped_logs.follow_envelopes(source) for name, source in found.items()}


@cache
def formats() -> dict[str, Format]:
    """All alert formats by name, with their variants."""
    from detector.delivery import formats as package

    found = [
        each
        for part in _index_by_name(find_parts(package, "FORMAT", Format), package).values()
        for each in (part, *part.variants)
    ]
    named = {part.name: part for part in found}
    if len(named) != len(found):
        raise TypeError("two formats have the same name")
    return named


@cache
def sinks() -> dict[str, Sink]:
    """All kinds of destinations by the schemes of their URLs."""
    from detector.delivery import sinks as package

    kinds = _index_by_name(find_parts(package, "SINK", Sink), package).values()
    found = {scheme: sink for sink in kinds for scheme in sink.schemes}
    if len(found) != sum(len(sink.schemes) for sink in kinds):
        raise TypeError("two sinks take the same scheme")
    return found


@cache
def families() -> tuple[Family, ...]:
    """All families of features, in the order of their names."""
    from detector.features import catalogue as package

    found = tuple(_index_by_name(find_parts(package, "FAMILY", Family), package).values())
    names = [feature.name for family in found for feature in family.features]
    if len(set(names)) != len(names):
        raise TypeError("two features have the same name")
    return found
