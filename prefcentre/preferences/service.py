"""What a person sees and does on their pages: leave a topic, stop everything, choose, take a change back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from sqlmodel import Session

from prefcentre import tokens
from prefcentre.consent import service as consents
from prefcentre.consent.service import Act, Channel, ConsentAction, ConsentState, ConsentView, Topic
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.errors import InvalidInput, NotFound
from prefcentre.preferences import queries, rules
from prefcentre.preferences.models import Frequency, Preference, TrackingChoice, UndoToken
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
from prefcentre.reasons import Reason, strongest
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Lifter
from prefcentre.tokens import LinkToken

__all__ = [
    "Cell",
    "Choice",
    "ConsentView",
    "Deed",
    "Done",
    "Frequency",
    "Limits",
    "Method",
    "Overview",
    "Place",
    "Subscriber",
    "Topic",
    "TopicChoices",
    "TrackingChoice",
    "Visit",
    "Wish",
    "pause_from",
]

PREFERENCE_PAGE_SOURCE = "preference page"
PAGE_LANGUAGE = "en"
"""The language in which the pages show the words of a topic."""


class Deed(StrEnum):
    """What was asked for."""

    TOPIC = "topic"  # Stop one topic by email, or all mails when the link names none.
    EVERYTHING = "everything"  # Stop every topic on every channel.
    SAVE = "save"  # Have exactly these choices.
    UNDO = "undo"  # Take the last act back.


@dataclass(frozen=True, slots=True)
class Choice:
    """A topic by one channel, with the topic's name."""

    topic: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the preference page shows.

    ``gets`` is what arrives at present; ``blocked`` are the reasons why something that is on does not.
    """

    topics: tuple[TopicChoices, ...]
    limits: Limits
    gets: tuple[Choice, ...]
    blocked: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What an act came to.

    ``topic`` is the name of the topic that a link named; ``keys`` are the person's, so that the caller can wait for
    mails that are on the wire; ``undo`` works once, for 15 minutes.
    """

    deed: Deed
    since: datetime
    topic: str | None = None
    stopped: tuple[Choice, ...] = ()
    started: tuple[Choice, ...] = ()
    remains: tuple[Choice, ...] = ()
    changed: bool = False
    undo: str | None = None
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a person stands at one instant, read under the locks of their keys."""

    person: Subscriber
    topics: tuple[Topic, ...]
    consents: Mapping[Place, ConsentView]
    entries: tuple[Entry, ...]
    limits: Limits
    now: datetime

    def state(self, place: Place) -> ConsentState | None:
        found = self.consents.get(place)
        return found.state if found else None

    def name(self, key: str) -> str:
        """What people call a topic; one that was archived still has its name where a consent is left."""
        names = {view.topic_key: view.topic_name for view in self.consents.values()}
        return (names | {topic.key: topic.name for topic in self.topics}).get(key, key)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an act will write: consents, entries to add, entries to lift, and the limits when it sets them."""

    acts: Mapping[Place, ConsentAction]
    add: tuple[Entry, ...] = ()
    lift: tuple[Entry, ...] = ()
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class _Visitor:
    """Who came, by which link, and how."""

    person: Subscriber
    keys: tuple[tuple[str, bytes], ...]
    source: str
    how: Visit


# --- who and what a link means --------------------------------------------------------------------------------------


def campaign_source(campaign_id: int) -> str:
    """The source that consent events name when a link of this campaign was used; reports count by it."""
    return f"campaign:{campaign_id}" if campaign_id else PREFERENCE_PAGE_SOURCE


def person_of(session: Session, token: LinkToken) -> Subscriber | None:
    """Whose link it is, or None when they were erased."""
    return subscribers.by_public_id(session, token.subscriber)


def topic_of(session: Session, token: LinkToken) -> Topic | None:
    """The topic that a link stops, or None for all mails: the token names none, or it is gone (R34)."""
    if not token.topic:
        return None
    try:
        topic = consents.topic_by_id(session, token.topic)
    except NotFound:
        return None
    return None if topic.archived_at else topic


# --- looking --------------------------------------------------------------------------------------------------------


