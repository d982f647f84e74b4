"""Topics and people for tests, and the cast of four that most stories are told with."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from prefcentre.consent import service as consents
from prefcentre.consent.models import (
    Channel,
    ConsentAction,
    ConsentState,
    ConsentWording,
    LawfulBasis,
    Topic,
)
from prefcentre.context import Context
from prefcentre.preferences.models import Preference, TrackingChoice
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.models import Subscriber
from prefcentre.suppression import service as suppressions


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
    first, _, last = (name or "").partition(" ")
    values: dict[str, Any] = {
        "name": name,
        "first_name": first or None,
        "last_name": last or None,
        "language": "en",
    }
    person = subscribers.add(session, context, email=email, **(values | fields))
    if tracking is not None:
        choice = TrackingChoice.YES if tracking else TrackingChoice.NO
        session.add(
            Preference(
                subscriber_id=person.id or 0,
                track_opens=choice,
                track_clicks=choice,
                updated_at=context.clock.now(),
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
    """Where somebody stands, by the shortest way that leads there."""
    ways = {
        ConsentState.PENDING: [ConsentAction.REQUESTED],
        ConsentState.GRANTED: [ConsentAction.REQUESTED, ConsentAction.CONFIRMED],
        ConsentState.WITHDRAWN: [ConsentAction.GRANTED, ConsentAction.WITHDRAWN],
        ConsentState.REFUSED: [ConsentAction.REFUSED],
    }
    acts = [
        consents.Act(
            subscriber_id=person.id or 0,
            subscriber_ref=person.consent_ref,
            topic_id=topic.id or 0,
            channel=channel,
            action=action,
            method="test",
            source="test",
            at=context.clock.now(),
        )
        for action in ways[state]
    ]
    consents.record(session, context, acts)


def make_suppression(
    session: Session, context: Context, email: str, reason: Reason, scope: str = "all"
) -> None:
    """An entry that forbids writing to an address."""
    suppressions.suppress(session, context, email=email, scope=scope, reason=reason, source="test")
