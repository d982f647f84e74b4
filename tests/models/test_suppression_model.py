"""Whatever happens in whatever order, nobody is written to who said no.

A plain dictionary remembers what each person said and what forbids writing to them. After every step the judge of the
gate is asked about everybody, on the real database, and may say "send" only where the dictionary does, and no less.
"""

import copy
import itertools
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import Session

from prefcentre.consent import service as consent
from prefcentre.consent.service import Act, Channel, ConsentAction, ConsentState
from prefcentre.context import Context
from prefcentre.delivery import facts
from prefcentre.delivery.facts import Question
from prefcentre.delivery.rules import Send, facts_of, may_send
from prefcentre.errors import Refused
from prefcentre.imports import service as imports
from prefcentre.imports.service import ImportOptions
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Visit, Wish
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.suppression.service import Lifter
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import make_topic
from prefcentre.tokens import LinkToken, TokenKind

NAMES = ("ada", "ben")
TOPICS = ("news", "events")
PAGE = Visit(Method.UNSUBSCRIBE_PAGE, "192.0.2.1", "Browser")
OWN_STOPS = {Reason.TOPIC, Reason.STOP_ALL}
# Who may lift what, written down once more and apart from the program (standards §3).
MAY_LIFT = {
    Lifter.PERSON: {Reason.OBJECTION, Reason.STOP_ALL, Reason.TOPIC, Reason.SOFT_BOUNCE},
    Lifter.CONFIRMATION: {
        *(Reason.ERASED, Reason.OBJECTION, Reason.HARD_BOUNCE, Reason.STOP_ALL),
        *(Reason.TOPIC, Reason.SOFT_BOUNCE, Reason.ROLE),
    },
    Lifter.EVIDENCE: {Reason.SOFT_BOUNCE},
    Lifter.UNDO: {Reason.STOP_ALL, Reason.TOPIC},
    Lifter.STAFF: {
        *(Reason.HARD_BOUNCE, Reason.DOMAIN, Reason.MANUAL, Reason.SOFT_BOUNCE, Reason.ROLE),
    },
}
# One of each kind: never lifted, lifted by each of the others. All the rest are in the tests of the rules.
PERSONAL = (
    *(Reason.COMPLAINT, Reason.HARD_BOUNCE, Reason.STOP_ALL),
    *(Reason.MANUAL, Reason.TOPIC, Reason.ERASED),
)

names = st.sampled_from(NAMES)
topics = st.sampled_from(TOPICS)
some_topics = st.sets(topics)
reasons = st.sampled_from(PERSONAL)
scopes = st.sampled_from(["all", "sms", "news:email"])
lifters = st.sampled_from(Lifter)
durations = st.sampled_from([None, timedelta(hours=1), timedelta(days=2)])

Deny = tuple[str, Reason]


@dataclass
class Known:
    """What the dictionary knows of one person."""

    states: dict[str, ConsentState] = field(default_factory=dict)
    valid_until: dict[str, datetime | None] = field(default_factory=dict)
    denies: dict[Deny, datetime | None] = field(default_factory=dict)
    paused_until: datetime | None = None
    revived_by_staff: set[str] = field(default_factory=set)

    def active(self, now: datetime) -> set[Deny]:
        return {deny for deny, until in self.denies.items() if until is None or until > now}

    def deny(self, scope: str, reason: Reason, until: datetime | None, now: datetime) -> None:
        standing = self.denies.get((scope, reason), now)
        if standing is not None and (until is None or until > standing):
            self.denies[scope, reason] = until

    def granted(self, topic: str, now: datetime) -> bool:
        until = self.valid_until.get(topic)
        return self.states.get(topic) is ConsentState.GRANTED and (until is None or until > now)

    def forbidden(self, topic: str, now: datetime) -> set[Deny]:
        return {deny for deny in self.active(now) if covers(deny[0], topic)}

    def ticked(self, topic: str, now: datetime) -> bool:
        stops = {reason for _, reason in self.forbidden(topic, now)} & OWN_STOPS
        return self.granted(topic, now) and not stops

    def sendable(self, topic: str, now: datetime) -> bool:
        paused = self.paused_until is not None and self.paused_until > now
        return self.granted(topic, now) and not self.forbidden(topic, now) and not paused

    def is_stoppable(self, topic: str) -> bool:
        return self.states.get(topic) in {ConsentState.GRANTED, ConsentState.PENDING}

    def withdraw(self, topic: str) -> None:
        if self.is_stoppable(topic):
            self.states[topic] = ConsentState.WITHDRAWN
            self.valid_until[topic] = None


