import secrets
from collections.abc import Iterable
from dataclasses import replace

import pytest
from sqlmodel import select

from prefcentre.context import Context
from prefcentre.errors import InvalidAddress, InvalidInput, Refused
from prefcentre.lookup import LookupKeys
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.subscribers.service import Outcome, Rehearsal, Settled


def people(context: Context) -> list[Subscriber]:
    with context.db.reading() as session:
        return list(session.exec(select(Subscriber).order_by(Subscriber.id)))  # type: ignore[arg-type]


def bring(
    context: Context, *facts: dict[str, object], rehearsal: Rehearsal | None = None
) -> list[Settled]:
    with context.db.writing() as session:
        found = [subscribers.person(context, **fact) for fact in facts]  # type: ignore[arg-type]
        return subscribers.bring_in(session, context, found, rehearsal)


def outcomes(settled: Iterable[Settled]) -> list[Outcome]:
    return [found.outcome for found in settled]


def fact(
    email: str = "", phone: str = "", name: str | None = None, **attributes: str
) -> dict[str, object]:
    profile = {"name": name} if name else {}
    return {"email": email, "phone": phone, "profile": profile, "attributes": attributes}


# --- one person -----------------------------------------------------------------------------


def test_a_person_is_found_however_the_address_is_written(any_context: Context) -> None:
    with any_context.db.writing() as session:
        ada = subscribers.add(session, any_context, email="Ada@Bücher.example", name="Ada")
    with any_context.db.reading() as session:
        for typed in ("ada@bücher.example", " ADA@xn--bcher-kva.example ", "Ada@BÜCHER.example"):
            found = subscribers.find(session, any_context, typed)
            assert found is not None
            assert (found.id, found.email, found.name) == (ada.id, "Ada@Bücher.example", "Ada")
        assert subscribers.find(session, any_context, "ad.a@bücher.example") is None
        by_number = subscribers.by_public_id(session, ada.public_id)
        assert by_number is not None
        assert by_number.id == ada.id
        assert subscribers.by_public_id(session, ada.public_id + 1) is None


def test_what_is_no_address_can_not_be_looked_for(context: Context) -> None:
    with context.db.reading() as session, pytest.raises(InvalidAddress):
        subscribers.find(session, context, "ada")


def test_a_new_lookup_key_still_finds_who_came_under_the_old_one(context: Context) -> None:
    old, new = secrets.token_hex(16), secrets.token_hex(16)
    before = replace(context, lookup=LookupKeys([old]))
    after = replace(context, lookup=LookupKeys([new, old]))
    with context.db.writing() as session:
        ada = subscribers.add(session, before, email="ada@example.org")
        ben = subscribers.add(session, after, email="ben@example.org", phone="+35921234567")
    with context.db.reading() as session:
        found = subscribers.find(session, after, "ada@example.org")
        assert found is not None
        assert found.id == ada.id
        assert len(subscribers.keys_of(session, ada.id or 0)) == 1
        assert len(subscribers.keys_of(session, ben.id or 0)) == 4
        assert (
            subscribers.find(session, replace(context, lookup=LookupKeys([new])), "ada@example.org")
            is None
        )


def test_an_address_or_number_belongs_to_one_person(any_context: Context) -> None:
    with any_context.db.writing() as session:
        subscribers.add(session, any_context, email="ada@example.org", phone="+35921234567")
        with pytest.raises(Refused, match="e-mail address"):
            subscribers.add(session, any_context, email="ADA@example.org")
        with pytest.raises(Refused, match="phone number"):
            subscribers.add(session, any_context, email="ben@example.org", phone="+359 2 123 4567")


def test_somebody_may_be_reached_by_post_alone_but_not_by_nothing(context: Context) -> None:
    with context.db.writing() as session:
        person = subscribers.add(session, context, postal_address="1 Example Street", name="")
        assert (person.email, person.name) == (None, None)
        with pytest.raises(InvalidInput, match="needs"):
            subscribers.add(session, context, name="Nobody")


def test_a_technical_mailbox_is_marked(context: Context) -> None:
    with context.db.writing() as session:
        assert subscribers.add(session, context, email="postmaster@example.org").role_address
        assert not subscribers.add(session, context, email="ada@example.org").role_address


# --- many people ----------------------------------------------------------------------------


def test_many_come_in_and_are_found_like_single_ones(any_context: Context) -> None:
    settled = bring(
        any_context,
        fact("ada@example.org", "+35921234567", "Ada", city="Sofia"),
        fact("ben@example.org"),
    )
    assert outcomes(settled) == [Outcome.ADDED, Outcome.ADDED]
    with any_context.db.writing() as session:
        ada = subscribers.find(session, any_context, "ada@example.org")
        assert ada is not None
        assert (ada.name, ada.phone, ada.attributes) == ("Ada", "+35921234567", {"city": "Sofia"})
        assert (ada.restricted, ada.created_at) == (False, any_context.clock.now())
        assert len(subscribers.keys_of(session, ada.id or 0)) == 2
        # Ids that were given out at once and one at a time must not meet.
        cleo = subscribers.add(session, any_context, email="cleo@example.org")
    assert len({person.id for person in people(any_context)} | {cleo.id}) == 3


