"""The audience that the database gathers is the one that plain Python would choose, whatever comes between its parts."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, cast

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent.models import Channel, Consent, ConsentState, LawfulBasis
from prefcentre.context import Context
from prefcentre.delivery import audience, audience_queries, facts, gate_queries, rules
from prefcentre.delivery import service as delivery
from prefcentre.delivery.facts import Question
from prefcentre.delivery.ledger import question_of
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.rules import ConsentFact, Facts, Send
from prefcentre.lookup import LookupKind
from prefcentre.preferences.models import Frequency, Preference
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber, SubscriberKey
from prefcentre.suppression.models import Suppression
from prefcentre.testing.makers import Cast, make_consent, make_person, make_suppression, make_topic
from tests.delivery.conftest import start, write_campaign

OLD = "old"
DAY = timedelta(days=1)
DOMAINS = ("example.org", "example.com")


# --- A small world, described ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """All that may count about somebody; times are distances from now."""

    keys: tuple[str, ...] = ("new",)
    domain: str = DOMAINS[0]
    consent: ConsentState | None = ConsentState.GRANTED
    valid_for: timedelta | None = None
    elsewhere: bool = False
    frequency: Frequency | None = None
    paused_for: timedelta | None = None
    mailed: tuple[timedelta, DeliveryState] | None = None
    restricted: bool = False
    role: bool = False


@dataclass(frozen=True)
class Entry:
    """A suppression of somebody's address, or of a domain when ``whom`` is a name."""

    whom: int | str
    version: str = "new"
    scope: str = "all"
    reason: Reason = Reason.MANUAL
    lasts: timedelta | None = None
    lifted: bool = False


DISTANCES = st.sampled_from([-DAY, timedelta(seconds=-1), timedelta(), timedelta(seconds=1), DAY])
people = st.builds(
    Person,
    keys=st.sampled_from([("new",), ("new", OLD), (OLD,), ()]),
    domain=st.sampled_from(DOMAINS),
    consent=st.sampled_from([ConsentState.GRANTED, None, *ConsentState]),
    valid_for=st.none() | DISTANCES,
    elsewhere=st.booleans(),
    frequency=st.none() | st.sampled_from(Frequency),
    paused_for=st.none() | DISTANCES,
    mailed=st.none()
    | st.tuples(
        st.sampled_from([-6 * DAY, -7 * DAY, -8 * DAY, -29 * DAY, -30 * DAY, -31 * DAY]),
        st.sampled_from(DeliveryState),
    ),
    restricted=st.booleans(),
    role=st.booleans(),
)
# Half of the time somebody about whom there is nothing to say, so that the audience is not always empty.
anybody = st.just(Person()) | people
SCOPES = ("all", "email", "news:email", "domain", "post", "sms", "events:email", "news:post")
entries = st.builds(
    Entry,
    whom=st.integers(0, 6) | st.sampled_from([*DOMAINS, "example.net"]),
    version=st.sampled_from(["new", OLD]),
    scope=st.sampled_from(SCOPES),
    reason=st.sampled_from(Reason),
    lasts=st.none() | DISTANCES,
    lifted=st.booleans(),
)


# --- What plain Python makes of it ----------------------------------------------------------------------------------


def facts_about(number: int, person: Person, all_entries: Sequence[Entry]) -> Facts:
    """The facts behind one person's code, without any SQL."""
    return Facts(
        consent=ConsentFact(person.consent.value) if person.consent else ConsentFact.NEVER_ASKED,
        consent_expired=bool(
            person.consent and person.valid_for is not None and person.valid_for <= timedelta()
        ),
        suppression=min(
            (entry.reason for entry in all_entries if denies(entry, number, person)),
            key=lambda reason: reason.rank,
            default=None,
        ),
        paused=person.paused_for is not None and person.paused_for > timedelta(),
        too_soon=too_soon(person),
        restricted=person.restricted,
        role_address=person.role,
        has_address="new" in person.keys,
    )


