"""The same office and the same thief on MariaDB: the plan's statements in its own words."""

from __future__ import annotations

import re
from contextlib import ExitStack

from simulation.office.mariadb import MariaDB
from simulation.office.plan import EMPLOYERS, PERSONS, READERS, Session
from simulation.office.relay import relay

SCHEMA = f"""
CREATE TABLE employer (id int PRIMARY KEY, name text, city text);
CREATE TABLE person (id int PRIMARY KEY, name text, born date, nir text, phone text,
  employer_id int, KEY (employer_id));
CREATE TABLE case_note (id int PRIMARY KEY AUTO_INCREMENT, person_id int, written date, note text,
  KEY (person_id));
INSERT INTO employer SELECT seq, concat('Employer ', seq), concat('City ', seq % 90)
  FROM seq_1_to_{EMPLOYERS};
INSERT INTO person SELECT seq, concat('Person ', seq), date '1950-01-01' + interval seq % 18000 day,
  lpad(seq * 7919, 13, '1'), concat('06', lpad(seq, 8, '0')), 1 + seq % {EMPLOYERS}
  FROM seq_1_to_{PERSONS};
INSERT INTO case_note (person_id, written, note)
  SELECT 1 + (seq * 7919) % {PERSONS}, date '2023-01-01' + interval seq % 360 day,
  concat('Note ', seq) FROM seq_1_to_90000;
CREATE VIEW registered AS SELECT p.id, p.name, e.name AS employer
  FROM person p JOIN employer e ON e.id = p.employer_id;
CREATE PROCEDURE notes_of(who int) SELECT * FROM case_note WHERE person_id = who;
"""
USERS = "".join(
    f"CREATE USER {name}@'%'; GRANT SELECT, EXECUTE ON office.* TO {name}@'%';"
    f"GRANT INSERT ON office.case_note TO {name}@'%';"
    for name in READERS
)
#: What reads otherwise in MariaDB. A copy of a table reads it as mariadb-dump does.
TRANSLATED = (
    (re.compile(r"^COPY \((.*)\) TO STDOUT;$", re.DOTALL), r"\1;"),
    (re.compile(r"^COPY (\w+) TO STDOUT;$"), r"SELECT /*!40001 SQL_NO_CACHE */ * FROM `\1`;"),
    (re.compile(r"^SELECT \* FROM notes_of\((\d+)\);$"), r"CALL notes_of(\1);"),
)
_HEAD = "# User@Host: "
_CLOCK = re.compile(r"\nSET timestamp=\d+;\nSET timestamp=\d+;\n")


def play(server: MariaDB, plan: list[Session]) -> str:
    """The slow log of the plan's sessions, dated as planned.

    MariaDB lets a session set its clock, and dates its entries by it; what the log says of the
    server's own clock, and the entries of the setting itself, are left out.
    """
    server.run("SET GLOBAL slow_query_log = 0;" + SCHEMA + USERS)
    server.run("SET GLOBAL slow_query_log = 1")
    with ExitStack() as stack:
        ports = {
            address: stack.enter_context(relay(address, server.port))
            for address in sorted({session.address for session in plan})
        }
        for session in plan:
            script = "\n".join(
                f"SET timestamp={moment.timestamp():.0f};\n{translated(text)}"
                for moment, text in session.statements
            )
            server.run(
                script,
                user=session.user,
                host=session.address,
                port=ports[session.address],
                options=("--force",),
                check=False,
            )
    return dated(server.slow_log.read_text(encoding="utf-8"))


def translated(text: str) -> str:
    """A statement of the plan in MariaDB's words."""
    for pattern, words in TRANSLATED:
        text = pattern.sub(words, text)
    return text


def dated(text: str) -> str:
    """The log without its own times, and without the entries that set a session's clock."""
    text = re.sub(r"(?m)^# Time: .*\n", "", text)
    banner, *entries = text.split(_HEAD)
    kept = [entry for entry in entries if not _CLOCK.search(entry) and not entry.startswith("root")]
    return banner + "".join(_HEAD + entry for entry in kept)
