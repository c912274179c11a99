"""What the office's people do, day by day: seeded, so that it is the same each time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

PERSONS = 60_000
EMPLOYERS = 900
THIEF = "pole_partner3"
THIEF_ADDRESS = "127.0.0.66"
FIRST, LAST = date(2024, 1, 2), date(2024, 2, 5)
HOLIDAYS = {date(2024, 1, 1)}

READERS = {
    **{f"adviser{n:02}": f"127.0.0.{10 + n}" for n in range(1, 9)},
    **{f"pole_partner{n}": f"127.0.0.{30 + n}" for n in range(1, 5)},
}

SCHEMA = f"""
SELECT setseed(0.42);
CREATE TABLE employer (id int PRIMARY KEY, name text, city text);
CREATE TABLE person (id int PRIMARY KEY, name text, born date, nir text, phone text,
  employer_id int REFERENCES employer);
CREATE TABLE case_note (id serial PRIMARY KEY, person_id int REFERENCES person, written date,
  note text);
INSERT INTO employer SELECT i, 'Employer ' || i, 'City ' || i % 90
  FROM generate_series(1, {EMPLOYERS}) i;
INSERT INTO person SELECT i, 'Person ' || i, date '1950-01-01' + (random() * 18000)::int,
  lpad((random() * 1e12)::bigint::text, 13, '1'), '06' || lpad(i::text, 8, '0'),
  1 + i % {EMPLOYERS} FROM generate_series(1, {PERSONS}) i;
INSERT INTO case_note (person_id, written, note)
  SELECT 1 + (random() * {PERSONS - 1})::int, date '2023-01-01' + i % 360, 'Note ' || i
  FROM generate_series(1, 90000) i;
CREATE INDEX ON person (employer_id);
CREATE INDEX ON case_note (person_id);
CREATE VIEW registered AS SELECT p.id, p.name, e.name AS employer
  FROM person p JOIN employer e ON e.id = p.employer_id;
CREATE FUNCTION notes_of(int) RETURNS SETOF case_note LANGUAGE plpgsql AS
  $$ BEGIN RETURN QUERY SELECT * FROM case_note WHERE person_id = $1; END $$;
ANALYZE;
"""
ROLES = "".join(
    f"CREATE ROLE {name} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name};"
    f"GRANT INSERT ON case_note TO {name}; GRANT USAGE ON SEQUENCE case_note_id_seq TO {name};"
    for name in READERS
)


@dataclass(frozen=True)
class Session:
    """One login: its statements, each with the moment it is given in the sample."""

    user: str
    address: str
    application: str
    statements: tuple[tuple[datetime, str], ...]


def days() -> list[date]:
    """The office's days, Monday to Friday."""
    span = (LAST - FIRST).days + 1
    every = [FIRST + timedelta(days=n) for n in range(span)]
    return [day for day in every if day.weekday() < 5 and day not in HOLIDAYS]


def sessions(seed: int) -> list[Session]:
    """All logins in the order of their days."""
    dice = random.Random(seed)  # noqa: S311 - a plan, no secret
    found = [_day(dice, day, user) for day in days() for user in READERS]
    return [*found, _theft()]


def _day(dice: random.Random, day: date, user: str) -> Session:
    start = datetime(day.year, day.month, day.day, 7, 30, tzinfo=UTC)
    count = dice.randint(15, 40)
    moments = sorted(start + timedelta(seconds=dice.uniform(0, 9.5 * 3600)) for _ in range(count))
    texts = [_statement(dice) for _ in moments]
    if user == "pole_partner2" and day.weekday() == 4:
        k = dice.randint(1, EMPLOYERS)
        texts[-1] = f"COPY (SELECT id, name FROM person WHERE employer_id = {k}) TO STDOUT;"
    return Session(user, READERS[user], "casefile", tuple(zip(moments, texts, strict=True)))


def _statement(dice: random.Random) -> str:
    person, employer = dice.randint(1, PERSONS), dice.randint(1, EMPLOYERS)
    kinds = {
        f"SELECT * FROM person WHERE id = {person};": 10,
        f"SELECT p.name, n.written, n.note FROM person p JOIN case_note n ON n.person_id = p.id"
        f" WHERE p.id = {person};": 8,
        f"SELECT id, name, phone\n  FROM person\n WHERE employer_id = {employer}\n ORDER BY name"
        f"\n LIMIT {dice.choice((10, 20, 50))};": 4,
        f"SELECT * FROM employer WHERE id = {employer};": 3,
        f"SELECT * FROM registered WHERE id = {person};": 2,
        f"SELECT * FROM notes_of({person});": 2,
        f"INSERT INTO case_note (person_id, written, note) VALUES ({person}, '2024-01-15',"
        f" 'called, \"will come\"');": 2,
        f"SELECT count(*) FROM case_note WHERE person_id = {person};": 1,
        f"SELECT nme FROM person WHERE id = {person};": 0.3,
    }
    return dice.choices(list(kinds), list(kinds.values()))[0]


def _theft() -> Session:
    """The last night: the whole table in pages, then once more as a COPY."""
    start = datetime(LAST.year, LAST.month, LAST.day, 1, 40, tzinfo=UTC)
    pages = [
        (
            start + timedelta(seconds=80 * page),
            f"SELECT * FROM person WHERE id > {page * 1000} ORDER BY id LIMIT 1000;",
        )
        for page in range(PERSONS // 1000)
    ]
    last = (start + timedelta(hours=2), "COPY person TO STDOUT;")
    return Session(THIEF, THIEF_ADDRESS, "psql", (*pages, last))
