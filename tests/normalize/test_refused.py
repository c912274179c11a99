"""Logs that are known and not read are refused by name; and what hints name."""

import bz2
import gzip
import lzma

import pytest

from detector import registry
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.format_detection import detect
from detector.readers import column_names, compression
from detector.readers.log_input import LocalFile

MONGOD = (
    '2024-02-06T08:00:01.000+0100 I  COMMAND  [conn7] command hr.person appName: "app" command: '
    'find { find: "person" } nreturned:900 reslen:90000 protocol:op_msg 12ms\n'
)
TO_FILE = (
    "2024-02-06 08:00:01.889 CET,clerk,hr,7,10.1.2.3:50701,65c1e0a1.2bd,1,SELECT,2024-02-06 07:26 "
    'CET,28/101,0,00000,SESSION,1,1,READ,SELECT,TABLE,person,"select 1",<none>,,,,,,,,,psql\n'
)
AZURE = (
    '{"properties": {"timestamp": "2024-02-06 08:00:01.450 UTC", "errorLevel": "LOG", "message": '
    '"2024-02-06 08:00:01 UTC-65c1e-LOG:  AUDIT: SESSION,1,1,READ,SELECT,TABLE,person,x,y"}, '
    '"category": "PostgreSQLLogs"}\n'
)
XML = '<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n <AUDIT_RECORD>\n'
OLD_XML = '<AUDIT_RECORD\n  NAME="Query"\n'
PERCONA = '"Query","3_2014-08-28T14:14:57","2014-08-28T14:15:10 UTC","select","8","0","select 1"\n'


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (MONGOD, "MongoDB's text log of 4.2 and older"),
        (TO_FILE, "pgauditlogtofile"),
        (AZURE, "such as Azure's"),
        (XML, "in XML; let it write JSON"),
        (OLD_XML, "in XML; let it write JSON"),
        (PERCONA, "Percona Server's audit log in CSV; let it write JSON"),
        (lzma.compress(b"a,b\n"), "compressed with xz; unpack it"),
        (b"PK\x03\x04 a.csv", "a zip archive; unpack it"),
        (b"\x04\x22\x4d\x18 x", "compressed with lz4; unpack it"),
        (b"SQLite format 3\0x", "an SQLite database; export it"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_known_is_refused_by_name(tmp_path, data, says, packed):
    path = tmp_path / "log"
    raw = data if isinstance(data, bytes) else (data * 3).encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    with pytest.raises(InputError) as error:
        detect([LocalFile(path)], registry.sources(), Settings())
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("names", "settings", "wrong"),
    [
        (["time", "logName", "resource"], {}, "logName"),
        (["time", "agency", "users_total"], {}, "did you mean"),
        (["time", "account", "audit.class"], {"rows": "audit.rows"}, "did you mean"),
        (["os", "used", "amount"], {}, "did you mean"),
    ],
)
def test_no_hint_names_a_column_that_is_another_thing(tmp_path, names, settings, wrong):
    with pytest.raises(InputError) as error:
        column_names.require(names, Settings(columns=settings), tmp_path)
    assert "did you mean" not in str(error.value)
    assert wrong == "did you mean" or wrong in str(error.value)  # among those shown


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("usr", "user"), ("user-names", "user_name"), ("acount", "account"), ("accuont", "account")],
)
def test_a_slip_of_the_pen_is_named(tmp_path, name, wanted):
    settings = Settings(columns={"account": wanted})
    with pytest.raises(InputError, match=f"did you mean '{name}'"):
        column_names.require(["time", "x", name], settings, tmp_path)


@pytest.mark.parametrize("pad", [1, 511, 70_000, 200_000])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_members_behind_any_padding_are_read(tmp_path, pad, pack):
    path = tmp_path / "log"
    path.write_bytes(pack(b"one\n") + b"\0" * pad + pack(b"two\n") + b"\0" * pad)
    assert b"".join(data for data, _ in compression.chunks(LocalFile(path))) == b"one\ntwo\n"


def test_bzip2_that_breaks_off_is_told(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(bz2.compress(b"one\n" * 100_000)[:-20])
    with pytest.raises(compression.TruncatedError, match="breaks off"):
        list(compression.chunks(LocalFile(path)))


def test_a_text_that_begins_like_bzip2_is_text(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"BZhours,account\n1,2\n")
    assert b"".join(data for data, _ in compression.chunks(LocalFile(path))) == path.read_bytes()
