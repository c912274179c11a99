"""Runs the command in this process, as a shell would see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from detector.cli.main import run


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def detector(capsys, monkeypatch) -> Callable[..., Ran]:
    def command(*arguments: object) -> Ran:
        monkeypatch.setattr("sys.argv", ["detector", *map(str, arguments)])
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return command