def denies(entry: Entry, number: int, person: Person) -> bool:
    if entry.lifted or (entry.lasts is not None and entry.lasts <= timedelta()):
        return False
    if entry.version not in person.keys:
        return False
    if entry.scope == "domain":
        return entry.whom == person.domain
    return entry.whom == number and entry.scope in {"all", "email", "news:email"}


def too_soon(person: Person) -> bool:
    rest = {Frequency.WEEKLY: 7 * DAY, Frequency.MONTHLY: 30 * DAY}.get(
        person.frequency or Frequency.ALL
    )
    if rest is None or person.mailed is None:
        return False
    distance, state = person.mailed
    arrived = {DeliveryState.ACCEPTED, DeliveryState.HANDING_OFF, DeliveryState.UNKNOWN}
    return -distance < rest and state in arrived


# --- The same in the database ---------------------------------------------------------------------------------------


def key_of(version: str, name: object) -> bytes:
    return f"{version} {name}".encode().ljust(16)[:16]


class World:
    """Writes what was described, and prepares a campaign, all in one transaction that is thrown away."""

    def __init__(self, context: Context, session: Session) -> None:
        self.context, self.session, self.now = context, session, context.clock.now()
        news, events = (make_topic(session, context, key) for key in ("news", "events"))
        self.topic, self.other_topic = news.id or 0, events.id or 0
        self.earlier = self.campaign("earlier", CampaignState.FINISHED)
        self.numbers = count(1)

    def campaign(self, slug: str, state: CampaignState = CampaignState.PREPARING) -> Campaign:
        found = Campaign(slug=slug, topic_id=self.topic, state=state, created_at=self.now)
        self.session.add(found)
        self.session.flush()
        return found

    def at(self, distance: timedelta | None) -> datetime | None:
        return None if distance is None else self.now + distance

    def add_all(self, everybody: Sequence[Person], all_entries: Sequence[Entry]) -> list[int]:
        ids = [self.add(number, person) for number, person in enumerate(everybody)]
        told = {
            (self.version(entry.version), entry.whom, entry.scope, entry.reason): entry
            for entry in all_entries
        }
        self.session.add_all(self.entry(entry) for entry in told.values())
        self.session.flush()
        return ids

    def version(self, name: str) -> str:
        return self.context.lookup.version if name == "new" else name

    def add(self, number: int, person: Person) -> int:
        found = Subscriber(
            public_id=number,
            consent_ref=key_of("ref", number),
            restricted=person.restricted,
            role_address=person.role,
            created_at=self.now,
            updated_at=self.now,
        )
        self.session.add(found)
        self.session.flush()
        self.session.add_all(self.rows(found.id or 0, number, person))
        self.session.flush()
        return found.id or 0

    def rows(self, subscriber_id: int, number: int, person: Person) -> Iterator[Any]:
        for version in person.keys:
            yield SubscriberKey(
                key_version=self.version(version),
                kind=LookupKind.EMAIL,
                key=key_of(version, number),
                domain_key=key_of(version, person.domain),
                subscriber_id=subscriber_id,
            )
        if person.consent:
            valid_until = self.at(person.valid_for)
            yield self.consent(
                subscriber_id, self.topic, Channel.EMAIL, person.consent, valid_until
            )
        if person.elsewhere:
            for topic, channel in ((self.other_topic, Channel.EMAIL), (self.topic, Channel.POST)):
                yield self.consent(subscriber_id, topic, channel, ConsentState.GRANTED, None)
        if person.frequency or person.paused_for is not None:
            yield Preference(
                subscriber_id=subscriber_id,
                frequency=person.frequency or Frequency.ALL,
                paused_until=self.at(person.paused_for),
                updated_at=self.now,
            )
        if person.mailed:
            distance, state = person.mailed
            yield Delivery(
                campaign_id=self.earlier.id or 0,
                id=next(self.numbers),
                subscriber_id=subscriber_id,
                key=key_of("new", number),
                state=state,
                at=self.at(distance),
            )

    def consent(
        self,
        subscriber_id: int,
        topic_id: int,
        channel: Channel,
        state: ConsentState,
        valid_until: datetime | None,
    ) -> Consent:
        return Consent(
            subscriber_id=subscriber_id,
            topic_id=topic_id,
            channel=channel,
            state=state,
            lawful_basis=LawfulBasis.CONSENT,
            since=self.now,
            valid_until=valid_until,
            event_seq=0,
        )

    def entry(self, entry: Entry) -> Suppression:
        return Suppression(
            key=key_of(entry.version, entry.whom),
            key_version=self.version(entry.version),
            scope=entry.scope,
            reason=entry.reason,
            source="test",
            at=self.now,
            until=self.at(entry.lasts),
            lifted_at=self.now if entry.lifted else None,
        )


