"""The facts that the database gathers are the facts that are there, on both databases."""

from datetime import timedelta

import pytest
from sqlmodel import Session

from prefcentre.consent.models import Consent, ConsentState
from prefcentre.context import Context
from prefcentre.delivery import facts, rules
from prefcentre.delivery.facts import Question
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.rules import ConsentFact, Facts
from prefcentre.lookup import LookupKeys, LookupKind
from prefcentre.preferences.models import Frequency, Preference
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.testing.makers import Cast, make_person, make_suppression
from tests.delivery.conftest import start

GRANTED = Facts(consent=ConsentFact.GRANTED)


def about(context: Context, cast: Cast) -> Question:
    return Question(
        topic_id=cast.news.id or 0,
        topic_key=cast.news.key,
        campaign_id=0,
        key_version=context.lookup.version,
        at=context.clock.now(),
    )


def facts_of(session: Session, context: Context, cast: Cast, person: Subscriber) -> Facts:
    return rules.facts_of(code_of(session, about(context, cast), person.id or 0))


def code_of(session: Session, question: Question, number: int) -> int:
    """What the database gathers about one person, in both of its ways."""
    values = question.values(q_after=number - 1, q_up_to=number)
    ((_, code),) = session.execute(facts.part_facts(), values).all()
    assert dict(session.execute(facts.audience_facts(), values).all())[number] == code
    return int(code)


def test_consents_of_the_cast_are_told_apart(any_context: Context, any_cast: Cast) -> None:
    with any_context.db.writing() as session:
        nobody = make_person(session, any_context, "eve@example.org")
    with any_context.db.reading() as session:
        found = [
            facts_of(session, any_context, any_cast, person).consent
            for person in (any_cast.ada, any_cast.ben, any_cast.cleo, nobody)
        ]
    assert found == [
        ConsentFact.GRANTED,
        ConsentFact.PENDING,
        ConsentFact.WITHDRAWN,
        ConsentFact.NEVER_ASKED,
    ]


def test_consent_for_another_topic_or_channel_does_not_count(
    any_context: Context, any_cast: Cast
) -> None:
    with any_context.db.writing() as session:
        row = session.get(Consent, (any_cast.ada.id, any_cast.news.id, "email"))
        assert row is not None
        session.delete(row)
    with any_context.db.reading() as session:
        assert (
            facts_of(session, any_context, any_cast, any_cast.ada).consent
            is ConsentFact.NEVER_ASKED
        )


def test_consent_ends_on_the_second(any_context: Context, any_cast: Cast) -> None:
    now = any_context.clock.now()
    for until, expired in ((now, True), (now + timedelta(seconds=1), False)):
        with any_context.db.writing() as session:
            row = session.get(Consent, (any_cast.ada.id, any_cast.news.id, "email"))
            assert row is not None
            row.valid_until = until
        with any_context.db.reading() as session:
            assert facts_of(session, any_context, any_cast, any_cast.ada).consent_expired is expired


@pytest.mark.parametrize("scope", ["all", "email", "product-news:email"])
def test_an_entry_that_covers_the_campaign_is_found(
    any_context: Context, any_cast: Cast, scope: str
) -> None:
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "ADA@Example.org", Reason.MANUAL, scope)
    with any_context.db.reading() as session:
        assert facts_of(session, any_context, any_cast, any_cast.ada).suppression is Reason.MANUAL


@pytest.mark.parametrize("scope", ["post", "sms", "events:email", "product-news:post"])
def test_an_entry_about_something_else_is_not(
    any_context: Context, any_cast: Cast, scope: str
) -> None:
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "ada@example.org", Reason.MANUAL, scope)
    with any_context.db.reading() as session:
        assert facts_of(session, any_context, any_cast, any_cast.ada) == GRANTED


def test_a_blocked_domain_is_found_and_its_neighbours_are_not(
    any_context: Context, any_cast: Cast
) -> None:
    with any_context.db.writing() as session:
        other = make_person(session, any_context, "ada@sub.example.org")
        suppression.suppress(
            session,
            any_context,
            domain="example.org",
            scope="domain",
            reason=Reason.DOMAIN,
            source="test",
        )
    with any_context.db.reading() as session:
        assert facts_of(session, any_context, any_cast, any_cast.ada).suppression is Reason.DOMAIN
        assert facts_of(session, any_context, any_cast, other).suppression is None


def test_of_several_entries_the_strongest_is_told(any_context: Context, any_cast: Cast) -> None:
    with any_context.db.writing() as session:
        for reason in (Reason.MANUAL, Reason.COMPLAINT, Reason.STOP_ALL):
            make_suppression(session, any_context, "ada@example.org", reason)
        suppression.suppress(
            session,
            any_context,
            domain="example.org",
            scope="domain",
            reason=Reason.DOMAIN,
            source="test",
        )
    with any_context.db.reading() as session:
        assert (
            facts_of(session, any_context, any_cast, any_cast.ada).suppression is Reason.COMPLAINT
        )


