import gzip
import hashlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from detector.core.errors import InputError
from detector.readers import blocks as records
from detector.readers import compression, encodings
from detector.readers.log_input import LocalFile

DATA = b"".join(b"line %d\n" % i for i in range(50_000))


def whole(path):
    found, broken = b"", ""
    try:
        for data, _ in compression.chunks(LocalFile(path), 1000):
            found += data
    except compression.TruncatedError as error:
        broken = error.reason
    return found, broken


def test_many_gzip_members_are_one_log_whatever_the_name(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(
        b"".join(gzip.compress(DATA[i : i + 70_001]) for i in range(0, len(DATA), 70_001))
    )
    assert whole(path) == (DATA, "")


def test_many_zstd_frames_are_one_log(tmp_path):
    path = tmp_path / "log.gz"
    path.write_bytes(zstandard.compress(DATA[:1234]) + zstandard.compress(DATA[1234:]))
    assert whole(path) == (DATA, "")


def test_zeros_after_a_gzip_are_padding(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(DATA) + b"\0" * 100_000)
    assert whole(path) == (DATA, "")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_log_cut_off_gives_what_is_readable_and_says_so(tmp_path, pack):
    path = tmp_path / "log"
    path.write_bytes(pack(DATA)[:-20])
    found, broken = whole(path)
    assert DATA.startswith(found)
    assert "breaks off" in broken
    if pack is gzip.compress:
        assert len(found) > len(DATA) * 0.9


def test_damage_inside_a_gzip_gives_what_comes_before(tmp_path):
    packed = bytearray(gzip.compress(DATA, 1))
    middle = len(packed) // 2
    packed[middle : middle + 64] = b"\xff" * 64
    path = tmp_path / "log"
    path.write_bytes(packed)
    found, broken = whole(path)
    assert len(found) > 10_000
    assert DATA.startswith(found[: len(DATA) // 3])
    assert "damaged" in broken


def test_the_identity_is_of_the_content_not_of_the_packing(tmp_path):
    plain, packed = tmp_path / "a", tmp_path / "b"
    plain.write_bytes(DATA)
    packed.write_bytes(gzip.compress(DATA))
    sizes = [0, 1, 1000, len(DATA), len(DATA) + 1]
    one = compression.content_identity(LocalFile(plain), sizes)
    assert one == compression.content_identity(LocalFile(packed), sizes)
    assert one.sha256 == hashlib.sha256(DATA).hexdigest()
    assert one.prefixes == {n: hashlib.sha256(DATA[:n]).hexdigest() for n in sizes[:-1]}


def test_the_identity_of_the_beginning_is_that_of_the_file_before_it_grew(tmp_path):
    before, grown = tmp_path / "a", tmp_path / "b"
    for pack in (bytes, gzip.compress):
        whole, more = pack(DATA), pack(b"more")
        before.write_bytes(whole)
        grown.write_bytes(whole + more)
        for until in (len(whole), len(whole) + len(more) // 2):
            before.write_bytes((whole + more)[:until])
            assert compression.content_identity(
                LocalFile(grown), [7], until
            ) == compression.content_identity(LocalFile(before), [7])


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        compression.head(LocalFile(tmp_path / "none"))
    with pytest.raises(InputError, match="cannot be read"):
        compression.head(LocalFile(tmp_path))


def cut(path, block, limit=1 << 20, quoted=True):
    blocks = records.csv_blocks if quoted else records.line_blocks
    found = list(blocks(LocalFile(path), block, limit))
    return b"".join(b.data for b in found), [tuple(r) for b in found for r in b.rejects], found


@settings(max_examples=examples(150))
@given(
    st.lists(
        st.sampled_from([b"a", b'"', b'""', b"\n", b"\r\n", b",", b"\xff", b"\0", "é".encode()]),
        max_size=60,
    ),
    st.integers(1, 40),
)
def test_what_is_cut_does_not_depend_on_the_size_of_blocks(tmp_path_factory, parts, block):
    path = tmp_path_factory.mktemp("cut") / "log"
    # A UTF-16 mark or many NULs refuse the file as a whole.
    data = b"first line\n" * 3 + b"".join(parts)
    path.write_bytes(data)
    for quoted in (True, False):
        small = cut(path, block, quoted=quoted)
        large = cut(path, 1 << 19, quoted=quoted)
        assert small[:2] == large[:2]
        assert large[0].count(b"\n") + (0 if not large[1] else 99) >= data.count(b"\n")


def test_line_numbers_stay_right_around_rejected_records(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'h,i\n1,"a\nb"\n\xff,2\n3,\0\n4,"x\n\xff\ny"\n5,6')
    data, rejects, blocks = cut(path, 8)
    assert data == b'h,i\n1,"a\nb"\n\n\n\n\n\n5,6\n'
    assert rejects == [
        (4, "is not valid UTF-8"),
        (5, "holds a NUL byte"),
        (6, "is not valid UTF-8"),
    ]
    assert blocks[-1].first_line == 9


def test_a_quote_never_closed_costs_one_line(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'a,b\n1,"x\n2,y\n3,z\n')
    data, rejects, _ = cut(path, 1000)
    assert data == b"a,b\n2,y\n3,z\n"
    assert rejects == [(2, "a quote is opened and never closed")]


@pytest.mark.parametrize("block", [10, 100, 400])
def test_a_record_beyond_the_limit_is_rejected_and_the_next_line_is_read(tmp_path, block):
    path = tmp_path / "log"
    path.write_bytes(b"a,b\n" + b"x" * 5000 + b"\n2,y\n" + b'"' + b"z\n" * 3000 + b'",1\n3,w\n')
    data, rejects, _ = cut(path, block, limit=1000)
    assert data.startswith(b"a,b\n2,y\n")
    assert data.endswith(b"3,w\n")
    assert rejects[0] == (2, "a record longer than 1,000 bytes")
    assert rejects[1][0] == 4


def test_a_field_of_50_mb_is_one_record(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'a,b\n1,"' + b"x\n" * (25 << 20) + b'"\n2,y\n')
    found = list(records.csv_blocks(LocalFile(path)))
    assert sum(len(b.data) for b in found) == path.stat().st_size
    assert not any(b.rejects for b in found)
    assert all(b.data.endswith(b"\n") for b in found)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_with_and_without_its_mark(tmp_path, encoding):
    path = tmp_path / "log"
    path.write_bytes("timestamp,account\n2024-02-06,Zoé\n".encode(encoding))
    blocks = list(records.line_blocks(LocalFile(path)))
    assert (
        b"".join(block.data for block in blocks).decode() == "timestamp,account\n2024-02-06,Zoé\n"
    )


@pytest.mark.parametrize("block", [2, 7, 1 << 16])
def test_utf_16_may_be_cut_within_a_character(tmp_path, block):
    path = tmp_path / "log"
    text = "timestamp,account\n" + "2024-02-06,Zoé 😀\n" * 50
    path.write_bytes(text.encode("utf-16"))
    assert b"".join(b.data for b in records.line_blocks(LocalFile(path), block)).decode() == text


def test_binary_data_is_refused(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"\0\1\0\0" * 100)
    with pytest.raises(InputError, match="binary"):
        list(records.line_blocks(LocalFile(path)))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Zoé Müller", "Zoé Müller"),
        ("prix: 5 €", "prix: 5 €"),
        ("L\u2019Haÿ", "L\u2019Haÿ"),
    ],
)
def test_a_record_in_windows_1252_is_read(tmp_path, raw, text):
    path = tmp_path / "log"
    path.write_bytes(b"a,b\n" + raw.encode("cp1252") + b",1\n" + "ä,2\n".encode())
    (block,) = records.line_blocks(LocalFile(path))
    assert block.data.decode() == f"a,b\n{text},1\nä,2\n"
    assert not block.rejects


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\x81x", "é".encode() + b"\xe9", b"1\xff"])
def test_a_record_that_is_damaged_is_no_windows_1252(tmp_path, raw):
    path = tmp_path / "log"
    path.write_bytes(b"a,b\n" + raw + b",1\n")
    (block,) = records.line_blocks(LocalFile(path))
    assert block.rejects == [records.Reject(2, "is not valid UTF-8")]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = tmp_path / "log"
    path.write_bytes("a,b\n1,2\n".encode("utf-8-sig"))
    assert cut(path, 100)[0] == b"a,b\n1,2\n"


def test_a_json_object_that_is_damaged_is_read_with_replacement_characters(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'{"a": "\xc3\xa9"}\n {"a": "\xc3\xa9\xff", "b": 1}\n\xff\xfe\n')
    (block,) = records.line_blocks(LocalFile(path))
    assert block.data.decode().splitlines()[1] == ' {"a": "\u00e9\ufffd", "b": 1}'
    assert block.rejects == [records.Reject(3, "is not valid UTF-8")]
    assert block.notes == {encodings.REPLACED: 1}
