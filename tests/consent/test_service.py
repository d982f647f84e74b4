"""Acts are recorded as they happened, and where people stand follows from them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from prefcentre.consent import chain, service
from prefcentre.consent.models import ConsentEvent
from prefcentre.consent.service import (
    Act,
    Channel,
    ConsentAction,
    ConsentState,
    ConsentView,
    Imported,
    LawfulBasis,
    Terms,
)
from prefcentre.context import Context
from prefcentre.errors import NotFound, Refused
from prefcentre.subscribers.service import Subscriber
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import make_person, make_topic


class World:
    """Ada and two topics, and a short way to let things happen to her."""

    def __init__(self, context: Context) -> None:
        self.context = context
        with context.db.writing() as session:
            self.news = make_topic(session, context, "news").id or 0
            self.events = make_topic(
                session, context, "events", lawful_basis=LawfulBasis.LEGITIMATE_INTEREST
            ).id
            self.ada = make_person(session, context, "ada@example.org")

    def act(self, action: ConsentAction | str, **fields: Any) -> Act:
        values: dict[str, Any] = {
            "subscriber_id": self.ada.id,
            "subscriber_ref": self.ada.consent_ref,
            "topic_id": self.news,
            "channel": Channel.EMAIL,
            "action": ConsentAction(action),
            "method": "preference_page",
            "source": "/p",
            "at": self.context.clock.now(),
        }
        return Act(**(values | fields))

    def record(self, *acts: Act) -> None:
        with self.context.db.writing() as session:
            service.record(session, self.context, acts)

    def happens(self, action: ConsentAction | str, **fields: Any) -> None:
        self.record(self.act(action, **fields))

    def consents(self) -> list[ConsentView]:
        with self.context.db.reading() as session:
            return service.consents_of(session, self.ada.id or 0)

    def history(self) -> list[dict[str, Any]]:
        with self.context.db.reading() as session:
            return service.history(session, self.context, self.ada)

    def wording(self) -> Any:
        with self.context.db.reading() as session:
            return service.current_wording(session, self.news, "en")


@pytest.fixture
def world(any_context: Context) -> World:
    return World(any_context)


def test_a_double_opt_in_is_told_from_request_to_withdrawal(
    world: World, clock: FrozenClock
) -> None:
    wording = world.wording()
    world.happens(
        "requested", wording_id=wording.id, ip="192.0.2.1", evidence={"form": "/subscribe"}
    )
    assert [view.state for view in world.consents()] == [ConsentState.PENDING]
    confirmed = clock.advance(minutes=5)
    world.happens("confirmed", wording_id=wording.id, method="confirmation")
    (view,) = world.consents()
    assert (view.topic_key, view.channel, view.state, view.since) == (
        "news",
        Channel.EMAIL,
        ConsentState.GRANTED,
        confirmed,
    )
    assert (view.wording, view.method, view.basis) == (
        wording.text,
        "confirmation",
        LawfulBasis.CONSENT,
    )
    clock.advance(days=1)
    world.happens("withdrawn", method="one_click")
    told = world.history()
    assert [(e["seq"], e["action"], e["state"]) for e in told] == [
        (1, "requested", "pending"),
        (2, "confirmed", "granted"),
        (3, "withdrawn", "withdrawn"),
    ]
    assert told[0]["wording"] == wording.text
    assert (told[0]["ip"], told[0]["evidence"]) == ("192.0.2.1", {"form": "/subscribe"})
    assert told[0]["controller"] == "Acme"
    assert (told[1]["topic"], told[1]["channel"], told[1]["at"]) == ("news", "email", confirmed)


def test_an_import_keeps_the_day_that_its_file_names(world: World, clock: FrozenClock) -> None:
    long_ago = datetime(2021, 5, 1, 12, 30, tzinfo=timezone(timedelta(hours=3)))
    world.happens("imported", at=long_ago, method="import", source="crm.csv")
    (told,) = world.history()
    assert told["at"] == long_ago.astimezone(UTC)
    assert told["recorded_at"] == clock.now()
    assert world.consents()[0].since == long_ago


def test_the_basis_is_the_topics_unless_the_act_names_one(world: World) -> None:
    world.happens("granted", topic_id=world.events)
    world.happens("granted", topic_id=world.news, lawful_basis=LawfulBasis.SOFT_OPT_IN)
    assert {view.topic_key: view.basis for view in world.consents()} == {
        "events": LawfulBasis.LEGITIMATE_INTEREST,
        "news": LawfulBasis.SOFT_OPT_IN,
    }


def test_channels_and_topics_are_apart(world: World) -> None:
    world.happens("granted")
    world.happens("granted", channel=Channel.POST)
    world.happens("withdrawn", channel=Channel.POST)
    assert {view.channel: view.state for view in world.consents()} == {
        Channel.EMAIL: ConsentState.GRANTED,
        Channel.POST: ConsentState.WITHDRAWN,
    }


def test_the_end_of_validity_is_kept_while_the_consent_stands(
    world: World, clock: FrozenClock
) -> None:
    end = clock.now() + timedelta(days=180)
    world.happens("granted", valid_until=end)
    assert world.consents()[0].valid_until == end
    world.happens("withdrawn", valid_until=end)
    assert world.consents()[0].valid_until is None


def test_acts_in_one_call_follow_each_other(world: World) -> None:
    world.record(world.act("requested"), world.act("confirmed"), world.act("withdrawn"))
    assert [view.state for view in world.consents()] == [ConsentState.WITHDRAWN]
    assert len(world.history()) == 3


def test_one_forbidden_act_stops_all_of_them(world: World) -> None:
    with pytest.raises(Refused, match="waits to be confirmed"):
        world.record(world.act("granted", channel=Channel.POST), world.act("confirmed"))
    assert world.history() == []
    assert world.consents() == []


def test_an_import_never_revives_what_a_person_ended(world: World) -> None:
    world.happens("withdrawn")
    with pytest.raises(Refused, match="import can't change"):
        world.happens("imported")


def test_an_unknown_topic_is_told(world: World) -> None:
    with pytest.raises(NotFound, match="topic with the number 99"):
        world.happens("granted", topic_id=99)


def test_nothing_recorded_touches_nothing(world: World) -> None:
    world.record()
    assert world.history() == []


def test_an_undo_puts_back_what_was_there(world: World) -> None:
    world.happens("requested")
    world.happens("withdrawn")
    world.happens("restored", restores=ConsentState.PENDING)
    assert world.consents()[0].state is ConsentState.PENDING


def test_a_consent_written_without_an_event_is_still_shown(world: World) -> None:
    world.happens("granted")
    with world.context.db.writing() as session:
        session.execute(sa.text("UPDATE consent SET event_seq = 0"))
    (view,) = world.consents()
    assert (view.state, view.method, view.wording) == (ConsentState.GRANTED, None, None)


def test_a_rebuild_from_the_events_gives_the_same_consents(
    world: World, clock: FrozenClock
) -> None:
    end = clock.now() + timedelta(days=9)
    world.happens("granted", valid_until=end)
    world.happens("requested", channel=Channel.POST)
    world.happens("granted", topic_id=world.events)
    clock.advance(hours=1)
    world.happens("withdrawn", topic_id=world.events)
    world.happens("restored", topic_id=world.events)
    before = world.consents()
    with world.context.db.writing() as session:
        assert service.rebuild(session) == 3
        assert service.verify(session, world.context).ok
    assert world.consents() == before


def test_many_people_are_recorded_in_chunks_of_any_size(any_context: Context) -> None:
    people = 2_345
    with any_context.db.writing() as session:
        topic = make_topic(session, any_context, "news")
        _insert_people(session, any_context, people)
        acts = [
            Act(
                subscriber_id=number,
                subscriber_ref=number.to_bytes(16, "big"),
                topic_id=topic.id or 0,
                channel=Channel.EMAIL,
                action=ConsentAction.IMPORTED,
                method="import",
                source="list.csv",
                at=any_context.clock.now(),
            )
            for number in range(1, people + 1)
        ]
        service.record(session, any_context, acts)
    with any_context.db.reading() as session:
        found = service.verify(session, any_context)
        assert (found.ok, found.events) == (True, people)
        assert service.granted_by_channel(session) == {topic.id: {Channel.EMAIL: people}}
        assert len(service.states_of(session, range(1, people + 1))) == people


def test_what_a_file_brings_is_recorded_like_acts_one_by_one(any_context: Context) -> None:
    # More than go into one statement, and some that are left over.
    people = 123
    evidence = [
        chain.personal(
            bytes([number]) * 16, None, "192.0.2.1" if number % 2 else None, None, {"line": number}
        )
        for number in range(people)
    ]
    at = any_context.clock.now()
    with any_context.db.writing() as session:
        topic = make_topic(session, any_context, "news").id or 0
        _insert_people(session, any_context, people)
        terms = Terms(
            topic_id=topic,
            channel=Channel.EMAIL,
            lawful_basis=LawfulBasis.CONSENT,
            method="import",
            source="list.csv",
        )
        brought = [
            Imported(number, number.to_bytes(16, "big"), chain.time_text(at), personal)
            for number, personal in enumerate(evidence, start=1)
        ]
        service.record_imported(session, any_context, terms, brought[:100])
        service.record_imported(session, any_context, terms, brought[100:])
        service.record_imported(session, any_context, terms, [])
    with any_context.db.reading() as session:
        found = service.verify(session, any_context)
        assert (found.ok, found.events) == (True, people)
        assert service.granted_by_channel(session) == {topic: {Channel.EMAIL: people}}
        last = session.exec(select(ConsentEvent).where(ConsentEvent.seq == people)).one()
        assert (last.at, last.source, last.evidence) == (at, "list.csv", {"line": people - 1})
        assert (last.action, last.ip, last.salt) == (
            ConsentAction.IMPORTED,
            None,
            bytes([people - 1]) * 16,
        )


def test_a_file_can_not_bring_a_consent_that_is_there(world: World) -> None:
    world.happens("withdrawn")
    before = world.history(), world.consents()
    brought = Imported(
        world.ada.id or 0,
        world.ada.consent_ref,
        chain.time_text(world.context.clock.now()),
        chain.personal(b"s" * 16, None, None, None, {"line": 2}),
    )
    terms = Terms(
        topic_id=world.news,
        channel=Channel.EMAIL,
        lawful_basis=LawfulBasis.CONSENT,
        method="import",
        source="list.csv",
    )
    with pytest.raises(sa.exc.IntegrityError), world.context.db.writing() as session:
        service.record_imported(session, world.context, terms, [brought])
    assert (world.history(), world.consents()) == before


def _insert_people(session: Session, context: Context, people: int) -> None:
    now = context.clock.now()
    session.execute(
        sa.insert(Subscriber),
        [
            {
                "id": number,
                "public_id": number,
                "consent_ref": number.to_bytes(16, "big"),
                "attributes": {},
                "restricted": False,
                "role_address": False,
                "created_at": now,
                "updated_at": now,
            }
            for number in range(1, people + 1)
        ],
    )


# --- what runs out by rule (R94) --------------------------------------------------------------


def runs_out_after(world: World, months: int) -> None:
    with world.context.db.writing() as session:
        service.topic_by_id(session, world.events or 0).implied_months = months


def expire(world: World, limit: int = 200) -> int:
    with world.context.db.writing() as session:
        return service.expire(session, world.context, limit)


@pytest.mark.parametrize(("action", "method"), [("granted", "form"), ("imported", "import")])
def test_an_implied_consent_stands_as_long_as_its_topic_says(
    world: World, action: str, method: str
) -> None:
    runs_out_after(world, 6)
    bought = datetime(2026, 8, 31, 9, 0, tzinfo=UTC)
    world.happens(action, topic_id=world.events, method=method, at=bought)
    (view,) = world.consents()
    assert view.valid_until == datetime(2027, 2, 28, 9, 0, tzinfo=UTC)


def test_a_yes_in_so_many_words_never_runs_out(world: World) -> None:
    runs_out_after(world, 6)
    world.happens("granted", topic_id=world.events, lawful_basis=LawfulBasis.CONSENT)
    assert world.consents()[0].valid_until is None


def test_what_has_run_out_is_written_down_once_with_the_day_it_ended(
    world: World, clock: FrozenClock
) -> None:
    runs_out_after(world, 6)
    world.happens("granted", topic_id=world.events)
    (end,) = (view.valid_until for view in world.consents())
    assert end is not None
    assert expire(world) == 0
    clock.advance(days=200)
    assert expire(world) == 1
    assert expire(world) == 0
    (view,) = world.consents()
    assert (view.state, view.since, view.basis) == (
        ConsentState.WITHDRAWN,
        end,
        LawfulBasis.LEGITIMATE_INTEREST,
    )
    assert [(e["action"], e["method"]) for e in world.history()][-1] == ("expired", "rule")
    with world.context.db.reading() as session:
        assert service.verify(session, world.context).ok


def test_ends_are_written_down_a_part_at_a_time(world: World, clock: FrozenClock) -> None:
    runs_out_after(world, 6)
    for channel in (Channel.EMAIL, Channel.POST, Channel.PHONE):
        world.happens("granted", topic_id=world.events, channel=channel)
    clock.advance(days=200)
    assert [expire(world, 2), expire(world, 2), expire(world, 2)] == [2, 1, 0]


def test_an_import_lets_implied_consents_end_by_the_day_of_each_line(world: World) -> None:
    times = [datetime(2024, 2, 29, tzinfo=UTC)]
    terms = Terms(
        topic_id=world.news,
        channel=Channel.EMAIL,
        lawful_basis=LawfulBasis.SOFT_OPT_IN,
        method="import",
        source="shop",
        months=24,
    )
    people = [
        Imported(
            world.ada.id or 0,
            world.ada.consent_ref,
            chain.time_text(at),
            chain.personal(b"", None, None, None, None),
        )
        for at in times
    ]
    with world.context.db.writing() as session:
        service.record_imported(session, world.context, terms, people)
    assert world.consents()[0].valid_until == datetime(2026, 2, 28, tzinfo=UTC)
    with world.context.db.reading() as session:
        assert service.verify(session, world.context).ok