def overview(session: Session, context: Context, subscriber: Subscriber) -> Overview:
    """Every topic and channel with where the person stands, and what is chosen for all of them (R114, R116)."""
    standing = _standing(session, context, subscriber)
    topics = _choices(standing)
    blocked = {cell.blocked: None for topic in topics for cell in topic.cells if cell.on}
    return Overview(
        topics=topics,
        limits=standing.limits,
        gets=_gets(topics),
        blocked=tuple(reason for reason in blocked if reason),
    )


def history(session: Session, context: Context, subscriber: Subscriber) -> list[dict[str, Any]]:
    """What the person chose so far, newest first, with the names of the topics and nothing else about them (R124)."""
    names = {topic.key: topic.name for topic in consents.topics(session)}
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
    views = consents.consents_of(session, _id(subscriber))
    place = (topic.key, Channel.EMAIL)
    return topic, next((v for v in views if (v.topic_key, v.channel) == place), None)


def may_count(session: Session, subscriber_id: int, kind: Literal["open", "click"]) -> bool:
    """Whether this person agrees, now, that opens or clicks are written down (R153, R155). Never asked is a no."""
    found = queries.limits_of(session, subscriber_id)
    if found is None:
        return False
    choice = found.track_opens if kind == "open" else found.track_clicks
    return choice is TrackingChoice.YES


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

        def stop_mails(standing: _Standing) -> _Plan:
            mails = {place for place in standing.consents if place[1] is Channel.EMAIL}
            return _Plan(_withdrawals(standing, mails), add=(("email", Reason.STOP_ALL),))

        return _act(session, context, token, how, Deed.TOPIC, stop_mails)

    place = (topic.key, Channel.EMAIL)

    def stop_topic(standing: _Standing) -> _Plan:
        return _Plan(_withdrawals(standing, {place}), add=((rules.scope_of(place), Reason.TOPIC),))

    done = _act(session, context, token, how, Deed.TOPIC, stop_topic)
    return replace(done, topic=topic.name, stopped=(Choice(topic.name, Channel.EMAIL),))


def stop_everything(session: Session, context: Context, token: LinkToken, how: Visit) -> Done:
    """Withdraw every consent on every channel and forbid all writing. Never refused and safe to repeat."""

    def stop(standing: _Standing) -> _Plan:
        return _Plan(_withdrawals(standing, standing.consents), add=(("all", Reason.STOP_ALL),))

    return _act(session, context, token, how, Deed.EVERYTHING, stop)


def save(session: Session, context: Context, token: LinkToken, wish: Wish, how: Visit) -> Done:
    """Have exactly the choices of a sent page, as ``rules.acts`` reads it.

    A box that was ticked anew grants, and lifts the person's own stop of it, because the page was opened by a link
    that was mailed to them (R123, R177, D16). Raises NotFound when the person is erased.
    """

    def plan(standing: _Standing) -> _Plan:
        acts = rules.acts(_choices(standing), wish)
        granted = {place for place, action in acts.items() if action is ConsentAction.GRANTED}
        withdrawn = sorted(acts.keys() - granted)
        return _Plan(
            acts,
            add=tuple((rules.scope_of(place), Reason.TOPIC) for place in withdrawn),
            lift=tuple(entry for entry in standing.entries if rules.lifts(granted, *entry)),
            limits=rules.limits_after(standing.limits, wish),
        )

    if person_of(session, token) is None:
        raise NotFound
    return _act(session, context, token, how, Deed.SAVE, plan)


def undo(session: Session, context: Context, token: LinkToken, text: str, how: Visit) -> Done:
    """Put back what the act before had changed: consents, entries and limits; what was touched since stays as it is.

    Works once and for 15 minutes, for the person of the link (R42). A token that is used up or too old changes
    nothing, which ``changed`` tells.
    """
    visitor = _visitor(session, token, how)
    now = context.clock.now()
    if visitor is None:
        return Done(Deed.UNDO, now)
    person_id = _id(visitor.person)
    found = queries.take_undo(session, tokens.one_time_hash(text), person_id, now)
    if found is not None:
        _put_back(session, context, visitor, found.before)
    return Done(
        Deed.UNDO,
        now,
        remains=_gets(_choices(_standing(session, context, visitor.person))),
        changed=found is not None,
        keys=tuple(key for _, key in visitor.keys),
    )


# --- how an act is done ---------------------------------------------------------------------------------------------


