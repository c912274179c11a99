"""What a private MySQL and a private MariaDB have in common."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MySQLServer:
    """A running server: root has no password on its socket, all of loopback may log in."""

    data: Path
    socket: Path
    port: int

    @property
    def slow_log(self) -> Path:
        """Where all statements are logged, with their rows."""
        return self.data / "slow.log"

    def client(self, program: str) -> list[str]:
        """The command of a client, without defaults; for scripts where ``program`` is empty."""
        raise NotImplementedError

    def run(
        self,
        script: str,
        *,
        user: str = "root",
        host: str = "",
        port: int = 0,
        password: str = "",
        database: str = "office",
        program: str = "",
        options: tuple[str, ...] = (),
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script of the client in one session; its output goes nowhere but the result."""
        way = ["-h", host, "-P", str(port or self.port)] if host else ["-S", str(self.socket)]
        secret = [f"--password={password}"] if password else []
        return subprocess.run(
            [*self.client(program), "-u", user, *way, *secret, *options, database],
            input=script,
            capture_output=True,
            text=True,
            timeout=300,
            check=check,
        )

    def answers(self) -> bool:
        """Whether it takes statements yet."""
        return self.run("SELECT 1", database="mysql", check=False).returncode == 0
