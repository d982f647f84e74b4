"""Use cases on topics and consents: record acts in the sealed ledger, say where people stand, prove it."""

import json
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre.consent import chain, heads, many, queries, resting, rules
from prefcentre.consent.applying import AppliedTopics, apply_topics
from prefcentre.consent.chain import SALT_BYTES, Problem
from prefcentre.consent.editing import TopicForm, wordings
from prefcentre.consent.many import Imported, Terms
from prefcentre.consent.models import (
    Channel,
    ConsentAction,
    ConsentState,
    ConsentWording,
    LawfulBasis,
    Topic,
)
from prefcentre.consent.receipts import NOT_STATED
from prefcentre.consent.receipts import of_person as receipts
from prefcentre.consent.rules import TopicTexts
from prefcentre.context import Context
from prefcentre.errors import NotFound
from prefcentre.subscribers.service import Subscriber

__all__ = [
    "NOT_STATED",
    "Act",
    "AppliedTopics",
    "Channel",
    "ConsentAction",
    "ConsentState",
    "ConsentView",
    "ConsentWording",
    "Imported",
    "LawfulBasis",
    "Problem",
    "Terms",
    "Topic",
    "TopicForm",
    "TopicTexts",
    "Verification",
    "apply_topics",
    "chain_keys",
    "consents_of",
    "counts_as_granted",
    "current_wording",
    "expire",
    "granted_by_channel",
    "history",
    "history_of",
    "is_shown_now",
    "is_wording_of",
    "may_import",
    "rebuild",
    "receipts",
    "receipts_text",
    "record",
    "record_imported",
    "sign_up_action",
    "states_of",
    "topic",
    "topic_by_id",
    "topic_texts",
    "topics",
    "verify",
    "wording_texts",
    "wording_versions",
    "wordings",
]

_PART = 1_000

may_import = rules.may_import
counts_as_granted = rules.counts_as_granted
sign_up_action = rules.sign_up_action


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something a person did, or that was done for them, to one consent.

    ``at`` is when it happened, which for an import may be long ago. ``restores`` belongs to the action RESTORED and
    says which state comes back when that is not granted.
    """

    subscriber_id: int
    subscriber_ref: bytes
    topic_id: int
    channel: Channel
    action: ConsentAction
    method: str
    source: str
    at: datetime
    lawful_basis: LawfulBasis | None = None
    wording_id: int | None = None
    actor: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    evidence: dict[str, Any] | None = None
    valid_until: datetime | None = None
    restores: ConsentState | None = None


@dataclass(frozen=True, slots=True)
class ConsentView:
    """Where a person stands on one topic and channel, and the event that led there."""

    topic_key: str
    topic_name: str
    topic_id: int
    channel: Channel
    state: ConsentState
    basis: LawfulBasis
    since: datetime
    valid_until: datetime | None
    event_seq: int
    method: str | None
    source: str | None
    wording: str | None
    wording_version: int | None
    wording_id: int | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk over the whole ledger found."""

    ok: bool
    events: int
    first_bad: int | None
    problem: Problem | None
    message: str
    heads: int


# --- topics ---------------------------------------------------------------------------------


def topics(session: Session) -> list[Topic]:
    """All topics in the order of their file."""
    return queries.all_topics(session)


def topic(session: Session, key: str) -> Topic:
    """The topic with this key. Raises NotFound with the keys there are."""
    found = queries.topic_with_key(session, key)
    if found is None:
        known = ", ".join(other.key for other in queries.all_topics(session))
        raise NotFound(f"There is no topic “{key}”; there are: {known or 'none yet'}.")
    return found


def topic_by_id(session: Session, topic_id: int) -> Topic:
    """The topic with this number. Raises NotFound."""
    found = queries.topic_with_id(session, topic_id)
    if found is None:
        raise NotFound(f"There is no topic with the number {topic_id}.")
    return found


