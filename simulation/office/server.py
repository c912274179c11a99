"""Starts a private PostgreSQL with pgaudit in a folder of its own, for samples and tests."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulation.loopback import UnavailableError, free_port, unprivileged

SETTINGS = {
    "shared_preload_libraries": "pgaudit",
    "logging_collector": "on",
    "log_destination": "csvlog,jsonlog",
    "log_directory": "log",
    "log_filename": "postgresql.log",
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "log_timezone": "UTC",
    "log_connections": "on",
    "log_disconnections": "on",
    "pgaudit.log": "read,write,ddl,function",
    "pgaudit.log_rows": "on",
    "pgaudit.log_relation": "on",
    "pgaudit.log_catalog": "off",
    "pgaudit.log_parameter": "off",
    "fsync": "off",
    "autovacuum": "off",
    "max_connections": "40",
    "listen_addresses": "*",
}

#: Seconds in which the log collector has to write what it was given.
WRITTEN_WITHIN = 60.0


def binaries() -> Path:
    """The folder of the newest PostgreSQL server that has pgaudit. Raises UnavailableError."""
    folders = [found.parent for found in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    tool = shutil.which("pg_config")
    if tool:
        folders.append(Path(_output([tool, "--bindir"]).strip()))
    servers = [folder for folder in folders if (folder / "initdb").exists()]
    if not servers:
        raise UnavailableError("no PostgreSQL server is installed (initdb was not found)")
    with_pgaudit = [folder for folder in servers if _has_pgaudit(folder)]
    if not with_pgaudit:
        raise UnavailableError(f"pgaudit is not installed for the PostgreSQL in {servers[0]}")
    return max(with_pgaudit, key=lambda folder: [int(p) for p in folder.parts if p.isdigit()])


def _has_pgaudit(folder: Path) -> bool:
    libraries = [folder.parent / "lib"]
    if (folder / "pg_config").exists():
        libraries.append(Path(_output([str(folder / "pg_config"), "--pkglibdir"]).strip()))
    return any((library / "pgaudit.so").exists() for library in libraries)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@dataclass(frozen=True)
class Server:
    """A running cluster: its superuser is ``postgres``, all of loopback is trusted."""

    bin: Path
    data: Path
    port: int
    prefix: tuple[str, ...]

    @property
    def csvlog(self) -> Path:
        """What the log collector writes now, as CSV."""
        return self.data / "log" / "postgresql.csv"

    @property
    def jsonlog(self) -> Path:
        """The same as JSON lines."""
        return self.data / "log" / "postgresql.json"

    def environment(
        self, user: str, host: str = "127.0.0.1", port: int = 0, application: str = "psql"
    ) -> dict[str, str]:
        """What a client needs to connect as ``user``; ``port`` 0 is the server's own."""
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "PGHOST": host,
            "PGPORT": str(port or self.port),
            "PGUSER": user,
            "PGDATABASE": "office",
            "PGAPPNAME": application,
            "PGCONNECT_TIMEOUT": "10",
            "LC_ALL": "C.UTF-8",
        }

    def psql(
        self,
        script: str,
        *,
        user: str = "postgres",
        host: str = "127.0.0.1",
        port: int = 0,
        application: str = "psql",
        options: tuple[str, ...] = (),
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script of psql in one session; its output goes nowhere but the result."""
        return subprocess.run(
            [str(self.bin / "psql"), "-X", "-q", "-A", "-t", *options],
            input=script,
            env=self.environment(user, host, port, application),
            capture_output=True,
            text=True,
            timeout=300,
            check=check,
        )

    def written(self) -> None:
        """Waits until all that was logged before is in the logs: the collector has its own time."""
        mark = f"written up to here {secrets.token_hex(8)}"
        self.psql(f"DO $$BEGIN RAISE LOG '{mark}'; END$$;", application="waiting")
        last = time.monotonic() + WRITTEN_WITHIN
        while not all(self._has(mark, end) for end in (".csv", ".json")):
            if time.monotonic() > last:
                raise TimeoutError("the log collector does not write")
            time.sleep(0.02)

    def _has(self, mark: str, end: str) -> bool:
        """Whether a log of this kind has it, if there is any: what is rotated is another file."""
        logs = sorted(self.csvlog.parent.glob(f"*{end}"), reverse=True)
        return not logs or any(mark.encode() in path.read_bytes() for path in logs)


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Server]:
    """A fresh cluster in ``folder`` with database ``office``; stopped at the end.

    ``settings`` are added to SETTINGS (a dot in a name is written as two underscores). Raises
    UnavailableError. As root the server runs as user postgres or nobody, who then owns ``folder``
    and must be able to reach it: make it with tempfile, not below a private folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tools = binaries()
    prefix = unprivileged(folder, "PostgreSQL", "postgres", 0o700)
    server = Server(tools, folder / "data", free_port(), prefix)
    _run(server, "initdb", "-D", str(server.data), "-U", "postgres", "--auth=trust", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync")  # fmt: skip
    wanted = SETTINGS | {name.replace("__", "."): value for name, value in settings.items()}
    lines = [f"{name} = '{value}'" for name, value in wanted.items()]
    lines += [f"port = {server.port}", f"unix_socket_directories = '{folder}'"]
    with (server.data / "postgresql.conf").open("a") as file:
        file.write("\n".join(lines) + "\n")
    _access(server)
    start = ("-D", str(server.data), "-w", "-t", "60", "-l", str(folder / "start.log"))
    _run(server, "pg_ctl", "start", *start)
    try:
        server.psql("CREATE DATABASE office", options=("-d", "postgres"))
        yield server
    finally:
        _run(server, "pg_ctl", "stop", "-D", str(server.data), "-m", "fast", "-w")


def _access(server: Server) -> None:
    """Trust on loopback, except for a role whose password is asked, so that it can be wrong."""
    (server.data / "pg_hba.conf").write_text(
        "local all all trust\nhost all locked 127.0.0.0/8 scram-sha-256\n"
        "host all all 127.0.0.0/8 trust\n",
        encoding="utf-8",
    )


def _run(server: Server, tool: str, *arguments: str) -> None:
    command = [*server.prefix, str(server.bin / tool), *arguments]
    try:
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            cwd="/",
        )
    except subprocess.CalledProcessError as error:
        raise UnavailableError(
            f"{tool} failed: {' '.join((error.stderr or '').split())}"
        ) from error
