"""Starts a private MariaDB in a folder of its own, for samples and tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulation.loopback import UnavailableError, free_port, started, unprivileged
from simulation.office.mysql_family import MySQLServer

SETTINGS = {
    "slow_query_log": "1",
    "slow_query_log_file": "slow.log",
    "log_output": "FILE",
    "long_query_time": "0",
    "log_slow_admin_statements": "1",
    "log_slow_filter": "",
    "plugin_load_add": "server_audit",
    "server_audit_logging": "ON",
    "server_audit_output_type": "file",
    "server_audit_file_path": "server_audit.log",
    "server_audit_query_log_limit": "100000",
    "skip_name_resolve": "1",
    "innodb_flush_log_at_trx_commit": "0",
    "bind_address": "*",
}


class MariaDB(MySQLServer):
    """A running MariaDB."""

    @property
    def audit_log(self) -> Path:
        """Where server_audit writes."""
        return self.data / "server_audit.log"

    def client(self, program: str) -> list[str]:
        """See MySQLServer; results have no names of columns."""
        return [program or "mariadb", "--no-defaults", "-N"]


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[MariaDB]:
    """A fresh server in ``folder`` with database ``office``; stopped at the end.

    ``settings`` are added to SETTINGS. Raises UnavailableError. As root the server runs as user
    mysql or nobody, who then owns ``folder`` and must be able to reach it.
    """
    binary = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/libexec")
    if binary is None or shutil.which("mariadb-install-db") is None:
        raise UnavailableError("no MariaDB server is installed (mariadbd was not found)")
    folder.mkdir(parents=True, exist_ok=True)
    server = MariaDB(folder / "data", folder / "s", free_port())
    config = folder / "my.cnf"
    wanted = SETTINGS | settings
    lines = [f"{name}={value}" for name, value in wanted.items()]
    lines += [f"datadir={server.data}", f"socket={server.socket}", f"port={server.port}"]
    lines += [f"pid_file={folder / 'pid'}", f"log_error={folder / 'error.log'}"]
    config.write_text("[mariadbd]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    prefix = unprivileged(folder, "MariaDB", "mysql", 0o755)
    _install(prefix, config, server)
    command = [*prefix, binary, f"--defaults-file={config}"]
    with started("MariaDB", command, folder, server.answers, folder / "error.log"):
        server.run("CREATE DATABASE office", database="mysql")
        yield server


def _install(prefix: tuple[str, ...], config: Path, server: MariaDB) -> None:
    command = [*prefix, "mariadb-install-db", f"--defaults-file={config}", "--skip-test-db"]
    command += ["--auth-root-authentication-method=normal", f"--datadir={server.data}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-300:]
        raise UnavailableError(f"mariadb-install-db failed: {words}")
