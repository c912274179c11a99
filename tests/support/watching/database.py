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

from simulation.office.server import Server, running

#: Kilobytes after which PostgreSQL begins another file, and pgbench's rounds a second.
ROTATED = "512"
RATE = 20
#: Each of pgbench's rounds writes one line here, and nothing else does.
HISTORY = "public.pgbench_history"
#: What pgbench does by itself, but each statement is a transaction: when the load ends in the
#: middle of a round, no line that is in the log already is rolled back.
ROUND = r"""
\set account random(1, 100000)
\set delta random(-5000, 5000)
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :account;
SELECT abalance FROM pgbench_accounts WHERE aid = :account;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = 1;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)
    VALUES (1, 1, :account, :delta, CURRENT_TIMESTAMP);
"""
#: Its end: when no session of pgbench is left, the lines it has written are counted.
COUNT = """
SET pgaudit.log = 'none';
DO $$ BEGIN
    WHILE EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'pgbench') LOOP
        PERFORM pg_sleep(0.05), pg_stat_clear_snapshot();
    END LOOP;
END $$;
SELECT count(*) FROM pgbench_history;
"""


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
        """Ends the load; how many rounds there were, by PostgreSQL's own count, all in the log."""
        self.client.send_signal(signal.SIGINT)
        self.client.wait(60)
        found = re.search(r"\d+", self.server.psql(COUNT).stdout)
        assert found
        self.server.written()
        return int(found.group())


@contextmanager
def loaded(folder: Path) -> Iterator[Load]:
    """A server in ``folder`` with the load. Raises UnavailableError where there is none here."""
    settings = {"log_rotation_size": ROTATED, "log_filename": "postgresql-%d-%H%M%S"}
    with running(folder, **settings) as server:
        bench = server.bin / "pgbench"
        environment = server.environment("postgres", application="pgbench")
        quiet = {**environment, "PGOPTIONS": "-c pgaudit.log=none"}
        subprocess.run([bench, "-i", "-q"], env=quiet, check=True, capture_output=True)
        (folder / "round.sql").write_text(ROUND, encoding="utf-8")
        with subprocess.Popen(
            [bench, "-n", "-f", folder / "round.sql", "-c", "4", "-R", str(RATE), "-T", "86400"],
            env=environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=os.setpgrp,  # noqa: PLW1509 - no threads yet
        ) as client:  # fmt: skip
            try:
                yield Load(server, client)
            finally:
                if client.poll() is None:
                    client.kill()
