"""A real PostgreSQL with pgaudit under the load of pgbench, that writes and rotates its own log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from office.server import Server, running

#: Kilobytes after which PostgreSQL begins another file, and pgbench's transactions a second.
ROTATED = "512"
RATE = 20
#: Each of pgbench's transactions writes one line here, and nothing else does.
HISTORY = "public.pgbench_history"


@dataclass(frozen=True)
class Load:
    """pgbench at work on a server."""

    server: Server
    client: subprocess.Popen[str]

    @property
    def logs(self) -> str:
        """Its csvlogs, as a glob."""
        return str(self.server.csvlog.parent / "*.csv")

    def stop(self) -> int:
        """Ends the load; how many transactions there were, by PostgreSQL's own count."""
        self.client.send_signal(signal.SIGINT)
        self.client.wait(60)
        silent = "SET pgaudit.log = 'none';\n"
        said = self.server.psql(f"{silent}SELECT count(*) FROM pgbench_history;\n")
        found = re.search(r"\d+", said.stdout)
        assert found
        return int(found.group())


@contextmanager
def loaded(folder: Path) -> Iterator[Load]:
    """A server in ``folder`` with the load. Raises UnavailableError where there is none here."""
    settings = {"log_rotation_size": ROTATED, "log_filename": "postgresql-%d-%H%M%S"}
    with running(folder, **settings) as server:
        bench, environment = server.bin / "pgbench", server.environment("postgres")
        quiet = {**environment, "PGOPTIONS": "-c pgaudit.log=none"}
        subprocess.run([bench, "-i", "-q"], env=quiet, check=True, capture_output=True)
        with subprocess.Popen(
            [bench, "-c", "4", "-R", str(RATE), "-T", "86400"], env=environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=os.setpgrp,  # noqa: PLW1509 - no threads yet
        ) as client:  # fmt: skip
            try:
                yield Load(server, client)
            finally:
                if client.poll() is None:
                    client.kill()
