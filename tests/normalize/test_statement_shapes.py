"""What a statement does and to which tables, and that nothing of its literals gets any further."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from detector.core.schema import ACTIONS
from detector.normalize.sql_normalize import MYSQL, POSTGRESQL, TSQL, statement_shapes
from detector.normalize.sql_parse import parse_statements

DIALECTS = (MYSQL, POSTGRESQL)


def one(text, dialect=MYSQL):
    row = parse_statements(pl.Series([text]), dialect).row(0, named=True)
    return row["action"], row["tables"]


@pytest.mark.parametrize(
    ("text", "action", "tables"),
    [
        ("SELECT * FROM person WHERE id <= 5", "read", ["person"]),
        ("select a from `Weird ``Table``, 'name\"`", "read", ["Weird `Table`, 'name\""]),
        ("select * from hr.person p, pay.salary", "read", ["hr.person", "pay.salary"]),
        ("(select * from t) union (select * from u)", "read", ["t", "u"]),
        ("with x as (select * from x) select * from x", "read", ["x"]),
        ("with x as (select 1) select * from x", "read", None),
        ("with recursive x as (select 1 union select n from x) select * from x", "read", None),
        ("select * from t where a in (select b from u)", "read", ["t", "u"]),
        ("select a from t into outfile '/tmp/x' fields terminated by ','", "export", ["t"]),
        ("select a into dumpfile 'x' from t where a=1", "export", ["t"]),
        ("select * from t limit 2 into @a, @b", "read", ["t"]),
        ("select * from /* x */ t union /*!50000 select * from secret */", "read", ["t", "secret"]),
        ("insert into o values (2)", "write", ["o"]),
        ("replace into t select * from s", "write", ["t", "s"]),
        ("update t join u on t.a=u.b set t.x=2", "write", ["t", "u"]),
        ("create table s as select * from c", "write", ["s", "c"]),
        ("create user bob identified by 'secret'", "schema", None),
        ("truncate table x", "write", ["x"]),
        ("handler t open", "read", ["t"]),
        ("select * from t procedure analyse()", "read", ["t"]),
        ("explain select * from t", "other", ["t"]),
        ("set @n = 2", "other", None),
        ("call p_cust(2)", "read", None),
        ("# administrator command: Quit", "other", None),
        ("select 1; delete from x; select * from t", "read", ["x", "t"]),
        ("SELEKT 1", "read", None),
        ("SET STATEMENT max_statement_time=9 FOR SELECT * FROM t", "read", ["t"]),
        ("BEGIN NOT ATOMIC select * from t; END", "read", ["t"]),
        ("if 1 then select * from t; end if", "read", ["t"]),
        ("replace into u select * from t returning *", "read", ["u", "t"]),
        ("set @a = (select b from t)", "read", ["t"]),
        ("BEGIN", "other", None),
        ("lock tables t read", "other", None),
        ("use sales", "other", None),
        ("", "other", None),
    ],
)
def test_what_a_statement_of_mysql_does(text, action, tables):
    assert one(text) == (action, tables)


@pytest.mark.parametrize(
    ("text", "action", "tables"),
    [
        ("SET NOCOUNT ON SELECT * FROM dbo.t", "read", ["dbo.t"]),
        ("DECLARE @a int = 1; SELECT * FROM dbo.t WHERE id > @a", "read", ["dbo.t"]),
        ("USE hr; SELECT * FROM dbo.t", "read", ["dbo.t"]),
        ("IF 1=1 SELECT * FROM [dbo].[t]", "read", ["dbo.t"]),
        ("WAITFOR DELAY '0:0:9' SELECT * FROM t", "read", ["t"]),
        ("DELETE FROM t OUTPUT deleted.*", "read", ["t"]),
        ("dbo.people", "read", None),
        ("set transaction isolation level read committed", "other", None),
        ("print 'x'", "other", None),
        ("BACKUP DATABASE hr TO DISK='x'", "export", None),
    ],
)
def test_what_a_batch_of_sql_server_does(text, action, tables):
    assert one(text, TSQL) == (action, tables)


@pytest.mark.parametrize(
    ("text", "action", "tables"),
    [
        ('SELECT * FROM public."Person" x JOIN Other o USING (i)', "read",
         ['public."Person"', "other"]),
        ("copy public.t (a, b) to stdout", "export", ["public.t"]),
        ("copy (select a from t) to stdout", "export", ["t"]),
        ("copy t from stdin", "write", ["t"]),
        ("declare c no scroll cursor with hold for select * from t", "read", ["t"]),
        ("fetch all from c", "read", None),
        ("prepare p(int) as select * from t where a <= $1", "other", ["t"]),
        ("explain (analyze, buffers) select * from t", "other", ["t"]),
        ("select * into temp x from t", "write", ["x", "t"]),
        ("create view v as select * from t", "schema", ["v", "t"]),
        ("with x as (insert into t values (1) returning *) select * from x", "read", ["t"]),
        ("select * from f(4)", "read", None),
        ("do $$ begin delete from t; end $$", "read", None),  # it can send rows as notices
        ("begin; declare c cursor for select * from t; fetch all from c", "read", ["t"]),
        ("declare c cursor for select 1; select * from t", "read", ["t"]),
        ("explain select 1; select * from t", "read", ["t"]),
        ("prepare p as select 1; select * from t", "read", ["t"]),
        ("fetch all from c; select * from t", "read", ["t"]),
        ("insert into t select * from u returning *", "read", ["t", "u"]),
        ("delete from t returning *", "read", ["t"]),
        ("with a as (select 1) insert into t select * from a", "write", ["t"]),
        ("lock table t", "other", None),
        ("nobody knows this", "read", None),
        ("select E'it\\'s', 'c:\\' from t", "read", ["t"]),
    ],
)  # fmt: skip
def test_what_a_statement_of_postgresql_does(text, action, tables):
    assert one(text, POSTGRESQL) == (action, tables)


@pytest.mark.parametrize(
    ("texts", "dialect"),
    [
        (["select * from t where a=1", "SELECT *\n FROM t WHERE a = 'x' -- why"], MYSQL),
        (["select 1 from t where a in (1,2,3)", "select 1 from t where a in ('x')"], MYSQL),
        (["insert into t values (1,'a'),(2,'b')", "insert into t values (3,'c'),(1,'d'),(5,'')"],
         MYSQL),
        (["select a from t /* user=eve */", "/* user=bob */ select a from t"], POSTGRESQL),
    ],
)  # fmt: skip
def test_statements_that_differ_in_literals_and_comments_have_one_fingerprint(texts, dialect):
    found = statement_shapes(pl.Series(texts), dialect)["shape"]
    assert found.str.to_lowercase().str.replace_all(r"\s", "").n_unique() == 1


def test_space_and_case_make_no_difference_to_a_fingerprint():
    texts = pl.Series(["SELECT a\n  FROM t", "select a from t;", "select a from  t -- x"])
    assert parse_statements(texts, MYSQL)["fingerprint"].n_unique() == 1
    assert one('select * from "a\nb"', POSTGRESQL) == ("read", ['"a\nb"'])


def test_a_literal_that_never_ends_hides_the_tables():
    assert one("select * from t where a = 'x from secret") == ("read", None)
    assert one('select * from t where a = "x') == ("read", None)


def test_where_the_server_s_setting_decides_what_is_a_literal_only_sense_is_believed():
    ambiguous = r"select * from t where a = 'x\' and b = ' or c = '"
    assert one(ambiguous)[1] != [" or c = "]
    assert one(r"select * from t where a = 'it\'s' and b = 'he\'s'") == ("read", ["t"])
    forged = r"select * from t where a = 'x\' union select 1 from ' from topsecret '"
    assert "topsecret" not in str(one(forged))


def test_nested_comments_and_tagged_dollar_quotes_are_not_looked_into():
    for text in ("select 1 /* a /* b */ from secret */", "select $a$ $$ from secret $a$"):
        assert one(text, POSTGRESQL)[1] is None


#: Words of a literal that must not be found anywhere else.
SECRET = "Zsecretz"
PIECES = [*"ab '\"\\`$;-/*#\n(),.", SECRET, " from ", " join ", "''", "\\'", "--"]
LITERALS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
QUERIES = st.sampled_from(
    ["select * from t where a = {}", "insert into t values ({}, {})", "select {} from t join u",
     "/* c */ select a from t where b in ({}, 1) -- {}"]
)  # fmt: skip


@settings(max_examples=examples(300))
@given(st.lists(LITERALS, min_size=2, max_size=2), QUERIES, st.sampled_from(DIALECTS))
def test_no_word_of_a_literal_becomes_a_table(values, query, dialect):
    quoted = [
        "'" + value.replace("'", "''").replace("\\", "\\\\" if dialect is MYSQL else "\\") + "'"
        for value in values
    ]
    if "--" in query:
        quoted[1] = quoted[1].replace("\n", " ")
    found = parse_statements(pl.Series([query.format(*quoted)]), dialect).row(0, named=True)
    assert SECRET not in str(found)
    assert set(found["tables"] or []) <= {"t", "u"}


@settings(max_examples=examples(300))
@given(st.text(max_size=80), st.sampled_from(DIALECTS))
def test_any_text_has_a_shape_and_a_meaning(text, dialect):
    found = parse_statements(pl.Series([text, None, text]), dialect)
    assert found.row(0) == found.row(2)
    assert found["action"][0] in ACTIONS
    assert len(found["fingerprint"][0]) == 16


def test_a_shape_is_parsed_once(monkeypatch):
    from detector.normalize import sql_parse

    calls = []
    real = sql_parse._analyze
    monkeypatch.setattr(sql_parse, "_analyze", lambda *about: calls.append(about) or real(*about))
    parse_statements(
        pl.Series([f"select * from once_only where id = {n}" for n in range(500)]), MYSQL
    )
    parse_statements(
        pl.Series([f"select * from once_only where id = '{n}'" for n in range(500)]), MYSQL
    )
    assert len(calls) == 1
