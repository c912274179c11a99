"""Starts a private MySQL, as scripts/unpack_mysql lays it down, for samples and tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulation.loopback import UnavailableError, free_port, said, started, unprivileged
from simulation.office.mysql_family import MySQLServer

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


def unpacked() -> bool:
    """Whether there is a MySQL to start."""
    return (HOME / "usr/sbin/mysqld").exists()


def tool(name: str) -> list[str]:
    """A program of MySQL's with the C library that it was unpacked with."""
    [loader] = HOME.glob("usr/lib/*-linux-gnu/ld-linux*.so.?")
    path = f"{loader.parent}:{HOME / 'usr/lib/mysql/private'}"
    return [str(loader), "--library-path", path, str(HOME / "usr" / name)]


class MySQL(MySQLServer):
    """A running MySQL."""

    def client(self, program: str) -> list[str]:
        """See MySQLServer."""
        return [*tool(program or "bin/mysql"), "--no-defaults"]


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
    errors = folder / "error.log"
    if done.returncode:
        raise UnavailableError(f"mysqld --initialize failed: {said(errors)}")
    with started("MySQL", command, folder, server.answers, errors):
        server.run("CREATE DATABASE office", database="mysql")
        yield server


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
    path.write_text("[mysqld]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path
