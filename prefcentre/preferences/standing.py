"""Where a person stands at one instant, put together from consents, suppressions and limits.

A file of its own, because looking and acting both begin with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from prefcentre.consent import service as consents
from prefcentre.consent.service import Channel, ConsentState, ConsentView, Topic
from prefcentre.context import Context
from prefcentre.errors import NotFound
from prefcentre.preferences import queries, rules
from prefcentre.preferences.models import Preference
from prefcentre.preferences.rules import Before, Cell, Entry, Limits, Place, TopicChoices
from prefcentre.reasons import Reason, strongest
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression


@dataclass(frozen=True, slots=True)
class Choice:
    """A topic by one channel, with the topic's name."""

    topic: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands at one instant, read under the locks of their keys."""

    person: Subscriber
    topics: tuple[Topic, ...]
    consents: Mapping[Place, ConsentView]
    entries: tuple[Entry, ...]
    limits: Limits
    now: datetime
    language: str = "en"

    def state(self, place: Place) -> ConsentState | None:
        """The state of one consent; None when the person was never asked."""
        found = self.consents.get(place)
        return found.state if found else None

    def before(self, place: Place) -> Before:
        """What an undo has to know of a consent."""
        found = self.consents.get(place)
        return Before(found.state, found.valid_until, found.basis) if found else Before()

    def name(self, key: str) -> str:
        """What people call a topic; one that was archived still has its name where a consent is left."""
        names = {view.topic_key: view.topic_name for view in self.consents.values()}
        called = {
            topic.key: consents.topic_texts(topic, self.language).name for topic in self.topics
        }
        return (names | called).get(key, key)


def read(session: Session, context: Context, person: Subscriber, language: str = "en") -> Standing:
    """Where this person stands now, with topics called by their names in this language."""
    # Consents are written past the session's own copies, so these are read anew.
    session.expire_all()
    now = context.clock.now()
    views = consents.consents_of(session, row_id(person))
    return Standing(
        person,
        tuple(consents.topics(session)),
        {(view.topic_key, view.channel): view for view in views},
        _entries(session, context, person),
        _limits(queries.limits_of(session, row_id(person)), now),
        now,
        language,
    )


def choices(standing: Standing) -> tuple[TopicChoices, ...]:
    """The grid: every topic with every channel that it offers."""
    return tuple(_topic(standing, topic) for topic in standing.topics)


def gets(topics: Iterable[TopicChoices]) -> tuple[Choice, ...]:
    """What arrives at present."""
    return tuple(Choice(topic.name, channel) for topic in topics for channel in topic.arriving)


def _topic(standing: Standing, topic: Topic) -> TopicChoices:
    texts = consents.topic_texts(topic, standing.language)
    cells = tuple(_cell(standing, (topic.key, Channel(name))) for name in topic.channels)
    return TopicChoices(row_id(topic), topic.key, texts.name, texts.description, cells)


def _cell(standing: Standing, place: Place) -> Cell:
    view = standing.consents.get(place)
    denies = [reason for scope, reason in standing.entries if rules.covers(scope, place)]
    others = [reason for reason in denies if reason not in rules.OWN_STOPS]
    if standing.person.restricted:
        others.append(Reason.RESTRICTED)
    if view is None:
        return Cell(place[1])
    on = rules.is_on(view.state, view.valid_until, denies, standing.now)
    return Cell(place[1], view.state, view.since, on, strongest(others), view.method, view.wording)


def _entries(session: Session, context: Context, person: Subscriber) -> tuple[Entry, ...]:
    keys = queries.keys_that_may_forbid(session, row_id(person))
    return tuple(
        (entry.scope, entry.reason) for entry in suppression.entries_of(session, context, keys)
    )


def _limits(row: Preference | None, now: datetime) -> Limits:
    if row is None:
        return Limits()
    paused = row.paused_until if row.paused_until and row.paused_until > now else None
    return Limits(row.frequency, paused, row.track_opens, row.track_clicks)


def row_id(row: Subscriber | Topic) -> int:
    """The number of a row that was stored. Raises NotFound."""
    if row.id is None:
        raise NotFound
    return row.id
