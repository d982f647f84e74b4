"""Leaving, choosing and taking back, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from prefcentre.consent import service as consents
from prefcentre.consent.service import Channel, ConsentState
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound
from prefcentre.preferences import service
from prefcentre.preferences.models import Frequency, TrackingChoice
from prefcentre.preferences.service import Choice, Deed, Done, Method, Overview, Visit, Wish
from prefcentre.reasons import Reason
from prefcentre.subscribers.models import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent, make_suppression
from prefcentre.tokens import LinkToken, TokenKind

ON_THE_PAGE = Visit(Method.PREFERENCE_PAGE, "192.0.2.7", "Mozilla/5.0 (X11)")
BY_LINK = Visit(Method.UNSUBSCRIBE_PAGE)
MAIL, POST, SMS = Channel.EMAIL, Channel.POST, Channel.SMS
NEWS, EVENTS = "product-news", "events"


@dataclass(frozen=True)
class Person:
    """One of the cast, with short words for what a test does and asks."""

    context: Context
    row: Subscriber
    topic: int

    @property
    def token(self) -> LinkToken:
        return LinkToken(TokenKind.UNSUBSCRIBE, self.row.public_id, self.topic, 7)

    def does(self, use_case: Callable[..., Done], *arguments: object, how: Visit = BY_LINK) -> Done:
        with self.context.db.writing() as session:
            return use_case(session, self.context, self.token, *arguments, how)

    def saves(self, *places: tuple[str, Channel], **fields: object) -> Done:
        shown = {
            (topic.key, cell.channel)
            for topic in self.sees.topics
            for cell in topic.cells
            if cell.on
        }
        wish = Wish(frozenset(places), frozenset(shown), **fields)  # type: ignore[arg-type]
        return self.does(service.save, wish, how=ON_THE_PAGE)

    @property
    def sees(self) -> Overview:
        with self.context.db.reading() as session:
            person = service.person_of(session, self.token)
            assert person is not None
            return service.overview(session, self.context, person)

    @property
    def states(self) -> dict[tuple[str, Channel], ConsentState]:
        with self.context.db.reading() as session:
            found = consents.consents_of(session, self.row.id or 0)
            return {(view.topic_key, view.channel): view.state for view in found}

    @property
    def entries(self) -> set[tuple[str, Reason]]:
        with self.context.db.reading() as session:
            found = suppression.check(session, self.context, self.row.email or "")
            return {(entry.scope, entry.reason) for entry in found}

    @property
    def events(self) -> list[dict[str, Any]]:
        """What happened since the cast was made."""
        with self.context.db.reading() as session:
            found = consents.history(session, self.context, self.row)
            return [event for event in found if event["method"] != "test"]


@pytest.fixture
def ada(any_context: Context, any_cast: Cast) -> Person:
    with any_context.db.writing() as session:
        make_consent(session, any_context, any_cast.ada, any_cast.news, POST)
    return Person(any_context, any_cast.ada, any_cast.news.id or 0)


@pytest.fixture
def ben(any_context: Context, any_cast: Cast) -> Person:
    return Person(any_context, any_cast.ben, any_cast.news.id or 0)


# --- leaving --------------------------------------------------------------------------------


def test_a_link_stops_its_topic_by_email_and_nothing_else(ada: Person) -> None:
    done = ada.does(service.unsubscribe)
    assert ada.states == {
        (NEWS, MAIL): ConsentState.WITHDRAWN,
        (NEWS, POST): ConsentState.GRANTED,
        (EVENTS, MAIL): ConsentState.GRANTED,
    }
    assert ada.entries == {(f"{NEWS}:email", Reason.TOPIC)}
    assert done.changed
    assert done.stopped == (Choice("Product news", MAIL),)
    assert set(done.remains) == {Choice("Product news", POST), Choice("Events", MAIL)}


def test_leaving_twice_changes_nothing_and_says_since_when(ada: Person, clock: FrozenClock) -> None:
    first = ada.does(service.unsubscribe)
    clock.advance(days=3)
    second = ada.does(service.unsubscribe)
    assert (second.changed, second.undo) == (False, None)
    assert second.since == first.since
    assert second.stopped == first.stopped
    assert len(ada.events) == 1


def test_pressing_many_times_at_once_is_leaving_once(ada: Person) -> None:
    with ThreadPoolExecutor(6) as pool:
        presses = [pool.submit(ada.does, service.unsubscribe) for _ in range(12)]
    assert [press.result().changed for press in presses].count(True) == 1
    assert len(ada.events) == 1
    assert ada.entries == {(f"{NEWS}:email", Reason.TOPIC)}


def test_an_undo_pressed_twice_at_once_works_once(ada: Person) -> None:
    undo = ada.does(service.unsubscribe).undo
    with ThreadPoolExecutor(4) as pool:
        presses = [pool.submit(ada.does, service.undo, undo) for _ in range(4)]
    assert [press.result().changed for press in presses].count(True) == 1
    assert [event["action"] for event in ada.events] == ["withdrawn", "restored"]


def test_leaving_is_recorded_with_the_way_and_the_campaign(ada: Person) -> None:
    ada.does(service.unsubscribe, how=Visit(Method.ONE_CLICK, "192.0.2.1", "Gmail"))
    (event,) = ada.events
    assert event["action"] == "withdrawn"
    assert (event["method"], event["source"]) == ("one_click", "campaign:7")
    assert (event["ip"], event["user_agent"]) == ("192.0.2.1", "Gmail")


def test_a_mail_programs_press_makes_no_undo(ada: Person) -> None:
    assert ada.does(service.unsubscribe, how=Visit(Method.ONE_CLICK)).undo is None


def test_a_person_who_never_confirmed_can_leave(ben: Person) -> None:
    ben.does(service.unsubscribe)
    assert ben.states == {(NEWS, MAIL): ConsentState.WITHDRAWN}


def test_a_link_whose_topic_is_gone_stops_all_mails(ada: Person) -> None:
    gone = Person(ada.context, ada.row, 4711)
    done = gone.does(service.unsubscribe)
    assert ada.states == {
        (NEWS, MAIL): ConsentState.WITHDRAWN,
        (NEWS, POST): ConsentState.GRANTED,
        (EVENTS, MAIL): ConsentState.WITHDRAWN,
    }
    assert ada.entries == {("email", Reason.STOP_ALL)}
    assert done.topic is None


def test_stopping_everything_ends_every_channel(ada: Person) -> None:
    done = ada.does(service.stop_everything)
    assert set(ada.states.values()) == {ConsentState.WITHDRAWN}
    assert ada.entries == {("all", Reason.STOP_ALL)}
    assert (done.deed, done.remains, len(done.stopped)) == (Deed.EVERYTHING, (), 3)
    assert ada.sees.gets == ()


@pytest.mark.parametrize("use_case", [service.unsubscribe, service.stop_everything])
def test_an_erased_person_gets_the_same_answer(
    any_context: Context, any_cast: Cast, use_case: Callable[..., Done]
) -> None:
    stranger = LinkToken(TokenKind.UNSUBSCRIBE, 12345, any_cast.news.id or 0)
    with any_context.db.writing() as session:
        done = use_case(session, any_context, stranger, BY_LINK)
    assert (done.changed, done.undo, done.keys) == (False, None, ())


def test_the_keys_of_the_person_come_back_to_wait_for(ada: Person) -> None:
    known = {key for _, key in suppression.keys_of_address(ada.context, "ada@example.org")}
    assert set(ada.does(service.unsubscribe).keys) == known


# --- looking --------------------------------------------------------------------------------


def test_the_page_shows_every_channel_that_a_topic_offers(ada: Person) -> None:
    grid = {topic.key: {cell.channel: cell.on for cell in topic.cells} for topic in ada.sees.topics}
    assert grid == {NEWS: {MAIL: True, POST: True}, EVENTS: {MAIL: True, SMS: False}}


def test_the_page_says_what_keeps_a_choice_from_arriving(
    any_context: Context, any_cast: Cast
) -> None:
    dan = Person(any_context, any_cast.dan, any_cast.news.id or 0)
    assert dan.sees.blocked == (Reason.HARD_BOUNCE,)
    assert dan.sees.gets == ()


def test_a_blocked_domain_is_seen_too(ada: Person) -> None:
    with ada.context.db.writing() as session:
        suppression.suppress(
            session,
            ada.context,
            domain="example.org",
            scope="domain",
            reason=Reason.DOMAIN,
            source="test",
        )
    assert ada.sees.blocked == (Reason.DOMAIN,)
    assert ada.sees.gets == (Choice("Product news", POST),)


def test_a_pause_that_is_over_is_not_shown(ada: Person, clock: FrozenClock) -> None:
    until = clock.now() + timedelta(days=2)
    ada.saves((NEWS, MAIL), paused_until=until)
    assert ada.sees.limits.paused_until == until
    clock.advance(days=2)
    assert ada.sees.limits.paused_until is None


def test_history_holds_what_was_done_and_nothing_personal(ada: Person) -> None:
    ada.does(service.unsubscribe)
    ada.does(service.stop_everything)
    with ada.context.db.reading() as session:
        found = service.history(session, ada.context, ada.row)
    assert found[0]["at"] >= found[-1]["at"]
    assert {event["topic"] for event in found} == {"Product news", "Events"}
    assert {key for event in found for key in event} == {"action", "topic", "channel", "at"}


# --- choosing -------------------------------------------------------------------------------


def test_a_saved_page_is_exactly_what_is_ticked(ada: Person) -> None:
    done = ada.saves((NEWS, MAIL), (EVENTS, SMS))
    assert ada.states == {
        (NEWS, MAIL): ConsentState.GRANTED,
        (NEWS, POST): ConsentState.WITHDRAWN,
        (EVENTS, MAIL): ConsentState.WITHDRAWN,
        (EVENTS, SMS): ConsentState.GRANTED,
    }
    assert set(done.remains) == {Choice("Product news", MAIL), Choice("Events", SMS)}
    assert ada.entries == {(f"{NEWS}:post", Reason.TOPIC), (f"{EVENTS}:email", Reason.TOPIC)}


def test_what_was_never_asked_and_stays_empty_is_not_recorded(ada: Person) -> None:
    ada.saves((NEWS, MAIL), (NEWS, POST), (EVENTS, MAIL))
    assert (EVENTS, SMS) not in ada.states
    assert ada.events == []


def test_a_grant_keeps_the_words_that_were_shown(ada: Person) -> None:
    ada.saves((NEWS, MAIL), (NEWS, POST), (EVENTS, MAIL), (EVENTS, SMS))
    (event,) = ada.events
    assert (event["action"], event["wording"]) == ("granted", "Yes, send me Events.")
    assert (event["ip"], event["user_agent"]) == ("192.0.2.7", "Mozilla/5.0 (X11)")


def test_choosing_again_brings_a_topic_back(ada: Person) -> None:
    ada.does(service.unsubscribe)
    ada.saves((NEWS, MAIL), (NEWS, POST), (EVENTS, MAIL))
    assert ada.entries == set()
    assert Choice("Product news", MAIL) in ada.sees.gets


def test_choosing_one_topic_after_stopping_everything_brings_back_that_one(ada: Person) -> None:
    ada.does(service.stop_everything)
    ada.saves((EVENTS, MAIL))
    assert ada.entries == set()
    assert ada.sees.gets == (Choice("Events", MAIL),)


@pytest.mark.parametrize(
    "reason",
    [r for r in suppression.REASONS if r not in {Reason.TOPIC, Reason.DOMAIN, Reason.STOP_ALL}],
)
def test_choosing_never_lifts_what_others_forbade(
    context: Context, cast: Cast, reason: Reason
) -> None:
    cleo = Person(context, cast.cleo, cast.news.id or 0)
    with context.db.writing() as session:
        make_suppression(session, context, "cleo@example.org", reason)
    cleo.saves((NEWS, MAIL))
    assert cleo.entries == {("all", reason)}
    assert (cleo.sees.gets, cleo.sees.blocked) == ((), (reason,))


def test_a_page_left_open_brings_nothing_back(ada: Person) -> None:
    shown = frozenset({(NEWS, MAIL), (NEWS, POST), (EVENTS, MAIL)})
    ada.does(service.unsubscribe)
    ada.does(service.save, Wish(shown, shown, Frequency.WEEKLY), how=ON_THE_PAGE)
    assert ada.states[NEWS, MAIL] is ConsentState.WITHDRAWN
    assert (f"{NEWS}:email", Reason.TOPIC) in ada.entries


def test_limits_are_kept(ada: Person, clock: FrozenClock) -> None:
    until = clock.now() + timedelta(days=30)
    ada.saves(frequency=Frequency.MONTHLY, paused_until=until, track_clicks=True)
    limits = ada.sees.limits
    assert (limits.frequency, limits.paused_until) == (Frequency.MONTHLY, until)
    assert (limits.track_opens, limits.track_clicks) == (TrackingChoice.NO, TrackingChoice.YES)


def test_counting_needs_a_yes_for_that_kind(ada: Person, ben: Person) -> None:
    number = ada.row.id or 0

    def counted() -> set[tuple[int, str]]:
        with ada.context.db.reading() as session:
            return set(service.who_may_be_counted(session, {number, ben.row.id or 0, 4711}))

    assert counted() == {(number, "open"), (number, "click")}
    ada.saves(track_clicks=True)
    assert counted() == {(number, "click")}


def test_an_erased_person_can_save_nothing(any_context: Context, any_cast: Cast) -> None:
    stranger = LinkToken(TokenKind.PREFERENCES, 12345)
    with pytest.raises(NotFound), any_context.db.writing() as session:
        service.save(session, any_context, stranger, Wish(frozenset()), ON_THE_PAGE)


def test_boxes_and_answers_from_outside_are_checked() -> None:
    assert service.read_places(["product-news:email"]) == {(NEWS, MAIL)}
    assert service.read_frequency("") is None
    for wrong in ("product-news:pigeon", "nonsense", ":"):
        with pytest.raises(InvalidInput):
            service.read_places([wrong])
    with pytest.raises(InvalidInput):
        service.read_frequency("hourly")


# --- taking back ----------------------------------------------------------------------------


def everything_about(person: Person) -> tuple[object, ...]:
    overview = person.sees
    return overview.gets, overview.limits, person.states, person.entries


@pytest.mark.parametrize("deed", [service.unsubscribe, service.stop_everything])
def test_an_undo_puts_everything_back(ada: Person, deed: Callable[..., Done]) -> None:
    before = everything_about(ada)
    done = ada.does(deed)
    assert done.undo is not None
    undone = ada.does(service.undo, done.undo)
    assert undone.changed
    assert everything_about(ada) == before


def test_an_undo_of_a_saved_page_puts_choices_and_limits_back(
    ada: Person, clock: FrozenClock
) -> None:
    until = clock.now() + timedelta(days=9)
    ada.saves((NEWS, MAIL), (NEWS, POST), (EVENTS, MAIL), paused_until=until, track_opens=True)
    before = everything_about(ada)
    done = ada.saves((NEWS, MAIL), frequency=Frequency.MONTHLY)
    assert done.undo is not None
    ada.does(service.undo, done.undo, how=ON_THE_PAGE)
    assert everything_about(ada) == before


def test_an_undo_of_a_new_choice_takes_it_away(ada: Person) -> None:
    done = ada.saves((NEWS, MAIL), (NEWS, POST), (EVENTS, MAIL), (EVENTS, SMS))
    assert done.undo is not None
    ada.does(service.undo, done.undo)
    assert ada.states[EVENTS, SMS] is ConsentState.WITHDRAWN


def test_an_unconfirmed_sign_up_comes_back_unconfirmed(ben: Person) -> None:
    done = ben.does(service.unsubscribe)
    assert done.undo is not None
    ben.does(service.undo, done.undo)
    assert ben.states == {(NEWS, MAIL): ConsentState.PENDING}
    assert ben.sees.gets == ()


def test_an_undo_works_once(ada: Person) -> None:
    done = ada.does(service.unsubscribe)
    assert done.undo is not None
    ada.does(service.undo, done.undo)
    ada.does(service.unsubscribe)
    assert not ada.does(service.undo, done.undo).changed
    assert ada.states[NEWS, MAIL] is ConsentState.WITHDRAWN


def test_an_undo_is_too_late_after_fifteen_minutes(ada: Person, clock: FrozenClock) -> None:
    done = ada.does(service.unsubscribe)
    clock.advance(minutes=15)
    assert done.undo is not None
    assert not ada.does(service.undo, done.undo).changed
    assert ada.states[NEWS, MAIL] is ConsentState.WITHDRAWN


def test_nobody_undoes_for_somebody_else(ada: Person, ben: Person) -> None:
    done = ada.does(service.unsubscribe)
    assert done.undo is not None
    assert not ben.does(service.undo, done.undo).changed
    assert not ada.does(service.undo, "made-up").changed
    assert ada.states[NEWS, MAIL] is ConsentState.WITHDRAWN


def test_an_undo_keeps_a_later_stop(ada: Person) -> None:
    first = ada.does(service.unsubscribe)
    ada.does(service.stop_everything)
    assert first.undo is not None
    ada.does(service.undo, first.undo)
    assert ("all", Reason.STOP_ALL) in ada.entries
    assert ada.sees.gets == ()


def test_a_later_stop_of_one_topic_outlives_the_undo_of_everything(ada: Person) -> None:
    everything = ada.does(service.stop_everything)
    ada.does(service.unsubscribe, how=Visit(Method.ONE_CLICK))
    assert everything.undo is not None
    ada.does(service.undo, everything.undo)
    assert (f"{NEWS}:email", Reason.TOPIC) in ada.entries
    assert Choice("Product news", MAIL) not in ada.sees.gets
    assert Choice("Events", MAIL) in ada.sees.gets


def test_the_ledger_stays_sealed_through_it_all(ada: Person) -> None:
    done = ada.does(service.stop_everything)
    assert done.undo is not None
    ada.does(service.undo, done.undo)
    ada.saves((EVENTS, SMS))
    with ada.context.db.reading() as session:
        found = consents.verify(session, ada.context)
    assert found.ok, found.message