def covers(scope: str, topic: str) -> bool:
    return scope in {"all", "email", "domain", f"{topic}:email"}


class World(RuleBasedStateMachine):
    """Two people of one domain, two topics, and everything that can happen to them."""

    context: Context
    clock: FrozenClock
    folder: Path
    ids: dict[str, int]
    rounds = itertools.count()

    @initialize()
    def begin(self) -> None:
        # The database is kept from round to round, so everybody comes from a domain of this round.
        self.domain = f"round{next(self.rounds)}.example.org"
        self.known = {name: Known() for name in NAMES}
        self.people: dict[str, Subscriber] = {}
        with self.context.db.writing() as session:
            for name in NAMES:
                person = subscribers.add(session, self.context, email=self.email(name))
                self.people[name] = person

    # --- what people do ---------------------------------------------------------------------

    @rule(name=names, topic=topics)
    def signs_up(self, name: str, topic: str) -> None:
        known = self.known[name]
        if self.record(name, topic, ConsentAction.REQUESTED):
            known.states[topic] = ConsentState.PENDING
        else:
            assert known.states[topic] is ConsentState.GRANTED

    @rule(name=names, topic=topics)
    def presses_confirm(self, name: str, topic: str) -> None:
        known = self.known[name]
        if self.record(name, topic, ConsentAction.CONFIRMED):
            assert known.is_stoppable(topic)
            known.states[topic] = ConsentState.GRANTED
            known.valid_until[topic] = None
        else:
            assert not known.is_stoppable(topic)

    @rule(name=names, topic=topics, lasts=durations)
    def says_yes(self, name: str, topic: str, lasts: timedelta | None) -> None:
        until = self.clock.now() + lasts if lasts else None
        assert self.record(name, topic, ConsentAction.GRANTED, until)
        self.known[name].states[topic] = ConsentState.GRANTED
        self.known[name].valid_until[topic] = until

    @rule(name=names, topic=topics)
    def leaves_a_topic(self, name: str, topic: str) -> None:
        with self.context.db.writing() as session:
            preferences.unsubscribe(session, self.context, self.token(name, topic), PAGE)
        self.left(name, topic)

    @rule(name=names)
    def stops_everything(self, name: str) -> None:
        with self.context.db.writing() as session:
            preferences.stop_everything(session, self.context, self.token(name), PAGE)
        self.stopped(name)

    @rule(name=names, ticks=some_topics, pause=durations)
    def saves_the_page(self, name: str, ticks: set[str], pause: timedelta | None) -> None:
        self.save(name, ticks, self.clock.now() + pause if pause else None)

    @rule(name=names, topic=topics, everything=st.booleans(), late=st.booleans())
    def stops_and_takes_it_back(
        self, name: str, topic: str, *, everything: bool, late: bool
    ) -> None:
        before = copy.deepcopy(self.known[name])
        with self.context.db.writing() as session:
            if everything:
                done = preferences.stop_everything(session, self.context, self.token(name), PAGE)
            else:
                token = self.token(name, topic)
                done = preferences.unsubscribe(session, self.context, token, PAGE)
        if everything:
            self.stopped(name)
        else:
            self.left(name, topic)
        if done.undo is None:
            return
        self.clock.advance(minutes=16 if late else 1)
        assert self.take_back(name, done.undo) is not late
        assert not self.take_back(name, done.undo), "an undo works once"
        if not late:
            self.known[name] = before

    # --- what others do ---------------------------------------------------------------------

    @rule(who=st.sets(names, min_size=1), topic=topics)
    def is_imported(self, who: set[str], topic: str) -> None:
        path = self.folder / f"import{next(self.rounds)}.csv"
        path.write_text("email\n" + "".join(f"{self.email(name)}\n" for name in sorted(who)))
        options = ImportOptions(topic=topic, channel="email", basis="consent", source="fair")
        imports.import_file(self.context, path, options)
        with self.context.db.reading() as session:
            states = consent.states_of(session, [self.id(name) for name in NAMES])
        for name in NAMES:
            place = (self.id(name), self.ids[topic], Channel.EMAIL)
            known = self.known[name]
            if name in who and topic not in known.states and place in states:
                # An import may speak for those alone who were never asked and whom nothing forbids.
                assert states[place] is ConsentState.GRANTED
                assert not known.forbidden(topic, self.clock.now())
                known.states[topic] = ConsentState.GRANTED

    @rule(name=names, reason=reasons, scope=scopes, lasts=durations)
    def is_suppressed(self, name: str, reason: Reason, scope: str, lasts: timedelta | None) -> None:
        if reason is Reason.TOPIC and ":" not in scope:
            return
        until = self.clock.now() + lasts if lasts else None
        with self.context.db.writing() as session:
            suppression.suppress(
                session,
                self.context,
                email=self.email(name),
                scope=scope,
                reason=reason,
                source="test",
                until=until,
            )
        self.known[name].deny(scope, reason, until, self.clock.now())

    @rule(who=st.sets(names, min_size=1), reason=reasons)
    def is_on_a_suppression_list(self, who: set[str], reason: Reason) -> None:
        if reason is Reason.TOPIC:
            return
        path = self.folder / "suppressed.csv"
        path.write_text("".join(f"{self.email(name)}\n" for name in sorted(who)))
        suppression.import_file(self.context, path, reason=reason)
        for name in who:
            self.known[name].deny("all", reason, None, self.clock.now())

    @rule()
    def the_domain_is_blocked(self) -> None:
        with self.context.db.writing() as session:
            suppression.suppress(
                session,
                self.context,
                domain=self.domain,
                scope="domain",
                reason=Reason.DOMAIN,
                source="test",
            )
        for known in self.known.values():
            known.deny("domain", Reason.DOMAIN, None, self.clock.now())

    @rule(by=lifters, note=st.sampled_from(["", "asked for"]))
    def the_domain_is_freed(self, by: Lifter, note: str) -> None:
        keys = suppression.keys_of(self.context, self.domain, "domain")
        lifted = self.lift(keys, "domain", Reason.DOMAIN, by, note)
        assert lifted is (by is Lifter.STAFF and bool(note))
        if lifted:
            for known in self.known.values():
                known.denies.pop(("domain", Reason.DOMAIN), None)

    @rule(name=names, data=st.data(), by=lifters, note=st.sampled_from(["", "asked for"]))
    def an_entry_is_lifted(self, name: str, data: st.DataObject, by: Lifter, note: str) -> None:
        known = self.known[name]
        standing = sorted(deny for deny in known.denies if deny[0] != "domain")
        scope, reason = data.draw(st.sampled_from(standing or [("all", Reason.MANUAL)]))
        keys = suppression.keys_of(self.context, self.email(name), scope)
        for other in Lifter:
            if reason not in MAY_LIFT[other]:
                assert not self.lift(keys, scope, reason, other, "whatever it says")
        if reason not in MAY_LIFT[by]:
            return
        again = reason is Reason.HARD_BOUNCE and scope in known.revived_by_staff
        allowed = by is not Lifter.STAFF or (bool(note) and not again)
        assert self.lift(keys, scope, reason, by, note) is allowed
        if allowed and known.denies.pop((scope, reason), 0) != 0 and by is Lifter.STAFF:
            known.revived_by_staff |= {scope} if reason is Reason.HARD_BOUNCE else set()

    @rule(amount=st.sampled_from([timedelta(minutes=30), timedelta(days=1), timedelta(days=3)]))
    def time_passes(self, amount: timedelta) -> None:
        self.clock.moment += amount

    @rule()
    def the_consents_are_rebuilt(self) -> None:
        with self.context.db.writing() as session:
            consent.rebuild(session)

    # --- what has to hold -------------------------------------------------------------------

    @invariant()
    def nobody_is_written_to_who_said_no(self) -> None:
        now = self.clock.now()
        expected = {
            (name, topic): self.known[name].sendable(topic, now)
            for name in NAMES
            for topic in TOPICS
        }
        with self.context.db.reading() as session:
            found = {
                (name, topic): verdict
                for topic in TOPICS
                for name, verdict in self.judged(session, topic).items()
            }
        assert found == expected

    @invariant()
    def the_list_says_what_the_dictionary_says(self) -> None:
        now = self.clock.now()
        with self.context.db.reading() as session:
            for name in NAMES:
                entries = suppression.check(session, self.context, self.email(name))
                found = {(entry.scope, entry.reason) for entry in entries}
                assert found == self.known[name].active(now)

    def teardown(self) -> None:
        with self.context.db.reading() as session:
            assert consent.verify(session, self.context).ok

    # --- helpers ----------------------------------------------------------------------------

    def email(self, name: str) -> str:
        return f"{name}@{self.domain}"

    def id(self, name: str) -> int:
        return self.people[name].id or 0

    def token(self, name: str, topic: str | None = None) -> LinkToken:
        return LinkToken(
            TokenKind.UNSUBSCRIBE,
            self.people[name].public_id,
            self.ids[topic] if topic else 0,
        )

    def record(
        self, name: str, topic: str, action: ConsentAction, until: datetime | None = None
    ) -> bool:
        act = Act(
            subscriber_id=self.id(name),
            subscriber_ref=self.people[name].consent_ref,
            topic_id=self.ids[topic],
            channel=Channel.EMAIL,
            action=action,
            method="form",
            source="/subscribe",
            at=self.clock.now(),
            valid_until=until,
        )
        try:
            with self.context.db.writing() as session:
                consent.record(session, self.context, [act])
        except Refused:
            return False
        return True

    def save(self, name: str, ticks: set[str], pause: datetime | None) -> None:
        known, now = self.known[name], self.clock.now()
        shown = {topic for topic in TOPICS if known.ticked(topic, now)}
        wish = Wish(
            ticked=frozenset((topic, Channel.EMAIL) for topic in ticks),
            shown=frozenset((topic, Channel.EMAIL) for topic in shown),
            paused_until=pause,
        )
        with self.context.db.writing() as session:
            preferences.save(session, self.context, self.token(name), wish, PAGE)
        chosen = ticks - shown
        for topic in set(TOPICS) - ticks:
            # A box that waits for its confirmation was empty before; leaving it so says nothing.
            if known.states.get(topic) is ConsentState.GRANTED:
                known.withdraw(topic)
                known.deny(f"{topic}:email", Reason.TOPIC, None, now)
        for topic in chosen:
            known.states[topic] = ConsentState.GRANTED
            known.valid_until[topic] = None
        # Choosing a topic lifts the person's own stops of it, and nothing else.
        for scope, reason in list(known.active(now)):
            if reason in OWN_STOPS and any(covers(scope, topic) for topic in chosen):
                known.denies.pop((scope, reason))
        known.paused_until = pause

    def left(self, name: str, topic: str) -> None:
        self.known[name].withdraw(topic)
        self.known[name].deny(f"{topic}:email", Reason.TOPIC, None, self.clock.now())

    def stopped(self, name: str) -> None:
        for topic in TOPICS:
            self.known[name].withdraw(topic)
        self.known[name].deny("all", Reason.STOP_ALL, None, self.clock.now())

    def take_back(self, name: str, undo: str) -> bool:
        with self.context.db.writing() as session:
            return preferences.undo(session, self.context, self.token(name), undo, PAGE).changed

    def lift(
        self, keys: Collection[bytes], scope: str, reason: Reason, by: Lifter, note: str
    ) -> bool:
        try:
            with self.context.db.writing() as session:
                suppression.lift(
                    session,
                    self.context,
                    keys=keys,
                    scope=scope,
                    reason=reason,
                    by=by,
                    note=note,
                )
        except Refused:
            return False
        return True

    def judged(self, session: Session, topic: str) -> dict[str, bool]:
        question = Question(
            topic_id=self.ids[topic],
            topic_key=topic,
            campaign_id=0,
            key_version=self.context.lookup.version,
            at=self.clock.now(),
        )
        rows = session.execute(facts.audience_facts(), question.values())
        codes = {row.subscriber_id: row.code for row in rows}
        return {name: isinstance(may_send(facts_of(codes[self.id(name)])), Send) for name in NAMES}


