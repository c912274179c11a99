"""A part that is misspelt or forgotten is an error, never one format fewer."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from detector.normalize.source import Source
from detector.registry import SOURCE_SIGNS, find_vendor_parts
from detector.sources.generic.csv import SOURCE

WHOLE = "from detector.sources.generic.csv import SOURCE\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """A package of one vendor, with modules of these texts."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**modules: str) -> ModuleType:
        vendor = tmp_path / "made_up_sources" / "vendor"
        vendor.mkdir(parents=True)
        (vendor.parent / "__init__.py").touch()
        (vendor / "__init__.py").touch()
        for name, text in modules.items():
            (vendor / f"{name}.py").write_text(text, encoding="utf-8")
        return importlib.import_module("made_up_sources")

    yield write
    for name in [name for name in sys.modules if name.startswith("made_up_sources")]:
        del sys.modules[name]


def find(package: ModuleType) -> list[Source]:
    return find_vendor_parts(package, "SOURCE", Source, SOURCE_SIGNS)


def test_a_parser_beside_a_format_is_none(package: Callable[..., ModuleType]) -> None:
    assert find(package(log=WHOLE, lines="def parse():\n    return None\n")) == [SOURCE]


@pytest.mark.parametrize(
    "text",
    [
        "def accepts(sample):\n    return False\nSOURCES = None\n",
        "PRESET = None\n",
        "SOURCE = None\n",
    ],
)
def test_a_format_without_its_source_is_an_error(
    package: Callable[..., ModuleType], text: str
) -> None:
    with pytest.raises(TypeError, match=r"made_up_sources\.vendor\.other must define SOURCE"):
        find(package(log=WHOLE, other=text))


def test_a_vendor_without_a_format_is_an_error(package: Callable[..., ModuleType]) -> None:
    with pytest.raises(TypeError, match=r"no module of made_up_sources\.vendor defines SOURCE"):
        find(package(lines="def parse():\n    return None\n"))
