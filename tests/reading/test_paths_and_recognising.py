import pytest

from detector import registry
from detector.errors import InputError, SettingsError
from detector.reading.paths import expand
from detector.reading.recognise import recognise
from detector.settings import Settings

EVENTS = "timestamp,account\n2024-02-06T10:00:00Z,bob\n"


def fill(folder, *names, text=EVENTS):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


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
        "stolen.parquet",
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
    files, unused = recognise(paths, registry.sources(), Settings(**options), name)
    return [source.name for _, source in files], unused


def test_the_source_is_told_by_content_and_the_rest_is_noted(tmp_path):
    fill(tmp_path, "a.parquet")
    fill(tmp_path, "empty.csv", text="")
    fill(tmp_path, "other.csv", text="just words\n")
    sources, unused = known(expand([str(tmp_path)]))
    assert sources == ["csv"]
    assert [path.name for path, _ in unused] == ["empty.csv", "other.csv"]
    assert unused[0][1] == "is empty"
    assert "no known format" in unused[1][1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("just words\n", "known are csv"),
        ("timestamp,usr,rows\n1,2,3\n", "CSV without a column for account.*did you mean 'usr'"),
        ('{"when_it_was": 1, "user": "x"}\n', "NDJSON without a column for timestamp"),
        ("\0\1\2\3", "binary"),
    ],
)
def test_where_no_file_can_be_used_the_reason_is_the_error(tmp_path, text, says):
    fill(tmp_path, "agents.log", text=text)
    with pytest.raises(InputError, match=says) as error:
        known([tmp_path / "agents.log"])
    assert "agents.log" in str(error.value)


def test_a_named_source_is_taken_at_its_word_and_a_misspelt_one_is_told(tmp_path):
    fill(tmp_path, "a.csv", text="timestamp,usr\n")
    assert known([tmp_path / "a.csv"], "csv")[0] == ["csv"]
    with pytest.raises(SettingsError, match="did you mean 'parquet'"):
        known([tmp_path / "a.csv"], "parket")


def test_names_in_the_settings_make_a_log_recognisable(tmp_path):
    fill(tmp_path, "a.csv", text="quand,qui\n2024-02-06T10:00:00Z,bob\n")
    columns = {"timestamp": "quand", "account": "qui"}
    assert known([tmp_path / "a.csv"], columns=columns)[0] == ["csv"]
