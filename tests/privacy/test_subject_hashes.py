"""Whose record was read is kept as a hash: of the key of pseudonyms, where there is one."""

import pytest

from detector.core.errors import SettingsError
from detector.core.settings import Settings
from detector.privacy.pseudonyms import Pseudonyms
from detector.privacy.subject_hash import SIZE, hash_subjects

KEYS = {"FIRST_KEY_OF_THE_TEST": bytes(range(64)), "OTHER_KEY_OF_THE_TEST": bytes(range(64, 128))}
FIRST, OTHER = (Settings(pseudonyms=True, pseudonym_key_env=name) for name in KEYS)


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key.hex())


def test_equal_ids_have_equal_hashes_and_others_others():
    one, other, again = hash_subjects(["4711", "4712", "4711"], Settings())
    assert one == again != other
    assert all(len(each) == 2 * SIZE and int(each, 16) >= 0 for each in (one, other))
    assert len(set(hash_subjects([str(n) for n in range(10_000)], FIRST))) == 10_000


def test_only_who_has_the_key_can_try_ids():
    hashes = [hash_subjects(["4711"], settings)[0] for settings in (Settings(), FIRST, OTHER)]
    assert len(set(hashes)) == 3


def test_a_key_that_is_named_but_not_asked_for_is_not_used():
    """A ledger says which key made its pseudonyms, and holds none where they are off."""
    named = Settings(pseudonym_key_env="FIRST_KEY_OF_THE_TEST")
    assert hash_subjects(["4711"], named) == hash_subjects(["4711"], Settings())


def test_an_account_s_pseudonym_tells_nothing_of_the_subject_of_the_same_name():
    (hash_,) = hash_subjects(["ann"], FIRST)
    assert hash_ not in Pseudonyms.from_key(KEYS["FIRST_KEY_OF_THE_TEST"]).encrypt("ann")


def test_without_its_key_nothing_is_hashed(monkeypatch):
    monkeypatch.delenv("FIRST_KEY_OF_THE_TEST")
    with pytest.raises(SettingsError, match="is not set"):
        hash_subjects(["4711"], FIRST)
