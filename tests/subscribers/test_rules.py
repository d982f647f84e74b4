from typing import Any

import pytest

from prefcentre import addresses
from prefcentre.errors import InvalidInput
from prefcentre.lookup import LookupKeys, LookupKind
from prefcentre.subscribers import rules
from prefcentre.subscribers.rules import Person, Written

NEW, OLD = "n" * 32, "o" * 32


def test_people_who_come_together_lie_together_in_the_ledger_and_others_do_not() -> None:
    lookup = LookupKeys([NEW])
    refs = [rules.consent_ref(lookup, rules.public_id(5, number)) for number in range(50)]
    assert len(set(refs)) == 50
    assert len({ref[:4] for ref in refs}) == 1
    assert rules.consent_ref(lookup, rules.public_id(6, 0))[:4] != refs[0][:4]


def test_the_name_in_the_ledger_needs_the_lookup_key() -> None:
    public_id = rules.public_id(1, 2)
    assert rules.consent_ref(LookupKeys([NEW]), public_id) != rules.consent_ref(
        LookupKeys([OLD]), public_id
    )
    assert rules.consent_ref(LookupKeys([NEW]), public_id) == rules.consent_ref(
        LookupKeys([NEW, OLD]), public_id
    )


def test_public_ids_stay_positive_in_64_bits() -> None:
    assert rules.public_id(2**31 - 1, 2**32 - 1) == 2**63 - 1


def test_a_person_is_found_under_every_lookup_key() -> None:
    lookup = LookupKeys([NEW, OLD])
    email = addresses.parse("Ada@Example.org")
    found = rules.keys(lookup, email, "+35921234567")
    assert [(keyed.version, keyed.kind) for keyed in found] == [
        (lookup.versions[0], LookupKind.EMAIL),
        (lookup.versions[1], LookupKind.EMAIL),
        (lookup.versions[0], LookupKind.PHONE),
        (lookup.versions[1], LookupKind.PHONE),
    ]
    assert found[0].key == lookup.newest(LookupKind.EMAIL, "ada@example.org")
    assert found[1].domain_key == LookupKeys([OLD]).newest(LookupKind.DOMAIN, "example.org")


def known(**columns: Any) -> dict[str, Any]:
    return dict.fromkeys(("email", "phone", *rules.PROFILE)) | {"attributes": {}} | columns


@pytest.mark.parametrize(
    ("person", "changed"),
    [
        (Person(profile={"name": "Ada"}), {}),
        (Person(profile={"name": "Ada L."}), {"name": "Ada L."}),
        (Person(profile={"language": "en"}), {"language": "en"}),
        (Person(email=addresses.parse("ADA@example.org")), {}),
        (Person(phone="+35921234567"), {"phone": "+35921234567"}),
        (Person(attributes={"city": "Sofia"}), {}),
        (Person(attributes={"city": "London"}), {"attributes": {"city": "London", "plan": "team"}}),
        (
            Person(attributes={"age": "1"}),
            {"attributes": {"city": "Sofia", "plan": "team", "age": "1"}},
        ),
    ],
)
def test_only_new_facts_change_something_and_nothing_is_wiped_out(
    person: Person, changed: dict[str, Any]
) -> None:
    ada = known(email="Ada@example.org", name="Ada", attributes={"city": "Sofia", "plan": "team"})
    assert rules.changes(ada, person) == changed


def test_written_attributes_are_as_good_as_read_ones() -> None:
    read = {"city": "Sofia", "plan": "team"}
    written = Written('{"city":"Sofia","plan":"team"}')
    assert written == read
    assert read == written
    assert written == Written('{"plan": "team", "city": "Sofia"}')
    assert written != {"city": "Sofia"}
    assert written != '{"city":"Sofia","plan":"team"}'
    assert {**written, "age": 1} == {**read, "age": 1}
    ada = known(attributes=written)
    assert rules.changes(ada, Person(attributes=read)) == {}
    assert rules.changes(ada, Person(attributes=Written('{"plan":"free"}'))) == {
        "attributes": {"city": "Sofia", "plan": "free"}
    }


def test_written_attributes_that_are_the_same_are_not_even_read() -> None:
    no_json = Written("as long as nobody looks")
    assert rules.changes(known(attributes=no_json), Person(attributes=Written(no_json.text))) == {}


def test_a_field_that_no_subscriber_has_is_refused() -> None:
    with pytest.raises(InvalidInput, match="shoe_size"):
        rules.profile_from({"name": "Ada", "shoe_size": "37"})
    assert rules.profile_from({"name": "Ada", "language": None, "timezone": ""}) == {"name": "Ada"}
