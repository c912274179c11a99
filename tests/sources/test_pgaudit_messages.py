"""A message of pgaudit is cut as one pattern for the whole of it says."""

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st
from properties import examples

from detector.sources.postgresql import pgaudit

LOOSE = st.text(st.sampled_from('ab1 ",\n<>'), max_size=9)
QUOTED = LOOSE.map(lambda text: '"' + text.replace('"', '""') + '"')
FIELD = st.sampled_from(["", "public.person", "SELECT 1", "<none>", '""', "7"]) | QUOTED | LOOSE
ROWS = st.sampled_from(["", ",37", ",x", ",", ",0,1"])
HEADS = st.sampled_from(
    ["AUDIT: SESSION,1,1,READ,SELECT,TABLE,", "AUDIT: OBJECT,12,3,WRITE,INSERT,,",
     "AUDIT: SESSION,x,1,READ,SELECT,TABLE,", "AUDIT: SESSION,1,1,READ,TABLE,", "AUDIT: "]
)  # fmt: skip
MESSAGES = st.builds(
    lambda head, *fields: head + ",".join(fields[:-1]) + fields[-1],
    HEADS,
    FIELD,
    FIELD,
    FIELD,
    ROWS,
)


@settings(max_examples=examples(400))
@given(st.lists(MESSAGES, min_size=1, max_size=8))
@example(['AUDIT: SESSION,1,1,READ,SELECT,TABLE,"a,""b",SELECT 1,<none>,2'])
@example(['AUDIT: SESSION,1,1,READ,SELECT,TABLE,t,"SELECT ""a"", 7",<none>,37'])
def test_messages_are_cut_as_one_pattern_says(messages):
    series = pl.Series("m", messages)
    names = ["statement_id", "class", "command", "object_type", "object_name", "text", "rows"]
    kept = series.str.extract_groups(pgaudit._MESSAGE_PATTERN).struct
    assert (
        pgaudit.message_fields(series).rows() == pl.DataFrame([kept.field(n) for n in names]).rows()
    )