def test_an_entry_that_has_ended_denies_no_more(any_context: Context, any_cast: Cast) -> None:
    now = any_context.clock.now()
    with any_context.db.writing() as session:
        suppression.suppress(
            session,
            any_context,
            email="ada@example.org",
            scope="all",
            reason=Reason.SOFT_BOUNCE,
            source="test",
            until=now + timedelta(days=1),
        )
    question = about(any_context, any_cast)
    number = any_cast.ada.id or 0
    with any_context.db.reading() as session:
        before = code_of(session, question, number)
        later = Question(
            question.topic_id, question.topic_key, 0, question.key_version, now + timedelta(days=1)
        )
        after = code_of(session, later, number)
    assert rules.facts_of(before).suppression is Reason.SOFT_BOUNCE
    assert rules.facts_of(after).suppression is None


def test_an_entry_under_an_old_lookup_key_still_denies(
    any_context: Context, any_cast: Cast
) -> None:
    """R179: after a rotation the person has a key of each version, and the old entry stays."""
    new = LookupKeys(
        [
            "a new lookup key for this test",
            *(key.get_secret_value() for key in any_context.settings.lookup_keys),
        ]
    )
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "ada@example.org", Reason.MANUAL)
        from prefcentre.subscribers.models import SubscriberKey  # noqa: PLC0415 - only this test rotates

        session.add(
            SubscriberKey(
                key_version=new.version,
                kind=LookupKind.EMAIL,
                key=new.newest(LookupKind.EMAIL, "ada@example.org"),
                subscriber_id=any_cast.ada.id or 0,
            )
        )
    question = Question(
        any_cast.news.id or 0, "product-news", 0, new.version, any_context.clock.now()
    )
    number = any_cast.ada.id or 0
    with any_context.db.reading() as session:
        code = code_of(session, question, number)
    assert rules.facts_of(code).suppression is Reason.MANUAL


@pytest.mark.parametrize(("ahead", "paused"), [(timedelta(seconds=1), True), (timedelta(), False)])
def test_a_pause_ends_by_itself(
    any_context: Context, any_cast: Cast, ahead: timedelta, *, paused: bool
) -> None:
    now = any_context.clock.now()
    with any_context.db.writing() as session:
        row = session.get(Preference, any_cast.ada.id)
        assert row is not None
        row.paused_until = now + ahead
    with any_context.db.reading() as session:
        assert facts_of(session, any_context, any_cast, any_cast.ada).paused is paused


@pytest.mark.parametrize(
    ("frequency", "days_ago", "too_soon"),
    [
        (Frequency.WEEKLY, 6, True),
        (Frequency.WEEKLY, 8, False),
        (Frequency.MONTHLY, 29, True),
        (Frequency.MONTHLY, 31, False),
        (Frequency.ALL, 0, False),
    ],
)
def test_a_wish_for_fewer_mails_looks_at_what_was_sent(
    any_context: Context, any_cast: Cast, frequency: Frequency, days_ago: int, *, too_soon: bool
) -> None:
    earlier = start(any_context, "earlier")
    with any_context.db.writing() as session:
        row = session.get(Delivery, (earlier.id, 1))
        assert row is not None
        row.state, row.at = (
            DeliveryState.ACCEPTED,
            any_context.clock.now() - timedelta(days=days_ago),
        )
        preference = session.get(Preference, any_cast.ada.id)
        assert preference is not None
        preference.frequency = frequency
    with any_context.db.reading() as session:
        assert facts_of(session, any_context, any_cast, any_cast.ada).too_soon is too_soon


def test_a_person_without_an_address_has_none(any_context: Context, any_cast: Cast) -> None:
    with any_context.db.writing() as session:
        by_post = make_person(session, any_context, None, "Fay", postal_address="1 Road")
    with any_context.db.reading() as session:
        assert not facts_of(session, any_context, any_cast, by_post).has_address


def test_restricted_people_and_role_addresses_are_seen(
    any_context: Context, any_cast: Cast
) -> None:
    with any_context.db.writing() as session:
        held = make_person(session, any_context, "held@example.org")
        held.restricted = True
        role = make_person(session, any_context, "postmaster@example.org")
    with any_context.db.reading() as session:
        assert facts_of(session, any_context, any_cast, held).restricted
        assert facts_of(session, any_context, any_cast, role).role_address


def test_the_state_enum_and_the_fact_enum_agree() -> None:
    assert {fact.value for fact in ConsentFact} == {state.value for state in ConsentState} | {
        "never_asked"
    }