def topic_texts(topic: Topic, language: str | None) -> TopicTexts:
    """What a topic is called and how it is described in this language, as far as its file says it."""
    return rules.texts_in(language, topic.name, topic.description, topic.texts)


def current_wording(session: Session, topic_id: int, language: str | None) -> ConsentWording:
    """The words to show for a topic: in this language, else its main language, else English, else any.

    Raises NotFound when the topic has no words.
    """
    found = queries.newest_wordings(session, topic_id)
    for wanted in [*rules.language_order(language), *sorted(found)]:
        if wanted in found:
            return found[wanted]
    raise NotFound(f"Topic {topic_id} has no wording yet. Apply the topics file again.")


def is_wording_of(session: Session, topic_key: str, wording_id: int) -> bool:
    """Whether these are words of that topic, so that a form can't claim that others were shown (R81)."""
    return queries.is_wording_of(session, topic_key, wording_id)


def is_shown_now(session: Session, topic_id: int, wording_id: int) -> bool:
    """Whether these are the words that are shown for a topic now, in one of its languages."""
    found = queries.newest_wordings(session, topic_id)
    return wording_id in {wording.id for wording in found.values()}


def wording_texts(session: Session, wording_ids: Collection[int]) -> dict[int, str]:
    """The exact words with these numbers."""
    return queries.texts_of(session, list(wording_ids))


def wording_versions(session: Session) -> dict[int, dict[str, int]]:
    """The version of the words that are shown now, by topic and language."""
    return queries.newest_versions(session)


def granted_by_channel(session: Session) -> dict[int, dict[Channel, int]]:
    """How many consents stand, by topic and channel; what has run out by its date is still counted."""
    return queries.granted_by_channel(session)


# --- acts -----------------------------------------------------------------------------------


def record(session: Session, context: Context, acts: Sequence[Act]) -> None:
    """Append acts to the ledger, in this order, and bring the consents up to date (R81, R85).

    All of them or none: raises Refused when the rules forbid one (a sign-up that is gone can't be confirmed, an import
    can't undo what a person chose), and NotFound for an unknown topic. Opt-outs are never refused. Whoever records an
    opt-out holds the locks of all the person's keys before, because the end of the chain is locked here and held until
    the commit.
    """
    if not acts:
        return
    session.flush()
    writer = _Writer(context, *queries.locked_head(session, chain.GENESIS))
    for start in range(0, len(acts), _PART):
        writer.write(session, acts[start : start + _PART])
    queries.move_head(session, writer.seq, writer.digest)
    heads.note_after_commit(session, context.settings.data_dir, writer.seq, writer.digest)


def expire(session: Session, context: Context, limit: int = 200) -> int:
    """Record the end of consents that have run out by rule, at most so many, and say how many (R94).

    They stopped counting at that instant already; this only makes the ledger say so. A part is small, because pages and
    opt-outs wait for the same lock.
    """
    if not queries.run_out(session, context.clock.now(), 1):
        return 0
    # The end of the chain comes first, so that nobody changes one of these consents between the look and the act.
    queries.locked_head(session, chain.GENESIS)
    found = queries.run_out(session, context.clock.now(), limit)
    record(
        session,
        context,
        [
            Act(
                subscriber_id=subscriber_id,
                subscriber_ref=ref,
                topic_id=topic_id,
                channel=channel,
                action=ConsentAction.EXPIRED,
                method="rule",
                source=f"valid until {until:%Y-%m-%d}",
                at=until,
                lawful_basis=basis,
            )
            for subscriber_id, ref, topic_id, channel, basis, until in found
        ],
    )
    return len(found)


def record_imported(
    session: Session, context: Context, terms: Terms, people: Sequence[Imported]
) -> range:
    """Append the consents that a file brings to people who were never asked, in this order (R85, R99).

    As ``record`` with the action IMPORTED, but made for a million of them: it neither asks where they stand nor
    replaces anything. Should one of them have this consent already, the database refuses all. Returns the numbers of
    the events.
    """
    if not people:
        return range(0)
    session.flush()
    return many.append(session, context, chain_keys(context), terms, people)