def _act(
    session: Session,
    context: Context,
    token: LinkToken,
    how: Visit,
    deed: Deed,
    plan: Callable[[_Standing], _Plan],
) -> Done:
    visitor = _visitor(session, token, how)
    if visitor is None:
        return Done(deed, context.clock.now())
    before = _standing(session, context, visitor.person)
    decided = plan(before)
    _record(session, context, visitor, before, decided.acts)
    added = [entry for entry in decided.add if _suppress(session, context, visitor, entry)]
    lifted = [
        entry for entry in decided.lift if _lift(session, context, visitor, entry, Lifter.PERSON)
    ]
    limits = decided.limits if decided.limits != before.limits else None
    if limits:
        _set_limits(session, visitor.person, limits, before.now)
    after = _standing(session, context, visitor.person)
    changed = bool(decided.acts or added or lifted or limits)
    return Done(
        deed,
        since=before.now if changed else _last_stop(before),
        stopped=_named(after, decided.acts, ConsentAction.WITHDRAWN),
        started=_named(after, decided.acts, ConsentAction.GRANTED),
        remains=_gets(_choices(after)),
        changed=changed,
        # A mail program that pressed the button shows no page, so nobody could use it.
        undo=_keep_undo(session, before, after, decided.acts, added, lifted)
        if changed and how.method is not Method.ONE_CLICK
        else None,
        keys=tuple(key for _, key in visitor.keys),
    )


def _visitor(session: Session, token: LinkToken, how: Visit) -> _Visitor | None:
    person = person_of(session, token)
    if person is None:
        return None
    keys = tuple(queries.keys_with_versions(session, _id(person)))
    # From here on the gate waits for us, or we for it; what counts is read after this line.
    lock_keys(session, [key for _, key in keys])
    return _Visitor(person, keys, campaign_source(token.campaign), how)


def _standing(session: Session, context: Context, person: Subscriber) -> _Standing:
    # Consents are written past the session's own copies, so these are read anew.
    session.expire_all()
    now = context.clock.now()
    views = consents.consents_of(session, _id(person))
    return _Standing(
        person,
        tuple(consents.topics(session)),
        {(view.topic_key, view.channel): view for view in views},
        _entries(session, context, person),
        _limits(queries.limits_of(session, _id(person)), now),
        now,
    )


def _entries(session: Session, context: Context, person: Subscriber) -> tuple[Entry, ...]:
    keys = queries.keys_that_may_forbid(session, _id(person))
    return tuple(
        (entry.scope, entry.reason) for entry in suppression.entries_of(session, context, keys)
    )


def _limits(row: Preference | None, now: datetime) -> Limits:
    if row is None:
        return Limits()
    paused = row.paused_until if row.paused_until and row.paused_until > now else None
    return Limits(row.frequency, paused, row.track_opens, row.track_clicks)


def _choices(standing: _Standing) -> tuple[TopicChoices, ...]:
    return tuple(
        TopicChoices(
            _id(topic),
            topic.key,
            topic.name,
            topic.description,
            tuple(_cell(standing, (topic.key, Channel(name))) for name in topic.channels),
        )
        for topic in standing.topics
    )


def _cell(standing: _Standing, place: Place) -> Cell:
    view = standing.consents.get(place)
    denies = [reason for scope, reason in standing.entries if rules.covers(scope, place)]
    others = [reason for reason in denies if reason not in rules.OWN_STOPS]
    if standing.person.restricted:
        others.append(Reason.RESTRICTED)
    if view is None:
        return Cell(place[1])
    on = rules.is_on(view.state, view.valid_until, denies, standing.now)
    return Cell(place[1], view.state, view.since, on, strongest(others))


def _gets(topics: Iterable[TopicChoices]) -> tuple[Choice, ...]:
    return tuple(Choice(topic.name, channel) for topic in topics for channel in topic.arriving)


def _withdrawals(standing: _Standing, places: Iterable[Place]) -> dict[Place, ConsentAction]:
    stoppable = (place for place in places if standing.state(place) in rules.STOPPABLE)
    return dict.fromkeys(stoppable, ConsentAction.WITHDRAWN)


def _named(
    standing: _Standing, acts: Mapping[Place, ConsentAction], action: ConsentAction
) -> tuple[Choice, ...]:
    return tuple(
        Choice(standing.name(key), channel)
        for (key, channel), found in acts.items()
        if found is action
    )


