"""What a person sees and does on their pages: leave a topic, stop everything, choose, take a change back."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlmodel import Session

from prefcentre import tokens
from prefcentre.consent import service as consents
from prefcentre.consent.service import Channel, ConsentAction, ConsentView, Topic
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound
from prefcentre.preferences import queries, rules, standing
from prefcentre.preferences.acting import (
    Deed,
    Done,
    Plan,
    act,
    campaign_source,
    person_of,
    put_back,
    visitor_of,
)
from prefcentre.preferences.models import Frequency, Leaving, Preference, TrackingChoice
from prefcentre.preferences.moving import Moved, change_address
from prefcentre.preferences.parting import give_reason, read_leaving
from prefcentre.preferences.rules import (
    Cell,
    Entry,
    Limits,
    Method,
    Place,
    TopicChoices,
    Visit,
    Wish,
    pause_from,
)
from prefcentre.preferences.standing import Choice, Standing, row_id
from prefcentre.reasons import Reason
from prefcentre.subscribers.service import Subscriber
from prefcentre.tokens import LinkToken

__all__ = [
    "Cell",
    "Choice",
    "ConsentView",
    "Deed",
    "Done",
    "Frequency",
    "Leaving",
    "Limits",
    "Method",
    "Moved",
    "Overview",
    "Place",
    "Subscriber",
    "Topic",
    "TopicChoices",
    "TrackingChoice",
    "Visit",
    "Wish",
    "agree_to_counting",
    "called",
    "campaign_source",
    "change_address",
    "give_reason",
    "keys_of",
    "pause",
    "pause_from",
    "person_of",
    "read_leaving",
    "stop_counting",
]


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the preference page shows.

    ``gets`` is what arrives at present; ``blocked`` are the reasons why something that is on does not.
    """

    topics: tuple[TopicChoices, ...]
    limits: Limits
    gets: tuple[Choice, ...]
    blocked: tuple[Reason, ...]


def agree_to_counting(
    session: Session, context: Context, person: Subscriber, *, opens: bool, clicks: bool
) -> None:
    """Write down that a person agreed to be counted when they signed up; what they did not tick stays as it was (R154)."""
    if not (opens or clicks):
        return
    row = queries.limits_of(session, row_id(person))
    row = row or Preference(subscriber_id=row_id(person), updated_at=context.clock.now())
    if opens:
        row.track_opens = TrackingChoice.YES
    if clicks:
        row.track_clicks = TrackingChoice.YES
    row.updated_at = context.clock.now()
    session.add(row)
    session.flush()


def stop_counting(session: Session, context: Context, person: Subscriber) -> None:
    """Count nothing that a person opens or follows any more, also in mails that they have (R139, R155)."""
    row = queries.limits_of(session, row_id(person))
    row = row or Preference(subscriber_id=row_id(person), updated_at=context.clock.now())
    row.track_opens = row.track_clicks = TrackingChoice.NO
    row.updated_at = context.clock.now()
    session.add(row)
    session.flush()


def keys_of(session: Session, person: Subscriber) -> list[tuple[str, bytes]]:
    """Every key of a person's address and number, with the version of its lookup key: what locks and entries name."""
    return queries.keys_with_versions(session, row_id(person))


def pause(session: Session, context: Context, person: Subscriber, until: datetime | None) -> None:
    """Let a person have no mails until then; None ends the break. Whoever calls it holds the locks of their keys."""
    row = queries.limits_of(session, row_id(person))
    row = row or Preference(subscriber_id=row_id(person), updated_at=context.clock.now())
    row.paused_until, row.updated_at = until, context.clock.now()
    session.add(row)
    session.flush()


# --- who and what a link means --------------------------------------------------------------------------------------


def topic_of(session: Session, token: LinkToken) -> Topic | None:
    """The topic that a link stops, or None for all mails: the token names none, or it is gone (R34)."""
    if not token.topic:
        return None
    try:
        topic = consents.topic_by_id(session, token.topic)
    except NotFound:
        return None
    return None if topic.archived_at else topic


