"""Starts a private ClickHouse in a folder of its own, for samples and tests."""

from __future__ import annotations

import http.client
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from simulation.loopback import PATIENCE, UnavailableError, free_port, started, unprivileged

CONFIG = """<yandex>
<logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
<listen_host>127.0.0.1</listen_host><http_port>{http}</http_port><tcp_port>{tcp}</tcp_port>
<path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
<user_files_path>{folder}/files/</user_files_path>
<users_config>{folder}/users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><timezone>UTC</timezone>
<mark_cache_size>5368709</mark_cache_size>
<query_log><database>system</database><table>query_log</table>
<flush_interval_milliseconds>200</flush_interval_milliseconds></query_log>
</yandex>
"""
USER = """<{name}><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota></{name}>"""
USERS = {"default": "", "alice": "", "bob": "right"}


@dataclass(frozen=True)
class ClickHouse:
    """A running server: alice has no password, bob's is ``right``."""

    http: int
    tcp: int

    def post(self, query: str, *, user: str = "default", password: str = "") -> tuple[int, bytes]:
        """(HTTP status, answer) of a query."""
        link = http.client.HTTPConnection("127.0.0.1", self.http, timeout=PATIENCE)
        ask = urlencode({"user": user, "password": password, "database": "office"})
        try:
            link.request("POST", f"/?{ask}", query.encode())
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def run(self, query: str, folder: Path, *, user: str = "alice", check: bool = True) -> str:
        """What its own client prints for a query, in the folder that it may write to."""
        command = ["clickhouse-client", "--host", "127.0.0.1", "--port", str(self.tcp)]
        command += ["--user", user, "--database", "office", "--query", query]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=check, cwd=folder
        ).stdout

    def has_database(self) -> bool:
        """Whether it takes statements yet, and then has database ``office``."""
        command = ["clickhouse-client", "--host", "127.0.0.1", "--port", str(self.tcp)]
        command += ["--query", "CREATE DATABASE office"]
        done = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)
        return done.returncode == 0


@contextmanager
def running(folder: Path) -> Iterator[ClickHouse]:
    """A fresh server in ``folder`` with database ``office``; stopped at the end.

    Raises UnavailableError. As root the server runs as user clickhouse or nobody, who then owns
    ``folder`` and must be able to reach it.
    """
    binary = shutil.which("clickhouse-server", path="/usr/sbin:/usr/bin")
    if binary is None or shutil.which("clickhouse-client") is None:
        raise UnavailableError("no ClickHouse is installed (clickhouse-server was not found)")
    server = ClickHouse(free_port(), free_port())
    prefix = _laid(folder, server)
    command = [*prefix, binary, f"--config-file={folder / 'config.xml'}"]
    with started("ClickHouse", command, folder, server.has_database, folder / "errors"):
        yield server


def _laid(folder: Path, server: ClickHouse) -> tuple[str, ...]:
    """Lays down what the server needs; gives what to put before its command."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = unprivileged(folder, "ClickHouse", "clickhouse", 0o755)
    config = CONFIG.format(folder=folder, http=server.http, tcp=server.tcp)
    (folder / "config.xml").write_text(config, encoding="utf-8")
    users = "\n".join(USER.format(name=name, password=word) for name, word in USERS.items())
    profiles = "<profiles><default><log_queries>1</log_queries></default></profiles>"
    text = f"<yandex>{profiles}<quotas><default/></quotas><users>\n{users}\n</users></yandex>\n"
    (folder / "users.xml").write_text(text, encoding="utf-8")
    for name in ("data", "tmp", "files"):
        subprocess.run([*prefix, "mkdir", str(folder / name)], check=True)
    return prefix
