import contextlib
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector import registry
from detector.core.errors import InputError, SettingsError
from detector.core.settings import Settings
from detector.normalize.format_detection import detect
from detector.normalize.reader_state import ReaderState
from detector.readers.discovery import expand
from detector.readers.log_input import LocalFile

EVENTS = "timestamp,account\n2024-02-06T10:00:00Z,bob\n"


def fill(folder, *names, text=EVENTS):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def names(paths, folder):
    return [log.local_path.relative_to(folder).as_posix() for log in paths]


def test_a_folder_gives_its_logs_in_natural_order_without_what_is_none(tmp_path):
    fill(tmp_path, "b/log.10.csv", "b/log.2.csv", "a.csv", ".hidden/x.csv", ".x.csv")
    fill(
        tmp_path,
        "README",
        "readme.txt",
        "notes.md",
        "detector.toml",
        "directory.csv",
        "incidents.csv",
    )
    assert names(expand([str(tmp_path)]), tmp_path) == ["a.csv", "b/log.2.csv", "b/log.10.csv"]


def test_globs_files_and_folders_mix_and_each_file_counts_once(tmp_path):
    fill(tmp_path, "1.csv", "2.csv", "c/3.csv")
    found = expand([str(tmp_path / "2.csv"), str(tmp_path / "*.csv"), str(tmp_path)])
    assert names(found, tmp_path) == ["2.csv", "1.csv", "c/3.csv"]
    deep = expand([str(tmp_path / "**" / "*.csv")])
    assert len(deep) == 3


def test_a_file_named_outright_is_read_whatever_its_name(tmp_path):
    fill(tmp_path, "directory.csv", ".hidden")
    assert len(expand([str(tmp_path / "directory.csv"), str(tmp_path / ".hidden")])) == 2


@pytest.mark.parametrize("name", ["none.csv", "*.parquet", "a" * 5000])
def test_what_names_nothing_is_told(tmp_path, name):
    with pytest.raises(InputError, match=r"no such file|cannot be read"):
        expand([str(tmp_path / name)])


def test_a_folder_without_logs_is_told(tmp_path):
    with pytest.raises(InputError, match="holds no logs"):
        expand([str(tmp_path)])


def known(paths, name=None, **options):
    files, unused = detect(paths, registry.sources(), Settings(**options), name)
    return [source.name for _, source in files], unused


def test_the_source_is_told_by_content_and_the_rest_is_noted(tmp_path):
    fill(tmp_path, "a.parquet")
    fill(tmp_path, "empty.csv", text="")
    fill(tmp_path, "other.csv", text="just words\n")
    sources, unused = known(expand([str(tmp_path)]))
    assert sources == ["csv"]
    assert [name.rpartition("/")[2] for name, _ in unused] == ["empty.csv", "other.csv"]
    assert unused[0][1] == "is empty"
    assert "no known format" in unused[1][1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("just words\n", "known are .*, csv, "),
        ("timestamp,usr,rows\n1,2,3\n", "CSV without a column for account.*did you mean 'usr'"),
        ('{"when_it_was": 1, "user": "x"}\n', "NDJSON without a column for timestamp"),
        ("\1\0\2\3", "binary"),
    ],
)
def test_where_no_file_can_be_used_the_reason_is_the_error(tmp_path, text, says):
    fill(tmp_path, "agents.log", text=text)
    with pytest.raises(InputError, match=says) as error:
        known([LocalFile(tmp_path / "agents.log")])
    assert "agents.log" in str(error.value)


def test_a_named_source_is_taken_at_its_word_and_a_misspelt_one_is_told(tmp_path):
    fill(tmp_path, "a.csv", text="timestamp,usr\n")
    assert known([LocalFile(tmp_path / "a.csv")], "csv")[0] == ["csv"]
    with pytest.raises(SettingsError, match="did you mean 'parquet'"):
        known([LocalFile(tmp_path / "a.csv")], "parket")


def test_names_in_the_settings_make_a_log_recognisable(tmp_path):
    fill(tmp_path, "a.csv", text="quand,qui\n2024-02-06T10:00:00Z,bob\n")
    columns = {"timestamp": "quand", "account": "qui"}
    assert known([LocalFile(tmp_path / "a.csv")], columns=columns)[0] == ["csv"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no regular file; write its content to a file first"):
        expand([str(tmp_path / "pipe")])


def test_linked_folders_are_followed_once_and_broken_links_are_told(tmp_path):
    fill(tmp_path, "logs/1.csv", "else/2.csv")
    (tmp_path / "logs" / "linked").symlink_to(tmp_path / "else")
    (tmp_path / "logs" / "loop").symlink_to(tmp_path / "logs")
    (tmp_path / "logs" / "3.csv").symlink_to(tmp_path / "gone.csv")
    files, unused = detect(expand([str(tmp_path / "logs")]), registry.sources(), Settings())
    assert sorted(log.local_path.name for log, _ in files) == ["1.csv", "2.csv"]
    assert unused == [(str(tmp_path / "logs" / "3.csv"), "no such file")]


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path, monkeypatch):
    fill(tmp_path, "1.csv", "locked/2.csv")
    scandir = os.scandir

    def denied(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert names(expand([str(tmp_path)]), tmp_path) == ["1.csv", "locked"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[{"timestamp": 1, "account": "bob"}]', "one object a line is wanted"),
        (b'{\n  "timestamp": 1,\n  "account": "bob"\n}\n', "one object a line is wanted"),
        (b"timestamp^account\n2024-02-06^bob\n", "needs comma, semicolon, tab or |"),
        (
            b"2026-11-24 08:00:00.000 UTC [12] LOG:  database system is ready\n",
            "plain text log; let it write csvlog or jsonlog",
        ),
        (b"\x1f\x8b\x08\x00\x00\x00", "holds nothing that can be decompressed"),
    ],
)
def test_a_log_of_no_known_format_is_told_how_to_mend_it(tmp_path, content, words):
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        detect([LocalFile(path)], registry.sources(), Settings())
    assert words in str(caught.value)


def test_a_banner_with_a_comma_is_not_called_csv(tmp_path):
    path = tmp_path / "slow.log"
    path.write_text(
        "mariadbd, Version: 10.11.19-MariaDB. started with:\nTcp port: 0\n", encoding="utf-8"
    )
    with pytest.raises(InputError) as caught:
        detect([LocalFile(path)], registry.sources(), Settings())
    assert "CSV without" not in str(caught.value)


def test_a_nul_byte_in_one_early_record_costs_that_record_only(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"timestamp,account\n2024-02-06T10:00:00Z,b\0b\n2024-02-06T10:00:00Z,eve\n")
    [(_, source)], _ = detect([LocalFile(path)], registry.sources(), Settings())
    batches = list(source.read(LocalFile(path), Settings(), ReaderState()))
    assert sum(len(batch.events) for batch in batches) == 1
    assert [row for batch in batches for row in batch.rejects["line"]] == [2]


def test_a_column_that_the_settings_name_wrongly_is_said_to_be_theirs(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(EVENTS, encoding="utf-8")
    with pytest.raises(InputError, match=r"without column 'agent', which \[columns\] in detector"):
        detect([LocalFile(path)], registry.sources(), Settings(columns={"account": "agent"}))


@given(st.binary(max_size=200) | st.text(alphabet='ab,;"\r\n\t0', max_size=60).map(str.encode))
@example(b"foo,bar\na\rb,c\n")
def test_whatever_a_file_holds_it_is_recognised_or_told(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        detect([LocalFile(path)], registry.sources(), Settings())