class _Writer:
    """Turns acts into sealed rows, one after the other."""

    def __init__(self, context: Context, seq: int, digest: bytes) -> None:
        self.seq = seq
        self.digest = digest
        self._keys = chain_keys(context)
        self._controller = context.settings.controller_name
        self._now = chain.time_text(context.clock.now())

    def write(self, session: Session, acts: Sequence[Act]) -> None:
        states: dict[tuple[int, int, Channel], ConsentState] = queries.states_of(
            session, {act.subscriber_id for act in acts}
        )
        topics = _topics(session, {act.topic_id for act in acts})
        events, consents = [], {}
        for act in acts:
            where = (act.subscriber_id, act.topic_id, act.channel)
            state = rules.after(states.get(where), act.action, act.restores)
            states[where] = state
            basis = act.lawful_basis or topics[act.topic_id].lawful_basis
            until = act.valid_until or rules.runs_out(
                act.action, basis, act.at, topics[act.topic_id].implied_months
            )
            event = self._event(act, state.value, basis.value, until)
            self.seq, self.digest = event.seq, self._keys.seal(event)
            events.append((*event, self.digest))
            if act.action is not ConsentAction.MOVED:
                consents[where] = _consent_row(act.subscriber_id, event)
        queries.append_events(session, _columns((*chain.Event._fields, "hash"), events))
        if consents:
            queries.put_consents(session, _columns(_CONSENT, consents.values()))
        resting.forget_answers(session, states, {(act.subscriber_id, act.topic_id) for act in acts})

    def _event(self, act: Act, state: str, basis: str, until: datetime | None) -> chain.Event:
        personal = chain.personal(
            os.urandom(SALT_BYTES), act.actor, act.ip, act.user_agent, act.evidence
        )
        return chain.Event(
            self.seq + 1,
            act.subscriber_ref,
            act.topic_id,
            act.channel.value,
            act.action.value,
            state,
            basis,
            self._controller,
            act.wording_id,
            act.method,
            act.source,
            chain.time_text(act.at),
            self._now,
            # Only a consent that stands or waits can run out.
            chain.time_text(until) if until and state in _LIVING else None,
            *personal,
            self._keys.version,
            self.digest,
        )


_LIVING = (ConsentState.PENDING.value, ConsentState.GRANTED.value)

_CONSENT = (
    "subscriber_id",
    "topic_id",
    "channel",
    "state",
    "lawful_basis",
    "since",
    "valid_until",
    "event_seq",
)


def _columns(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Sequence[Any]]:
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _consent_row(subscriber_id: int, event: chain.Event) -> tuple[Any, ...]:
    return (
        subscriber_id,
        event.topic_id,
        event.channel,
        event.state,
        event.lawful_basis,
        event.at,
        event.valid_until,
        event.seq,
    )


def _topics(session: Session, topic_ids: Collection[int]) -> dict[int, Topic]:
    found = queries.topics_with_ids(session, topic_ids)
    for topic_id in topic_ids:
        if topic_id not in found:
            raise NotFound(f"There is no topic with the number {topic_id}.")
    return found


# --- where people stand, and the proof ------------------------------------------------------


def states_of(
    session: Session, subscriber_ids: Collection[int]
) -> dict[tuple[int, int, Channel], ConsentState]:
    """The states of these people's consents by (subscriber, topic, channel); never asked is left out."""
    return queries.states_of(session, subscriber_ids)


def consents_of(session: Session, subscriber_id: int) -> list[ConsentView]:
    """All consents of a person that exist, in the order of the topics."""
    return [
        ConsentView(
            topic_key=topic.key,
            topic_name=topic.name,
            topic_id=consent.topic_id,
            channel=consent.channel,
            state=consent.state,
            basis=consent.lawful_basis,
            since=consent.since,
            valid_until=consent.valid_until,
            event_seq=consent.event_seq,
            method=event.method if event else None,
            source=event.source if event else None,
            wording=wording.text if wording else None,
            wording_version=wording.version if wording else None,
            wording_id=wording.id if wording else None,
        )
        for consent, topic, event, wording in queries.consents_with_words(session, subscriber_id)
    ]


