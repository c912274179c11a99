"""The first word of a statement, behind comments that end where a client's lines do."""

from __future__ import annotations

import polars as pl
import pytest

from detector.sources.exports import expressions


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("-- hello\nselect 1", "select"),
        ("-- hello\rselect 1", "select"),
        ("-- hello\r\n  delete from a", "delete"),
        ("--\r--\r(insert into a", "insert"),
        ("/* a */ -- b\rupdate a", "update"),
        ("-- select", None),
        ("--", None),
    ],
)
def test_comments_before_the_first_word(text: str, word: str | None) -> None:
    found = pl.DataFrame({"text": [text]}).select(expressions.first_verb("text")).item()
    assert found == word
