"""Topics and people for tests, and the cast of four that most stories are told with."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from prefcentre import addresses
from prefcentre.consent.models import (
    Channel,
    Consent,
    ConsentState,
    ConsentWording,
    LawfulBasis,
    Topic,
)
from prefcentre.context import Context
from prefcentre.lookup import LookupKind
from prefcentre.preferences.models import Preference, TrackingChoice
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.suppression.models import Suppression
from prefcentre.tokens import new_public_id


@dataclass(frozen=True)
class Cast:
    """Ada reads everything, Ben has not confirmed, Cleo left, Dan's address is dead; all about ``news``."""

    news: Topic
    events: Topic
    ada: Subscriber
    ben: Subscriber
    cleo: Subscriber
    dan: Subscriber


def make_cast(context: Context) -> Cast:
    """Two topics and the four people, written to the database."""
    with context.db.writing() as session:
        news = make_topic(session, context, "product-news", channels=["email", "post"])
        events = make_topic(session, context, "events", channels=["email", "sms"])
        cast = Cast(
            news=news,
            events=events,
            ada=make_person(session, context, "ada@example.org", "Ada Lovelace", tracking=True),
            ben=make_person(session, context, "ben@example.org", "Ben Ó Briain", language="ga"),
            cleo=make_person(session, context, "cleo@example.org", "Клео Иванова", language="bg"),
            dan=make_person(session, context, "dan@example.org", "Dan"),
        )
        make_consent(session, context, cast.ada, news)
        make_consent(session, context, cast.ada, events)
        make_consent(session, context, cast.ben, news, state=ConsentState.PENDING)
        make_consent(session, context, cast.cleo, news, state=ConsentState.WITHDRAWN)
        make_consent(session, context, cast.dan, news)
        make_suppression(session, context, "dan@example.org", Reason.HARD_BOUNCE)
    return cast


def make_topic(
    session: Session, context: Context, key: str = "product-news", **fields: Any
) -> Topic:
    """A topic with its words in English."""
    words = key.replace("-", " ").capitalize()
    values: dict[str, Any] = {
        "name": words,
        "description": f"{words}, about twice a month.",
        "channels": ["email"],
        "lawful_basis": LawfulBasis.CONSENT,
        "list_label": key,
        "created_at": context.clock.now(),
    }
    topic = Topic(key=key, **(values | fields))
    session.add(topic)
    session.flush()
    wording = ConsentWording(
        topic_id=topic.id or 0,
        version=1,
        language="en",
        text=f"Yes, send me {topic.name}.",
        sha256="0" * 64,
        shown_from=context.clock.now(),
    )
    session.add(wording)
    session.flush()
    return topic


def make_person(
    session: Session,
    context: Context,
    email: str | None,
    name: str | None = None,
    *,
    tracking: bool | None = None,
    **fields: Any,
) -> Subscriber:
    """A subscriber, findable by all keys; ``tracking`` answers for opens and clicks at once."""
    now = context.clock.now()
    first, _, last = (name or "").partition(" ")
    public_id = new_public_id()
    values: dict[str, Any] = {
        "email": email,
        "name": name,
        "first_name": first or None,
        "last_name": last or None,
        "language": "en",
        "created_at": now,
        "updated_at": now,
    }
    reference = context.lookup.newest(LookupKind.SUBSCRIBER, str(public_id))
    person = Subscriber(public_id=public_id, consent_ref=reference, **(values | fields))
    session.add(person)
    session.flush()
    if email:
        _add_keys(session, context, person, addresses.parse(email))
    if tracking is not None:
        choice = TrackingChoice.YES if tracking else TrackingChoice.NO
        session.add(
            Preference(
                subscriber_id=person.id or 0,
                track_opens=choice,
                track_clicks=choice,
                updated_at=now,
            )
        )
    session.flush()
    return person


def make_consent(
    session: Session,
    context: Context,
    person: Subscriber,
    topic: Topic,
    channel: Channel = Channel.EMAIL,
    *,
    state: ConsentState = ConsentState.GRANTED,
) -> None:
    """Where somebody stands, without a story of how they got there."""
    session.add(
        Consent(
            subscriber_id=person.id or 0,
            topic_id=topic.id or 0,
            channel=channel,
            state=state,
            lawful_basis=topic.lawful_basis,
            since=context.clock.now(),
            event_seq=0,
        )
    )
    session.flush()


def make_suppression(
    session: Session, context: Context, email: str, reason: Reason, scope: str = "all"
) -> None:
    """An entry that forbids writing to an address, under every key in use."""
    normal = addresses.normalise(email)
    session.execute(
        sa.insert(Suppression),
        [
            {
                "key": key,
                "key_version": version,
                "scope": scope,
                "reason": reason,
                "source": "test",
                "at": context.clock.now(),
                "note": "",
            }
            for version, key in context.lookup.by_version(LookupKind.EMAIL, normal)
        ],
    )


def _add_keys(
    session: Session, context: Context, person: Subscriber, address: addresses.Address
) -> None:
    domains = context.lookup.by_version(LookupKind.DOMAIN, address.domain)
    for (version, key), (_, domain_key) in zip(
        context.lookup.by_version(LookupKind.EMAIL, address.normal), domains, strict=True
    ):
        session.add(
            SubscriberKey(
                key_version=version,
                kind=LookupKind.EMAIL,
                key=key,
                domain_key=domain_key,
                subscriber_id=person.id or 0,
            )
        )
