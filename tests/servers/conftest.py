"""A real PostgreSQL with pgaudit for each test that asks for one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from office.server import Server, UnavailableError, running


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Skips without PostgreSQL and pgaudit; fails instead where DETECTOR_REQUIRE_SERVERS=1."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        context = running(Path(folder) / "server")
        try:
            server = context.__enter__()
        except UnavailableError as error:
            if os.environ.get("DETECTOR_REQUIRE_SERVERS") == "1":
                pytest.fail(f"DETECTOR_REQUIRE_SERVERS=1, but {error}")
            pytest.skip(str(error))
        try:
            yield server
        finally:
            context.__exit__(None, None, None)