def called(topic: Topic, language: str) -> str:
    """The name of a topic in this language."""
    return consents.topic_texts(topic, language).name


# --- looking --------------------------------------------------------------------------------------------------------


def overview(
    session: Session, context: Context, subscriber: Subscriber, language: str = "en"
) -> Overview:
    """Every topic and channel with where the person stands, and what is chosen for all of them (R114, R116).

    Topics have the names, and ticks the words, of this language as far as there are any.
    """
    stand = standing.read(session, context, subscriber, language)
    topics = tuple(
        replace(topic, wording=_wording(session, topic.id, language))
        for topic in standing.choices(stand)
    )
    blocked = {cell.blocked: None for topic in topics for cell in topic.cells if cell.on}
    return Overview(
        topics=topics,
        limits=stand.limits,
        gets=standing.gets(topics),
        blocked=tuple(reason for reason in blocked if reason),
    )


def _wording(session: Session, topic_id: int, language: str) -> str:
    try:
        return consents.current_wording(session, topic_id, language).text
    except NotFound:
        return ""


def history(
    session: Session, context: Context, subscriber: Subscriber, language: str = "en"
) -> list[dict[str, Any]]:
    """What the person chose so far, newest first, with the names of the topics and nothing else about them (R124)."""
    names = {
        topic.key: consents.topic_texts(topic, language).name for topic in consents.topics(session)
    }
    kept = ("action", "channel", "at")
    return [
        {name: event[name] for name in kept} | {"topic": names.get(event["topic"], event["topic"])}
        for event in reversed(consents.history(session, context, subscriber))
    ]


def why(
    session: Session, token: LinkToken, subscriber: Subscriber
) -> tuple[Topic, ConsentView | None]:
    """The topic of a mail, and the consent behind it as it stands now. Raises NotFound when the topic is unknown."""
    topic = consents.topic_by_id(session, token.topic)
    views = consents.consents_of(session, standing.row_id(subscriber))
    place = (topic.key, Channel.EMAIL)
    return topic, next((v for v in views if (v.topic_key, v.channel) == place), None)


def who_may_be_counted(
    session: Session, subscriber_ids: Collection[int]
) -> set[tuple[int, Literal["open", "click"]]]:
    """Who of these people agrees, now, that opens or clicks are written down (R153, R155). Never asked is a no."""
    found: set[tuple[int, Literal["open", "click"]]] = set()
    for number, opens, clicks in queries.counting_choices(session, subscriber_ids):
        if opens is TrackingChoice.YES:
            found.add((number, "open"))
        if clicks is TrackingChoice.YES:
            found.add((number, "click"))
    return found


def read_places(texts: Iterable[str]) -> frozenset[Place]:
    """Boxes of the grid, from ``topic:channel``. Raises InvalidInput for a channel that does not exist."""
    found = set()
    for text in texts:
        key, _, channel = text.rpartition(":")
        try:
            found.add((key, Channel(channel)))
        except ValueError as error:
            raise InvalidInput("One of the boxes is not known here. Load the page anew.") from error
    return frozenset(found)


def read_frequency(text: str) -> Frequency | None:
    """How often, as the page sends it; None when nothing was sent. Raises InvalidInput."""
    try:
        return Frequency(text) if text else None
    except ValueError as error:
        raise InvalidInput("Choose one of the three answers to “How often”.") from error


# --- acting ---------------------------------------------------------------------------------------------------------


