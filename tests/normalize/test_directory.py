from datetime import date

import polars as pl
import pytest

from detector.core import schema
from detector.core.errors import InputError
from detector.normalize.account_directory import load, with_lowercase


def directory(tmp_path, text):
    path = tmp_path / "directory.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path)


def test_a_directory_is_read_with_defaults_for_what_is_missing(tmp_path):
    text = "\ufeffAccount;group;kind;hired;phone\n\nbob;north;;2020-02-29;1\n batch ;;Service;;2\n"
    frame = schema.check(directory(tmp_path, text), schema.DIRECTORY, "directory")
    assert frame.rows() == [
        ("bob", "north", None, "human", date(2020, 2, 29)),
        ("batch", None, None, "service", None),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("user,group\nbob,x\n", "no column 'account'"),
        ("accounts,group\nbob,x\n", "rename 'accounts'"),
        ("account,group\nbob,x\nbob,y\n", "line 3: account 'bob' comes a second time"),
        ("account,group\nbob\n", "line 2: has 1 columns where the header has 2"),
        ("account,group\n,x\n", "line 2: has no account"),
        ("account,kind\nbob,robot\n", "line 2: kind 'robot' is not known"),
        ("account,hired\n\nbob,1/2/24\n", "line 3: hired '1/2/24' is no date"),
        ('account,hired\nbob,"x\n', "line 2: is no CSV"),
        (b"account,hired\nb\xff,\n", "line 2: is not valid UTF-8; save"),
    ],
)
def test_what_is_wrong_with_a_directory_is_told_with_its_line(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as error:
        directory(tmp_path, text)
    assert "directory.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_accounts_are_found_in_either_case_and_without_blanks_at_their_end():
    people = pl.DataFrame({"account": ["Alice  ", "bob", "BOB"], "group": ["a", "b", "c"]})
    found = dict(with_lowercase(people).iter_rows())
    assert found == {
        "Alice  ": "a", "Alice": "a", "alice": "a", "ALICE": "a", "bob": "b", "BOB": "c",
    }  # fmt: skip
