import itertools

import pytest

from prefcentre.lookup import KEY_BYTES, LookupKeys, LookupKind

OLD, NEW = "the key of last year", "the key of this year"


def test_the_same_address_has_the_same_hash_and_another_one_has_another() -> None:
    keys = LookupKeys([NEW])
    ada = keys.newest(LookupKind.EMAIL, "ada@example.org")
    assert ada == LookupKeys([NEW]).newest(LookupKind.EMAIL, "ada@example.org")
    assert ada != keys.newest(LookupKind.EMAIL, "ben@example.org")
    assert len(ada) == KEY_BYTES


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(LookupKind, 2)))
def test_one_text_hashes_differently_as_another_kind(one: LookupKind, other: LookupKind) -> None:
    keys = LookupKeys([NEW])
    assert keys.newest(one, "example.org") != keys.newest(other, "example.org")


def test_a_search_looks_under_every_key_newest_first() -> None:
    keys = LookupKeys([NEW, OLD])
    old = LookupKeys([OLD]).newest(LookupKind.EMAIL, "ada@example.org")
    assert keys.all(LookupKind.EMAIL, "ada@example.org") == [
        keys.newest(LookupKind.EMAIL, "ada@example.org"),
        old,
    ]


def test_a_hash_looks_the_same_in_every_release() -> None:
    # Suppressions are stored by this hash alone; if it changed, people would be written to again.
    keys = LookupKeys(["0123456789abcdef"])
    assert keys.version == "6da71804"
    assert (
        keys.newest(LookupKind.EMAIL, "ada@example.org").hex() == "795519bd289a7f5814036c4466f51051"
    )


def test_the_name_of_a_key_moves_with_it_and_tells_nothing_of_it() -> None:
    both = LookupKeys([NEW, OLD])
    assert both.versions == (LookupKeys([NEW]).version, LookupKeys([OLD]).version)
    assert both.version == both.versions[0]
    assert all(len(version) == 8 and version not in NEW + OLD for version in both.versions)


def test_each_hash_is_paired_with_the_name_of_its_key() -> None:
    keys = LookupKeys([NEW, OLD])
    found = keys.by_version(LookupKind.PHONE, "+35921234567")
    assert found == list(
        zip(keys.versions, keys.all(LookupKind.PHONE, "+35921234567"), strict=True)
    )