def history(
    session: Session,
    context: Context,  # noqa: ARG001 - every use case takes the context second
    subscriber: Subscriber,
) -> list[dict[str, Any]]:
    """Everything that happened to a person's consents, oldest first, with the words they saw (R81)."""
    return history_of(session, subscriber.consent_ref)


def history_of(session: Session, ref: bytes) -> list[dict[str, Any]]:
    """The same by the mark that the ledger has for a person, who may be erased."""
    return [
        {
            "seq": event.seq,
            "action": event.action.value,
            "state": event.state.value,
            "topic": topic_key,
            "channel": event.channel.value,
            "at": event.at,
            "recorded_at": event.recorded_at,
            "method": event.method,
            "source": event.source,
            "lawful_basis": event.lawful_basis.value,
            "controller": event.controller,
            "valid_until": event.valid_until,
            "wording": wording.text if wording else None,
            "wording_version": wording.version if wording else None,
            "wording_language": wording.language if wording else None,
            "wording_sha256": wording.sha256 if wording else None,
            "actor": event.actor,
            "ip": event.ip,
            "user_agent": event.user_agent,
            "evidence": dict(event.evidence) if event.evidence else None,
            "hash": event.hash.hex(),
        }
        for event, topic_key, wording in queries.events_with_words(session, ref)
    ]


def receipts_text(found: Sequence[dict[str, Any]]) -> str:
    """Receipts as JSON, for people who keep them as a file."""
    return json.dumps({"receipts": list(found)}, ensure_ascii=False, indent=2) + "\n"


def verify(session: Session, context: Context) -> Verification:
    """Walk over the whole ledger and name the first thing that is wrong (R85).

    Checked are every seal, the order, the row that keeps the end, every end that was written beside the database, and
    that the consents are what the events say. Raises SettingsError when a key is missing.
    """
    written = heads.read(context.settings.data_dir)
    head, keys = queries.head(session), chain_keys(context)
    with closing(queries.walk_events(session)) as rows:
        fault = chain.first_fault(map(_sealed, rows), head, keys, written)
    fault = fault or _projection_fault(session)
    unreadable = fault is not None and fault.problem is Problem.UNREADABLE
    return Verification(
        ok=fault is None,
        # Counting would stumble over the same place.
        events=(fault.seq or 1) - 1 if fault and unreadable else queries.event_count(session),
        first_bad=fault.seq if fault else None,
        problem=fault.problem if fault else None,
        message=fault.message if fault else "Every event is as it was sealed.",
        heads=len(written),
    )


def rebuild(session: Session) -> int:
    """Make all consents anew from the events, and say how many there are."""
    return queries.rebuild_consents(session)


def chain_keys(context: Context) -> chain.ChainKeys:
    """The keys that seal the ledger."""
    return chain.ChainKeys([key.get_secret_value() for key in context.settings.chain_keys])


def _sealed(row: Any) -> tuple[chain.Event, bytes]:
    values = {name: getattr(row, name) for name in chain.Event._fields}
    values |= {name: chain.raw_text(values[name]) for name in chain.TEXTS}
    values |= {name: chain.raw_octets(values[name]) for name in chain.OCTETS}
    return chain.Event(**values), chain.raw_octets(row.hash) or b""


def _projection_fault(session: Session) -> chain.Fault | None:
    for subscriber_id, topic_id, channel in queries.consents_unlike_events(session):
        words = f"The consent of subscriber {subscriber_id} to topic {topic_id} by {channel} is not what the events say."
        return chain.Fault(Problem.PROJECTION, None, words)
    return None