def run(context: Context, clock: FrozenClock, folder: Path, examples: int) -> None:
    with context.db.writing() as session:
        ids = {key: make_topic(session, context, key).id or 0 for key in TOPICS}

    class Here(World):
        pass

    Here.context, Here.clock, Here.folder, Here.ids = context, clock, folder, ids
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_nobody_who_said_no_is_written_to_on_sqlite(
    context: Context, clock: FrozenClock, tmp_path: Path
) -> None:
    # What happens when the power fails is not asked here, and the disk is what takes the time.
    sa.event.listen(context.db.writer, "connect", _do_not_wait_for_the_disk)
    context.db.writer.dispose()
    run(context, clock, tmp_path, examples=60)


def _do_not_wait_for_the_disk(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def test_nobody_who_said_no_is_written_to_on_postgresql(
    pg_context: Context, clock: FrozenClock, tmp_path: Path
) -> None:
    run(pg_context, clock, tmp_path, examples=10)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_dictionary_itself_knows_what_a_no_is(topic: str) -> None:
    now = datetime.fromisoformat("2026-11-02T10:00+00:00")
    known = Known(states={topic: ConsentState.GRANTED})
    assert known.sendable(topic, now)
    known.deny("email", Reason.COMPLAINT, now + timedelta(hours=1), now)
    assert not known.sendable(topic, now)
    assert known.sendable(topic, now + timedelta(hours=1))