def _last_stop(standing: _Standing) -> datetime:
    stops = [view.since for view in standing.consents.values() if view.state not in rules.STOPPABLE]
    return max(stops, default=standing.now)


def _record(
    session: Session,
    context: Context,
    visitor: _Visitor,
    standing: _Standing,
    acts: Mapping[Place, ConsentAction],
    before: Mapping[Place, ConsentState | None] | None = None,
) -> None:
    ids = {topic.key: _id(topic) for topic in standing.topics}
    ids |= {view.topic_key: view.topic_id for view in standing.consents.values()}
    consents.record(
        session,
        context,
        [
            Act(
                subscriber_id=_id(visitor.person),
                subscriber_ref=visitor.person.consent_ref,
                topic_id=ids[key],
                channel=channel,
                action=action,
                method=visitor.how.method.value,
                source=visitor.source,
                at=standing.now,
                wording_id=_wording(session, ids[key], action),
                ip=visitor.how.ip,
                user_agent=visitor.how.user_agent,
                restores=(before or {}).get((key, channel)),
            )
            for (key, channel), action in acts.items()
        ],
    )


def _wording(session: Session, topic_id: int, action: ConsentAction) -> int | None:
    if action is not ConsentAction.GRANTED:
        return None
    return consents.current_wording(session, topic_id, PAGE_LANGUAGE).id


def _suppress(session: Session, context: Context, visitor: _Visitor, entry: Entry) -> bool:
    scope, reason = entry
    if not visitor.keys:
        return False
    return suppression.suppress(
        session,
        context,
        keys=list(visitor.keys),
        scope=scope,
        reason=reason,
        source=visitor.source,
    )


def _lift(session: Session, context: Context, visitor: _Visitor, entry: Entry, by: Lifter) -> bool:
    scope, reason = entry
    lifted = suppression.lift(
        session,
        context,
        keys=[key for _, key in visitor.keys],
        scope=scope,
        reason=reason,
        by=by,
        note=visitor.how.method.value,
    )
    return lifted > 0


def _set_limits(session: Session, person: Subscriber, limits: Limits, now: datetime) -> None:
    row = queries.limits_of(session, _id(person))
    row = row or Preference(subscriber_id=_id(person), updated_at=now)
    row.frequency, row.paused_until = limits.frequency, limits.paused_until
    row.track_opens, row.track_clicks = limits.track_opens, limits.track_clicks
    row.updated_at = now
    session.add(row)
    session.flush()


# --- taking back ----------------------------------------------------------------------------------------------------


def _keep_undo(
    session: Session,
    before: _Standing,
    after: _Standing,
    acts: Mapping[Place, ConsentAction],
    added: Sequence[Entry],
    lifted: Sequence[Entry],
) -> str:
    text, hashed = tokens.new_one_time_token()
    person_id = _id(after.person)
    queries.forget_old_undo(session, person_id, before.now)
    queries.add_undo(
        session,
        UndoToken(
            token_hash=hashed,
            subscriber_id=person_id,
            before={
                "consents": [
                    [key, channel, before.state((key, channel)), after.state((key, channel))]
                    for key, channel in acts
                ],
                "limits": rules.limits_to_json(before.limits)
                if before.limits != after.limits
                else None,
                "added": [list(entry) for entry in added],
                "lifted": [list(entry) for entry in lifted],
            },
            expires_at=before.now + rules.UNDO_FOR,
        ),
    )
    return text


def _put_back(
    session: Session, context: Context, visitor: _Visitor, saved: Mapping[str, Any]
) -> None:
    standing = _standing(session, context, visitor.person)
    before = rules.untouched(saved["consents"], standing.state)
    acts = {place: rules.undo_action(state) for place, state in before.items()}
    _record(session, context, visitor, standing, acts, before)
    for scope, reason in saved["added"]:
        _lift(session, context, visitor, (scope, Reason(reason)), Lifter.UNDO)
    for scope, reason in saved["lifted"]:
        _suppress(session, context, visitor, (scope, Reason(reason)))
    if saved["limits"]:
        limits = rules.limits_from_json(saved["limits"])
        _set_limits(session, visitor.person, limits, standing.now)


def _id(row: Subscriber | Topic) -> int:
    if row.id is None:
        raise NotFound
    return row.id
