from prefcentre import addresses
from prefcentre.demo.people import CAST, COUNTRIES, HOW_MANY, people


def test_they_are_the_same_people_every_time() -> None:
    assert list(people()) == list(people())


def test_the_cast_comes_first_and_nobody_comes_twice() -> None:
    found = [who.email for who in people()]
    assert tuple(found[: len(CAST)]) == CAST
    assert len(set(found)) == len(found) == HOW_MANY


def test_nobody_could_be_a_real_person() -> None:
    reserved = {"example.org", "example.com", "example.net"}
    domains = {".".join(addresses.parse(who.email).domain.split(".")[-2:]) for who in people()}
    assert domains <= reserved


def test_they_come_from_everywhere_and_agree_to_different_things() -> None:
    found = list(people())
    assert {who.language for who in found} == {country.language for country in COUNTRIES}
    assert {who.tracking for who in found} == {"yes", "no", ""}
    assert any("а" <= letter <= "я" for who in found for letter in who.name)
    assert any(not who.first_name for who in found)
