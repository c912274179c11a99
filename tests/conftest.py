"""Runs the command in this process, as a shell would see it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import settings

from detector.cli.app import run

# The small office, which tests of many packages look at: made once in a process.
pytest_plugins = ["office_fixtures"]

# One profile for all properties. No deadline: a loaded machine is no defect. The same examples each
# time, so that a test that turns red tells of a change; DETECTOR_FRESH_SEEDS=1 draws others.
FRESH = os.environ.get("DETECTOR_FRESH_SEEDS") == "1"
settings.register_profile("detector", deadline=None, derandomize=not FRESH, print_blob=True)
settings.load_profile("detector")

# What ``scripts/test`` without --all draws: see ``properties``.
settings.register_profile("quick", max_examples=settings().max_examples // 5)

UMASK = os.umask(0o022)
os.umask(UMASK)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, or one process would be left with them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _permissions() -> Iterator[None]:
    """The command withholds permissions from all that its process writes; tests share one."""
    os.umask(UMASK)  # a fixture of the whole session may have run the command before
    yield
    os.umask(UMASK)


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