def without_doubles(all_entries: Sequence[Entry]) -> list[Entry]:
    """Of entries that differ in nothing but their time the last one, as the table has room for one only."""
    told = {(entry.version, entry.whom, entry.scope, entry.reason): entry for entry in all_entries}
    return list(told.values())


def prepare(session: Session, context: Context, campaign_id: int) -> None:
    more = True
    while more:
        part = audience.judge_part(session, context, campaign_id)
        more = audience.write_part(session, context, campaign_id, part)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Two people in a part, so that a few people are several parts."""
    monkeypatch.setattr(audience_queries, "people_at_once", lambda _: 2)
    return 2


def check(context: Context, everybody: list[Person], all_entries: list[Entry]) -> None:
    """Whether the database gathers the same facts, leaves the same people out and writes the same ledger."""
    all_entries = without_doubles(all_entries)
    expected = [facts_about(number, person, all_entries) for number, person in enumerate(everybody)]
    with context.db.writing() as session:
        world = World(context, session)
        ids = world.add_all(everybody, all_entries)
        campaign = world.campaign("spring")
        # PostgreSQL never gives a number twice, and there are many worlds before this one.
        campaign.prepared_up_to = ids[0] - 1
        question = question_of(session, context, campaign)
        planned = audience.plan(session, question, "spring")
        for way in (facts.part_facts(), facts.audience_facts()):
            found = session.execute(way, question.values(q_after=0, q_up_to=max(ids))).all()
            assert {row.subscriber_id: rules.facts_of(row.code) for row in found} == dict(
                zip(ids, expected, strict=True)
            )
        prepare(session, context, campaign.id or 0)
        session.refresh(campaign)
        decisions = [rules.may_send(about) for about in expected]
        left_out = Counter(
            decision.reason for decision in decisions if isinstance(decision, rules.Skip)
        )
        rows = session.execute(
            sa.select(Delivery.subscriber_id, Delivery.key, Delivery.state)  # type: ignore[call-overload]
            .where(Delivery.campaign_id == campaign.id)
            .order_by(Delivery.id)
        ).all()
        assert [tuple(row) for row in rows] == [
            (ids[number], key_of("new", number), DeliveryState.PENDING)
            for number, decision in enumerate(decisions)
            if isinstance(decision, Send)
        ]
        assert audience_queries.left_out(session, campaign.id or 0) == left_out
        assert (campaign.state, campaign.people) == (CampaignState.SENDING, len(everybody))
        assert campaign.audience == planned.audience == len(rows)
        assert planned.left_out == left_out
        session.rollback()


Check = Callable[[Context, list[Person], list[Entry]], None]
BLOCKED = Entry(DOMAINS[0], scope="domain", reason=Reason.DOMAIN)


def in_any_world(examples: int) -> Callable[[Check], Check]:
    """The people and the entries of small worlds, among them some that chance would seldom make."""
    week_ago = (-7 * DAY, DeliveryState.ACCEPTED)

    def decorate(test: Any) -> Check:
        for world in (
            ([Person(frequency=Frequency.WEEKLY, mailed=week_ago)], [Entry(0, lasts=timedelta())]),
            ([Person(valid_for=timedelta()), Person(paused_for=timedelta())], []),
            ([Person(), Person(keys=("new", OLD), domain=DOMAINS[1])], [BLOCKED]),
            ([Person(keys=("new", OLD))], [Entry(0, OLD), replace(BLOCKED, lifted=True)]),
        ):
            test = example(*world)(test)
        test = given(st.lists(anybody, min_size=1, max_size=7), st.lists(entries, max_size=6))(test)
        checks = [HealthCheck.function_scoped_fixture]
        quietly = settings(max_examples=examples, deadline=None, suppress_health_check=checks)
        return cast("Check", quietly(test))

    return decorate


@pytest.mark.usefixtures("small_parts")
@in_any_world(examples=100)
def test_the_database_chooses_whom_python_would_choose(
    context: Context, everybody: list[Person], all_entries: list[Entry]
) -> None:
    check(context, everybody, all_entries)


@pytest.mark.usefixtures("small_parts")
@in_any_world(examples=30)
def test_so_does_postgresql(
    pg_context: Context, everybody: list[Person], all_entries: list[Entry]
) -> None:
    check(pg_context, everybody, all_entries)


# --- What comes between the parts -----------------------------------------------------------------------------------


@pytest.fixture
def nine(any_context: Context, any_cast: Cast, small_parts: int) -> Campaign:
    """A campaign in preparation for nine people, eight of whom get it: the cast is numbers 1 to 4, Ada is 1."""
    with any_context.db.writing() as session:
        for number in range(5, 10):
            person = make_person(session, any_context, f"person{number}@example.org")
            make_consent(session, any_context, person, any_cast.news)
        for person in (any_cast.ben, any_cast.cleo):
            consent = session.get(Consent, (person.id, any_cast.news.id, "email"))
            assert consent is not None
            consent.state = ConsentState.GRANTED
    return begun(any_context, "spring")


def begun(context: Context, slug: str) -> Campaign:
    write_campaign(context.settings.campaigns_dir, slug)
    with context.db.reading() as session:
        checked = delivery.check(session, context, slug)
    with context.db.writing() as session:
        campaign = delivery.start(session, context, checked, None, None)
    with context.db.writing() as session:
        campaigns.mark_preparing(session, context, campaign.id or 0)
    # The first step says how far the audience reaches.
    assert write(context, campaign, None)
    return campaign


def judge(context: Context, campaign: Campaign) -> audience.Part | None:
    with context.db.reading() as session:
        return delivery.judge_part(session, context, campaign.id or 0)


def write(context: Context, campaign: Campaign, part: audience.Part | None) -> bool:
    with context.db.writing() as session:
        return delivery.write_part(session, context, campaign.id or 0, part)


def finish(context: Context, campaign: Campaign) -> None:
    while write(context, campaign, judge(context, campaign)):
        pass


@dataclass(frozen=True)
class Books:
    """What preparing leaves behind."""

    people: int
    audience: int | None
    left_out: dict[Reason, int]
    rows: list[tuple[int, int, bytes]]

    @property
    def agree(self) -> bool:
        return self.people == len(self.rows) + sum(self.left_out.values()) and self.audience == len(
            self.rows
        )

    @property
    def recipients(self) -> list[int]:
        return [subscriber_id for _, subscriber_id, _ in self.rows]


def books(context: Context, campaign: Campaign) -> Books:
    with context.db.reading() as session:
        found = campaigns.by_id(session, campaign.id or 0)
        assert found is not None
        rows = session.exec(
            select(Delivery)
            .where(Delivery.campaign_id == campaign.id)
            .order_by(sa.column("delivery.id", is_literal=True))
        ).all()
        return Books(
            found.people,
            found.audience,
            audience_queries.left_out(session, campaign.id or 0),
            [(row.id, row.subscriber_id, row.key) for row in rows],
        )


def test_everybody_is_in_the_books_once(any_context: Context, nine: Campaign) -> None:
    finish(any_context, nine)
    found = books(any_context, nine)
    assert found.recipients == [1, 2, 3, 5, 6, 7, 8, 9]
    assert found.left_out == {Reason.HARD_BOUNCE: 1}
    assert found.people == 9
    assert found.agree


class PowerFailure(Exception):
    """Comes before the commit."""


def write_and_fail(context: Context, campaign: Campaign, part: audience.Part | None) -> None:
    with context.db.writing() as session:
        delivery.write_part(session, context, campaign.id or 0, part)
        raise PowerFailure


def test_a_part_that_was_interrupted_is_done_again_as_if_nothing_had_been(
    any_context: Context, nine: Campaign
) -> None:
    more = True
    while more:
        part = judge(any_context, nine)
        with pytest.raises(PowerFailure):
            write_and_fail(any_context, nine, part)
        before = books(any_context, nine)
        more = write(any_context, nine, judge(any_context, nine))
        after = books(any_context, nine)
        assert after.rows[: len(before.rows)] == before.rows
    finish(any_context, nine)
    assert books(any_context, nine).recipients == [1, 2, 3, 5, 6, 7, 8, 9]
    assert books(any_context, nine).agree


def test_a_part_that_two_processes_judged_is_written_once(
    any_context: Context, nine: Campaign
) -> None:
    first, second = judge(any_context, nine), judge(any_context, nine)
    assert first is not None
    assert write(any_context, nine, first)
    once = books(any_context, nine)
    # The slower one goes on with the next part, and an old one never comes back.
    assert write(any_context, nine, second)
    assert books(any_context, nine) == once
    finish(any_context, nine)
    write(any_context, nine, first)
    assert books(any_context, nine).recipients == [1, 2, 3, 5, 6, 7, 8, 9]
    assert books(any_context, nine).agree


def test_an_opt_out_between_two_parts_is_seen(any_context: Context, nine: Campaign) -> None:
    write(any_context, nine, judge(any_context, nine))
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "person7@example.org", Reason.STOP_ALL)
    finish(any_context, nine)
    found = books(any_context, nine)
    assert found.recipients == [1, 2, 3, 5, 6, 8, 9]
    assert found.left_out == {Reason.HARD_BOUNCE: 1, Reason.STOP_ALL: 1}
    assert found.agree


def test_an_opt_out_between_judging_and_writing_is_seen_at_the_gate(
    any_context: Context, any_cast: Cast, nine: Campaign
) -> None:
    part = judge(any_context, nine)
    with any_context.db.writing() as session:
        make_suppression(session, any_context, "ada@example.org", Reason.STOP_ALL)
    write(any_context, nine, part)
    finish(any_context, nine)
    assert books(any_context, nine).agree
    with any_context.db.reading() as session:
        question = Question(
            any_cast.news.id or 0,
            any_cast.news.key,
            nine.id or 0,
            any_context.lookup.version,
            any_context.clock.now(),
        )
        ledger = {row.subscriber_id: row.id for row in session.exec(select(Delivery))}
        codes = gate_queries.codes(session, question, [ledger[any_cast.ada.id or 0]])
    assert rules.decide(codes[ledger[any_cast.ada.id or 0]]) == rules.Skip(Reason.STOP_ALL)


def test_somebody_erased_between_judging_and_writing_gets_no_row(
    any_context: Context, any_cast: Cast, nine: Campaign
) -> None:
    part = judge(any_context, nine)
    with any_context.db.writing() as session:
        session.delete(session.merge(any_cast.ada))
    write(any_context, nine, part)
    finish(any_context, nine)
    found = books(any_context, nine)
    assert found.recipients == [2, 3, 5, 6, 7, 8, 9]
    assert found.left_out == {Reason.HARD_BOUNCE: 1, Reason.ADDRESS_CHANGED: 1}
    assert found.agree


def test_an_address_that_moves_to_somebody_else_is_written_once(
    any_context: Context, nine: Campaign
) -> None:
    """L1: nobody gets it twice, though both had the address when it was their turn."""
    write(any_context, nine, judge(any_context, nine))
    with any_context.db.writing() as session:
        moved, gone = (
            session.exec(select(SubscriberKey).where(SubscriberKey.subscriber_id == number)).one()
            for number in (1, 9)
        )
        session.delete(gone)
        session.flush()
        moved.subscriber_id = 9
    finish(any_context, nine)
    found = books(any_context, nine)
    assert found.recipients == [1, 2, 3, 5, 6, 7, 8]
    assert found.left_out == {Reason.HARD_BOUNCE: 1, Reason.ADDRESS_CHANGED: 1}
    assert found.agree


def test_people_who_come_while_it_is_prepared_are_not_in_it(
    any_context: Context, any_cast: Cast, nine: Campaign
) -> None:
    with any_context.db.writing() as session:
        person = make_person(session, any_context, "late@example.org")
        make_consent(session, any_context, person, any_cast.news)
    finish(any_context, nine)
    assert books(any_context, nine).people == 9


def test_a_campaign_that_was_paused_meanwhile_is_left_alone(
    any_context: Context, nine: Campaign
) -> None:
    part = judge(any_context, nine)
    with any_context.db.writing() as session:
        campaigns.pause(session, nine.slug)
    before = books(any_context, nine)
    assert not write(any_context, nine, part)
    assert judge(any_context, nine) is None
    assert books(any_context, nine) == before


def test_nobody_at_all_is_an_audience_too(any_context: Context) -> None:
    with any_context.db.writing() as session:
        make_topic(session, any_context, "product-news")
    campaign = begun(any_context, "spring")
    finish(any_context, campaign)
    assert books(any_context, campaign) == Books(0, 0, {}, [])


# --- How the database goes about it ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("cast")
def test_no_table_is_read_as_a_whole(context: Context) -> None:
    """With a million people and entries it would take hours, and with a few nobody would notice."""
    question = Question(1, "product-news", 1, context.lookup.version, context.clock.now())
    values = question.values(q_after=0, q_up_to=50_000)
    with context.db.reading() as session:
        steps = [
            step
            for statement in (facts.part_facts(), facts.delivery_facts())
            for step in explained(session, statement, values)
        ]
    tables = ("subscriber", "owned", "entry", "consent", "preference", "current_key", "earlier")
    read_whole = [step for step in steps if step.startswith(tuple(f"SCAN {t}" for t in tables))]
    assert read_whole == []
    assert steps.count("SEARCH entry USING INDEX uq_suppression_active (key=?)") == 2


def explained(session: Session, statement: sa.Select[Any], values: dict[str, Any]) -> list[str]:
    compiled: Any = statement.compile(session.get_bind())
    state = compiled.construct_expanded_state(values)
    plan = session.connection().exec_driver_sql(
        f"EXPLAIN QUERY PLAN {state.statement}", tuple(None for _ in state.positiontup)
    )
    return [step.detail for step in plan]


@pytest.mark.usefixtures("pg_cast")
def test_postgresql_knows_how_many_people_there_are_before_they_are_judged(
    pg_context: Context,
) -> None:
    start(pg_context)
    with pg_context.db.reading() as session:
        known = dict(
            session.execute(
                sa.text(
                    "SELECT relname, reltuples::int FROM pg_class "
                    "WHERE relname IN ('subscriber', 'consent', 'delivery')"
                )
            ).all()
        )
    assert known == {"subscriber": 4, "consent": 5, "delivery": 1}