def unsubscribe(session: Session, context: Context, token: LinkToken, how: Visit) -> Done:
    """Stop the topic of a link by email; all mails when it names none (D1, R34).

    Never refused and safe to repeat: the second time changes nothing. A person who is erased gets the same answer,
    because nothing is sent to them.
    """
    topic = topic_of(session, token)
    if topic is None:

        def stop_mails(stand: Standing) -> Plan:
            mails = [place for place in stand.consents if place[1] is Channel.EMAIL]
            return _stop(stand, mails, ("email", Reason.STOP_ALL))

        return act(session, context, token, how, Deed.TOPIC, stop_mails)

    place = (topic.key, Channel.EMAIL)

    def stop_topic(stand: Standing) -> Plan:
        return _stop(stand, [place], (rules.scope_of(place), Reason.TOPIC))

    done = act(session, context, token, how, Deed.TOPIC, stop_topic)
    name = consents.topic_texts(topic, how.language).name
    return replace(done, topic=name, stopped=(Choice(name, Channel.EMAIL),))


def stop_everything(session: Session, context: Context, token: LinkToken, how: Visit) -> Done:
    """Withdraw every consent on every channel and forbid all writing. Never refused and safe to repeat."""

    def stop(stand: Standing) -> Plan:
        return _stop(stand, list(stand.consents), ("all", Reason.STOP_ALL))

    return act(session, context, token, how, Deed.EVERYTHING, stop)


def save(session: Session, context: Context, token: LinkToken, wish: Wish, how: Visit) -> Done:
    """Have exactly the choices of a sent page, as ``rules.acts`` reads it.

    A box that was ticked anew grants, and lifts the person's own stop of it, because the page was opened by a link
    that was mailed to them (R123, R177, D16). Raises NotFound when the person is erased.
    """

    def plan(stand: Standing) -> Plan:
        acts = rules.acts(standing.choices(stand), wish)
        granted = {place for place, action in acts.items() if action is ConsentAction.GRANTED}
        withdrawn = sorted(acts.keys() - granted)
        return Plan(
            acts,
            add=tuple((rules.scope_of(place), Reason.TOPIC) for place in withdrawn),
            lift=tuple(entry for entry in stand.entries if rules.lifts(granted, *entry)),
            limits=rules.limits_after(stand.limits, wish),
            language=wish.language,
        )

    if person_of(session, token) is None:
        raise NotFound
    return act(session, context, token, how, Deed.SAVE, plan)


def agree(
    session: Session, context: Context, token: LinkToken, places: Collection[Place], how: Visit
) -> Done:
    """Grant these places and leave all others as they are, as ``save`` does for boxes that were ticked anew.

    Raises NotFound when the person is erased.
    """

    def plan(stand: Standing) -> Plan:
        topics = standing.choices(stand)
        wanted = {
            (topic.key, cell.channel) for topic in topics for cell in topic.cells if not cell.on
        } & set(places)
        return Plan(
            dict.fromkeys(sorted(wanted), ConsentAction.GRANTED),
            lift=tuple(entry for entry in stand.entries if rules.lifts(wanted, *entry)),
        )

    if person_of(session, token) is None:
        raise NotFound
    return act(session, context, token, how, Deed.SAVE, plan)


def undo(session: Session, context: Context, token: LinkToken, text: str, how: Visit) -> Done:
    """Put back what the act before had changed: consents, entries and limits; what was touched since stays as it is.

    Works once and for 15 minutes, for the person of the link (R42). A token that is used up or too old changes
    nothing, which ``changed`` tells.
    """
    visitor = visitor_of(session, token, how)
    now = context.clock.now()
    if visitor is None:
        return Done(Deed.UNDO, now)
    person_id = standing.row_id(visitor.person)
    found = queries.take_undo(session, tokens.one_time_hash(text), person_id, now)
    if found is not None:
        put_back(session, context, visitor, found.before)
    return Done(
        Deed.UNDO,
        now,
        remains=standing.gets(
            standing.choices(standing.read(session, context, visitor.person, how.language))
        ),
        changed=found is not None,
        keys=tuple(key for _, key in visitor.keys),
    )


def _stop(stand: Standing, places: list[Place], entry: Entry) -> Plan:
    stoppable = [place for place in places if stand.state(place) in rules.STOPPABLE]
    acts = dict.fromkeys(stoppable, ConsentAction.WITHDRAWN)
    return Plan(acts, add=(entry,), about=tuple(places))