def test_coming_again_changes_only_what_is_new(any_context: Context) -> None:
    bring(
        any_context,
        fact("ada@example.org", name="Ada", city="Sofia"),
        fact("ben@example.org", name="Ben"),
    )
    settled = bring(
        any_context,
        fact("ADA@example.org", city="London", plan="team"),
        fact("ben@example.org", name="Ben"),
    )
    assert outcomes(settled) == [Outcome.UPDATED, Outcome.UNCHANGED]
    ada, ben = people(any_context)
    assert (ada.email, ada.name, ada.attributes) == (
        "ada@example.org",
        "Ada",
        {"city": "London", "plan": "team"},
    )
    assert (ben.name, ben.attributes) == ("Ben", {})


def test_a_later_line_sees_what_an_earlier_one_brought(any_context: Context) -> None:
    settled = bring(
        any_context,
        fact("ada@example.org", name="Ada"),
        fact("Ada@example.org", name="Ada Lovelace"),
        fact("ada@EXAMPLE.org", name="Ada Lovelace"),
    )
    assert outcomes(settled) == [Outcome.ADDED, Outcome.UPDATED, Outcome.UNCHANGED]
    assert [person.name for person in people(any_context)] == ["Ada Lovelace"]


def test_two_lines_that_end_where_the_person_was_change_nothing(context: Context) -> None:
    lines = fact("ada@example.org", name="Ada"), fact("ada@example.org", name="Ada Lovelace")
    bring(context, *lines)
    stamp = people(context)[0].updated_at
    assert outcomes(bring(context, *lines)) == [Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert people(context)[0].updated_at == stamp


def test_a_new_number_replaces_the_old_one(any_context: Context) -> None:
    bring(any_context, fact("ada@example.org", "+35921111111"))
    assert outcomes(bring(any_context, fact("ada@example.org", "+35922222222"))) == [
        Outcome.UPDATED
    ]
    assert outcomes(bring(any_context, fact("ben@example.org", "+35921111111"))) == [Outcome.ADDED]
    ada, ben = people(any_context)
    assert (ada.phone, ben.phone) == ("+35922222222", "+35921111111")
    with any_context.db.reading() as session:
        assert len(subscribers.keys_of(session, ada.id or 0)) == 2


def test_a_number_of_somebody_else_is_refused(any_context: Context) -> None:
    bring(any_context, fact("ada@example.org", "+35921111111"))
    (settled,) = bring(any_context, fact("ben@example.org", "+35921111111"))
    assert settled.outcome is Outcome.REFUSED
    assert "belongs to another" in settled.reason
    assert len(people(any_context)) == 1


def test_who_was_known_by_number_alone_gets_an_address(any_context: Context) -> None:
    settled = bring(
        any_context, fact(phone="+35921111111", name="Ada"), fact("ada@example.org", "+35921111111")
    )
    assert outcomes(settled) == [Outcome.ADDED, Outcome.UPDATED]
    settled = bring(any_context, fact(phone="+35921111111", name="Ada"), fact("ada@example.org"))
    assert outcomes(settled) == [Outcome.UNCHANGED, Outcome.UNCHANGED]
    (ada,) = people(any_context)
    assert (ada.email, ada.phone) == ("ada@example.org", "+35921111111")


def test_every_lookup_key_gets_a_row(context: Context) -> None:
    both = replace(context, lookup=LookupKeys([secrets.token_hex(16), secrets.token_hex(16)]))
    bring(both, fact("ada@example.org"))
    with context.db.reading() as session:
        keys = session.exec(select(SubscriberKey)).all()
    assert {key.key_version for key in keys} == set(both.lookup.versions)
    assert all(key.domain_key for key in keys)


def test_a_rehearsal_writes_nothing_and_remembers_who_comes_twice(context: Context) -> None:
    rehearsal = Rehearsal()
    lines = fact("ada@example.org", name="Ada"), fact("ben@example.org")
    for line in (*lines, lines[0]):
        for keyed in subscribers.person(context, **line).keys:  # type: ignore[arg-type]
            rehearsal.expect(keyed.key)
    assert outcomes(bring(context, *lines, rehearsal=rehearsal)) == [Outcome.ADDED, Outcome.ADDED]
    assert outcomes(bring(context, lines[0], rehearsal=rehearsal)) == [Outcome.UNCHANGED]
    assert [record.row["email"] for record in rehearsal.people.values()] == ["ada@example.org"]
    assert people(context) == []
