"""Pseudonyms: one for each name, of one key, and nothing without it."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.privacy.pseudonyms import Pseudonyms, is_pseudonym, mismatch

KEY, OTHER = bytes(range(64)), bytes(range(1, 65))
OURS, THEIRS = Pseudonyms.from_key(KEY), Pseudonyms.from_key(OTHER)
#: What UTF-8 can hold: names come from logs that are.
names = st.text(st.characters(exclude_categories=["Cs"]))


@given(names)
def test_the_key_turns_a_pseudonym_back(name):
    assert OURS.reveal(OURS.encrypt(name)) == name


@given(names, names)
def test_equal_names_are_equal_and_different_ones_differ(one, other):
    fresh = Pseudonyms.from_key(KEY)
    assert (fresh.encrypt(one) == OURS.encrypt(other)) == (one == other)


@given(names)
def test_another_key_makes_another_pseudonym_and_turns_none_back(name):
    assert THEIRS.encrypt(name) != OURS.encrypt(name)
    assert THEIRS.reveal(OURS.encrypt(name)) is None


@given(names)
def test_a_pseudonym_is_letters_and_digits_of_a_length_that_tells_little(name):
    found = OURS.encrypt(name)
    assert found.startswith("p-")
    assert found[2:].isascii()
    assert found[2:].isalnum()
    assert found == found.lower()
    size = len(name.encode())
    assert len(found) == len(OURS.encrypt("x" * (size // 16 * 16)))
    assert is_pseudonym(found)


def test_a_name_of_a_megabyte_or_with_zeros_at_its_end_comes_back_whole():
    for name in ("x" * (1 << 20), "ann\0\0", "\x80", ""):
        assert OURS.reveal(OURS.encrypt(name)) == name


@given(st.data())
def test_a_pseudonym_that_was_altered_is_refused(data):
    whole = OURS.encrypt(data.draw(names))
    place = data.draw(st.integers(2, len(whole) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
    altered = f"{whole[:place]}{letter}{whole[place + 1 :]}"
    assert (OURS.reveal(altered) is None) == (altered != whole)


@given(names | st.from_regex(r"p-[a-z2-7=]{0,60}", fullmatch=True))
def test_what_is_no_pseudonym_is_refused(text):
    assert OURS.reveal(text) is None


@given(st.lists(names | st.none()), st.sampled_from([pl.String(), pl.Categorical()]))
def test_a_column_has_what_each_name_has(values, kind):
    found = OURS.encrypt_column(pl.Series("account", values, dtype=pl.String).cast(kind))
    assert (found.name, found.dtype) == ("account", kind)
    assert found.to_list() == [None if name is None else OURS.encrypt(name) for name in values]


def test_the_names_remembered_are_limited(monkeypatch):
    monkeypatch.setattr("detector.privacy.pseudonyms.CACHE_SIZE", 3)
    few = Pseudonyms.from_key(KEY)
    assert [few.encrypt(f"a{n}") for n in range(10)] == [OURS.encrypt(f"a{n}") for n in range(10)]
    assert len(few._cache) <= 3


def test_the_check_names_the_key_and_is_neither_it_nor_a_pseudonym():
    assert OURS.key_check != THEIRS.key_check
    assert len(OURS.key_check) == 32
    assert OURS.key_check not in KEY.hex()
    assert bytes.fromhex(OURS.key_check) not in KEY
    assert "_cipher" not in repr(OURS)


def test_keys_of_all_sizes_work_and_differ():
    checks = {Pseudonyms.from_key(KEY[:size]).key_check for size in (32, 48, 64)}
    assert len(checks) == 3


def test_the_cipher_is_that_of_rfc_5297():
    """Its example A.1: the key, the associated data and the text, and what comes of them."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    data = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    text = bytes.fromhex("112233445566778899aabbccddee")
    assert AESSIV(key).encrypt(text, [data]).hex() == (
        "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
    )


def test_pseudonyms_do_not_change_from_one_version_to_the_next():
    """A ledger outlives a version: the same key must give what it gave."""
    assert OURS.encrypt("jdupont") == "p-4bzffu6xxltimpxud22nwk2ts7ge3yde3lkkefiftdub3y73hrfa"
    assert OURS.key_check == "61008c79437bda43c1aab6f31b735f62"


@pytest.mark.parametrize(
    ("held", "wanted", "said"),
    [
        ("", "", None),
        ("aa", "aa", None),
        ("", "aa", "holds names"),
        ("aa", "", "holds pseudonyms"),
        ("aa", "bb", "of another key"),
    ],
)
def test_what_two_keys_keep_apart_is_said(held, wanted, said):
    apart = mismatch(held, wanted)
    assert (apart is None) == (said is None)
    assert apart is None or (said in apart[0] and apart[1])
