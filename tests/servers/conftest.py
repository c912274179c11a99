"""A real PostgreSQL, MariaDB, MySQL or ClickHouse for each module of tests that asks for one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from simulation.loopback import UnavailableError
from simulation.office import clickhouse as office_clickhouse
from simulation.office import mariadb as office_mariadb
from simulation.office import mysql as office_mysql
from simulation.office.clickhouse import ClickHouse
from simulation.office.mariadb import MariaDB
from simulation.office.mysql import MySQL
from simulation.office.server import Server, running

Started = TypeVar("Started")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    """Skips without PostgreSQL and pgaudit; fails instead where DETECTOR_REQUIRE_SERVERS=1."""
    with _started(running) as server:
        yield server


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    """Skips without MariaDB; fails instead where DETECTOR_REQUIRE_SERVERS=1."""
    with _started(office_mariadb.running) as server:
        yield server


@pytest.fixture(scope="module")
def mysql() -> Iterator[MySQL]:
    """Skips where MySQL was not unpacked, whatever is required: not every machine can have it."""
    if not office_mysql.unpacked():
        pytest.skip(f"no MySQL is in {office_mysql.HOME} (scripts/unpack_mysql lays it there)")
    with _started(office_mysql.running) as server:
        yield server


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouse]:
    """Skips without ClickHouse; fails instead where DETECTOR_REQUIRE_SERVERS=1."""
    with _started(office_clickhouse.running) as server:
        yield server


@pytest.fixture(scope="module")
def explaining() -> Iterator[Server]:
    """A PostgreSQL with auto_explain beside pgaudit, which some roles are not audited by."""
    settings = {
        "shared_preload_libraries": "pgaudit,auto_explain",
        "log_min_duration_statement": "0",
        "auto_explain__log_min_duration": "0",
        "auto_explain__log_analyze": "on",
        "auto_explain__log_timing": "off",
        "auto_explain__log_format": "json",
        "auto_explain__log_verbose": "on",
    }
    with _started(running, **settings) as server:
        yield server


@pytest.fixture
def rotating() -> Iterator[Server]:
    """A PostgreSQL with pgaudit that begins another log every 64 kB."""
    settings = {"log_rotation_size": "64", "log_filename": "postgresql-%H%M%S"}
    with _started(running, **settings) as server:
        yield server


@contextmanager
def _started(
    run: Callable[..., AbstractContextManager[Started]], **settings: str
) -> Iterator[Started]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        context = run(Path(folder) / "server", **settings)
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
