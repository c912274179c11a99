"""Text is read and written as UTF-8, whatever the locale: LANG=C is what services often have."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
FILES = sorted((TOP / "detector").rglob("*.py"))


def unsaid(source: str) -> list[int]:
    """Lines that read or write text and leave its encoding to the locale.

    What ``open`` opens is held by ruff's PLW1514, which does not know the type of every path.
    """
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"read_text", "write_text"}
        and not any(each.arg == "encoding" for each in node.keywords)
    ]


def test_every_file_of_text_has_an_encoding():
    found = {str(path): unsaid(path.read_text(encoding="utf-8")) for path in FILES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("call", ["path.read_text()", "path.write_text(x)", "a.b().read_text('r')"])
def test_a_file_without_one_would_be_found(call):
    assert unsaid(f"x = 1\n{call}\n") == [2]
    assert unsaid("path.read_text(encoding='utf-8')") == []
