"""Another address for the same person, on both databases."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.errors import InvalidAddress
from prefcentre.lookup import LookupKind
from prefcentre.preferences import service
from prefcentre.preferences.service import Method, Moved, Visit
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_suppression

NEW = "Ada.Byron@example.net"
HOW = Visit(Method.PREFERENCE_PAGE, "192.0.2.7")


def move(context: Context, person: Subscriber, email: str = NEW) -> Moved:
    with context.db.writing() as session:
        return service.change_address(session, context, person.id or 0, email, HOW)


def denied(session: Session, context: Context, email: str) -> set[tuple[str, Reason]]:
    found = suppression.check(session, context, email)
    return {(entry.scope, entry.reason) for entry in found}


def test_a_person_is_found_by_the_new_address_alone(any_context: Context, any_cast: Cast) -> None:
    before = any_cast.ada.public_id
    moved = move(any_context, any_cast.ada)
    assert (moved.changed, moved.old, moved.new) == (True, "ada@example.org", NEW)
    with any_context.db.reading() as session:
        found = subscribers.find(session, any_context, "ada.byron@EXAMPLE.net")
        assert found
        assert (found.public_id, found.email) == (before, NEW)
        assert subscribers.find(session, any_context, "ada@example.org") is None
        keys = session.exec(select(SubscriberKey.key)).all()
        assert set(subscribers.keys_of(session, found.id or 0)) <= set(moved.keys) & set(keys)


def test_consents_stay_as_they_are(any_context: Context, any_cast: Cast) -> None:
    number = any_cast.ada.id or 0
    with any_context.db.reading() as session:
        before = consents.consents_of(session, number)
    move(any_context, any_cast.ada)
    with any_context.db.reading() as session:
        assert consents.consents_of(session, number) == before
        assert consents.verify(session, any_context).ok


def test_the_ledger_says_when_and_how_each_consent_went_over_and_holds_no_address(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    clock.advance(days=1)
    move(any_context, any_cast.ada)
    with any_context.db.writing() as session:
        person = subscribers.by_id(session, any_cast.ada.id or 0)
        assert person
        (event, *_others) = [
            one
            for one in consents.history(session, any_context, person)
            if one["action"] == "moved"
        ]
        before, after = (
            any_context.lookup.newest(LookupKind.EMAIL, email).hex()
            for email in ("ada@example.org", NEW.lower())
        )
        assert (event["state"], event["method"], event["source"], event["at"], event["ip"]) == (
            "granted",
            "preference_page",
            "address change",
            clock.now(),
            "192.0.2.7",
        )
        assert (event["evidence"]["old_address"], event["evidence"]["new_address"]) == (
            before,
            after,
        )
        assert "@" not in str(event)
        kept = consents.consents_of(session, person.id or 0)
        consents.rebuild(session)
        assert consents.consents_of(session, person.id or 0) == kept
        assert consents.verify(session, any_context).ok


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        ("all", Reason.STOP_ALL),
        ("product-news:email", Reason.TOPIC),
        ("email", Reason.OBJECTION),
        ("all", Reason.COMPLAINT),
        ("all", Reason.REGISTER),
        ("all", Reason.LEGAL),
        ("all", Reason.MANUAL),
    ],
)
def test_what_is_about_the_person_comes_along_and_stays(
    any_context: Context, any_cast: Cast, scope: str, reason: Reason
) -> None:
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "ada@example.org", reason, scope)
    move(any_context, any_cast.ada)
    with any_context.db.reading() as session:
        assert denied(session, any_context, NEW) == {(scope, reason)}
        assert denied(session, any_context, "ada@example.org") == {(scope, reason)}


@pytest.mark.parametrize("reason", [Reason.HARD_BOUNCE, Reason.SOFT_BOUNCE, Reason.TRAP])
def test_what_is_about_the_mailbox_stays_with_it(
    any_context: Context, any_cast: Cast, reason: Reason
) -> None:
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "ada@example.org", reason)
    move(any_context, any_cast.ada)
    with any_context.db.reading() as session:
        assert denied(session, any_context, NEW) == set()
        assert denied(session, any_context, "ada@example.org") == {("all", reason)}


def test_an_entry_that_ends_ends_at_the_same_time(any_context: Context, any_cast: Cast) -> None:
    until = any_context.clock.now() + timedelta(days=9)
    with any_context.db.writing() as session:
        suppression.suppress(
            session,
            any_context,
            email="ada@example.org",
            scope="all",
            reason=Reason.MANUAL,
            source="test",
            until=until,
        )
    move(any_context, any_cast.ada)
    with any_context.db.reading() as session:
        assert [entry.until for entry in suppression.check(session, any_context, NEW)] == [until]


def test_what_forbade_the_new_address_still_does(any_context: Context, any_cast: Cast) -> None:
    with any_context.db.writing() as session:
        make_suppression(session, any_context, NEW, Reason.COMPLAINT)
    move(any_context, any_cast.ada)
    with any_context.db.reading() as session:
        assert denied(session, any_context, NEW) == {("all", Reason.COMPLAINT)}


@pytest.mark.parametrize("email", ["ben@example.org", "BEN@example.org", "ada@example.org"])
def test_an_address_that_is_taken_changes_nothing(
    any_context: Context, any_cast: Cast, email: str
) -> None:
    assert not move(any_context, any_cast.ada, email).changed
    with any_context.db.reading() as session:
        for person in (any_cast.ada, any_cast.ben):
            found = subscribers.find(session, any_context, person.email or "")
            assert found
            assert found.id == person.id


def test_an_erased_person_and_a_bad_address_move_nobody(
    any_context: Context, any_cast: Cast
) -> None:
    with any_context.db.writing() as session:
        assert not service.change_address(session, any_context, 4711, NEW, HOW).changed
    with pytest.raises(InvalidAddress):
        move(any_context, any_cast.ada, "nowhere")
