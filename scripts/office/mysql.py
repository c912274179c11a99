"""Starts a private MySQL, as scripts/unpack_mysql lays it down, for samples and tests."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopback import UnavailableError, free_port, unprivileged

HOME = Path("/opt/mysql")
SETTINGS = {
    "slow_query_log": "1",
    "slow_query_log_file": "slow.log",
    "log_output": "FILE",
    "long_query_time": "0",
    "log_slow_admin_statements": "1",
    "log_slow_extra": "1",
    "secure_file_priv": "",
    "skip_log_bin": "1",
    "skip_name_resolve": "1",
    "mysqlx": "0",
    "innodb_flush_log_at_trx_commit": "0",
    "innodb_redo_log_capacity": "16M",
    "bind_address": "127.0.0.1",
}
PATIENCE = 60


def unpacked() -> bool:
    """Whether there is a MySQL to start."""
    return (HOME / "usr/sbin/mysqld").exists()


def tool(name: str) -> list[str]:
    """A program of MySQL's with the C library that it was unpacked with."""
    [loader] = HOME.glob("usr/lib/*-linux-gnu/ld-linux*.so.?")
    path = f"{loader.parent}:{HOME / 'usr/lib/mysql/private'}"
    return [str(loader), "--library-path", path, str(HOME / "usr" / name)]


@dataclass(frozen=True)
class MySQL:
    """A running server: root has no password on its socket, all of loopback may log in."""

    data: Path
    socket: Path
    port: int

    @property
    def slow_log(self) -> Path:
        """Where all statements are logged, with their rows."""
        return self.data / "slow.log"

    def run(
        self,
        script: str,
        *,
        user: str = "root",
        host: str = "",
        password: str = "",
        database: str = "office",
        program: str = "bin/mysql",
        options: tuple[str, ...] = (),
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script of the client in one session; its output goes nowhere but the result."""
        way = ["-h", host, "-P", str(self.port)] if host else ["-S", str(self.socket)]
        secret = [f"--password={password}"] if password else []
        return subprocess.run(
            [*tool(program), "--no-defaults", "-u", user, *way, *secret, *options, database],
            input=script,
            capture_output=True,
            text=True,
            timeout=300,
            check=check,
        )


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[MySQL]:
    """A fresh server in ``folder`` with database ``office``; stopped at the end.

    ``settings`` are added to SETTINGS. Raises UnavailableError. As root the server runs as user
    mysql or nobody, who then owns ``folder`` and must be able to reach it.
    """
    if not unpacked():
        raise UnavailableError(f"no MySQL is in {HOME} (scripts/unpack_mysql lays it there)")
    folder.mkdir(parents=True, exist_ok=True)
    server = MySQL(folder / "data", folder / "s", free_port())
    prefix = unprivileged(folder, "MySQL", "mysql", 0o755)
    command = [
        *prefix,
        *tool("sbin/mysqld"),
        f"--defaults-file={_config(folder, server, settings)}",
    ]
    done = subprocess.run(
        [*command, "--initialize-insecure"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"mysqld --initialize failed: {_said(folder)}")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        _wait(process, server, folder)
        server.run("CREATE DATABASE office", database="mysql")
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _config(folder: Path, server: MySQL, settings: dict[str, str]) -> Path:
    own = {
        "datadir": server.data,
        "socket": server.socket,
        "port": server.port,
        "pid_file": folder / "pid",
        "log_error": folder / "error.log",
        "basedir": HOME / "usr",
        "lc_messages_dir": HOME / "usr/share/mysql",
        "character_sets_dir": HOME / "usr/share/mysql/charsets",
        "plugin_dir": HOME / "usr/lib/mysql/plugin",
    }
    lines = [f"{name}={value}" for name, value in (SETTINGS | settings | own).items()]
    path = folder / "my.cnf"
    path.write_text("[mysqld]\n" + "\n".join(lines) + "\n")
    return path


def _wait(process: subprocess.Popen[bytes], server: MySQL, folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if server.run("SELECT 1", database="mysql", check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise UnavailableError(f"MySQL did not start: {_said(folder)}")


def _said(folder: Path) -> str:
    path = folder / "error.log"
    return " ".join(path.read_text(errors="replace").split())[-300:] if path.exists() else ""
