"""Signing up and confirming, on both databases."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from prefcentre.consent import service as consents
from prefcentre.consent.service import Channel, ConsentState
from prefcentre.context import Context
from prefcentre.preferences.models import Preference, TrackingChoice
from prefcentre.preferences.service import Method, Visit
from prefcentre.reasons import Reason
from prefcentre.servicemail.models import QueuedMail
from prefcentre.signups import service as signups
from prefcentre.signups import waiting
from prefcentre.signups.models import Confirmation, MailRequest, PageRequest, PageRequestKind
from prefcentre.signups.service import Problem, SignUp
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_topic

ZOE = "zoe@example.org"
NEWS = ("product-news", Channel.EMAIL)
FORM, BUTTON = (
    Visit(Method.SIGN_UP, "192.0.2.7", "Browser"),
    Visit(Method.CONFIRMATION, "192.0.2.7"),
)


def sign_up(context: Context, email: str = ZOE, *places: Any, **more: Any) -> None:
    form = SignUp(places=frozenset(places or [NEWS]), email=email, **more)
    assert signups.problems(context, form) == []
    with context.db.writing() as session:
        waiting.hand_in(session, context, form, FORM)
    while waiting.work_off(context):
        pass


def newest(context: Context) -> Confirmation:
    with context.db.reading() as session:
        return session.scalars(
            sa.select(Confirmation).order_by(col(Confirmation.id).desc())
        ).first() or pytest.fail("nothing was asked")


def confirm(context: Context, asked: Confirmation) -> signups.Confirmed | None:
    with context.db.writing() as session:
        return signups.confirm_sign_up(session, context, asked, BUTTON)


def states(context: Context, email: str = ZOE) -> dict[str, ConsentState]:
    with context.db.reading() as session:
        person = subscribers.find(session, context, email)
        assert person is not None
        views = consents.consents_of(session, person.id or 0)
        return {f"{view.topic_key}:{view.channel}": view.state for view in views}


def count(context: Context, table: type) -> int:
    with context.db.reading() as session:
        return int(session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


@pytest.mark.usefixtures("any_cast")
def test_nothing_is_granted_before_the_button_and_once_after_it(any_context: Context) -> None:
    sign_up(any_context, track_opens=True)
    assert states(any_context) == {"product-news:email": ConsentState.PENDING}
    asked = newest(any_context)
    done = confirm(any_context, asked)
    assert done is not None
    assert states(any_context) == {"product-news:email": ConsentState.GRANTED}
    assert confirm(any_context, asked) is None
    with any_context.db.reading() as session:
        chosen = session.get(Preference, done.person.id)
        assert chosen is not None
        assert (chosen.track_opens, chosen.track_clicks) == (
            TrackingChoice.YES,
            TrackingChoice.NEVER_ASKED,
        )


@pytest.mark.usefixtures("any_cast")
def test_a_question_runs_out(any_context: Context, clock: FrozenClock) -> None:
    sign_up(any_context)
    clock.advance(days=8)
    assert confirm(any_context, newest(any_context)) is None
    assert states(any_context) == {"product-news:email": ConsentState.PENDING}


def test_nothing_of_somebody_known_changes_until_they_confirm(
    any_context: Context, any_cast: Cast
) -> None:
    before = states(any_context, any_cast.cleo.email or "")
    assert before["product-news:email"] is ConsentState.WITHDRAWN
    sign_up(any_context, any_cast.cleo.email or "")
    assert states(any_context, any_cast.cleo.email or "") == before
    assert confirm(any_context, newest(any_context)) is not None
    after = states(any_context, any_cast.cleo.email or "")
    assert after["product-news:email"] is ConsentState.GRANTED


@pytest.mark.usefixtures("any_cast")
def test_a_confirmation_lifts_their_own_stop_and_nothing_that_others_said(
    any_context: Context,
) -> None:
    with any_context.db.writing() as session:
        for reason in (Reason.STOP_ALL, Reason.HARD_BOUNCE, Reason.COMPLAINT):
            suppression.suppress(
                session, any_context, email=ZOE, scope="all", reason=reason, source="test"
            )
    sign_up(any_context)
    confirm(any_context, newest(any_context))
    with any_context.db.reading() as session:
        left = {entry.reason for entry in suppression.check(session, any_context, ZOE)}
    assert left == {Reason.COMPLAINT}


@pytest.mark.usefixtures("any_cast")
def test_a_mailbox_gets_three_questions_in_an_hour_however_it_is_spelled(
    any_context: Context, clock: FrozenClock
) -> None:
    for number in range(8):
        sign_up(any_context, f"zoe+{number}@example.org")
    assert count(any_context, QueuedMail) == 4
    clock.advance(hours=2)
    sign_up(any_context, ZOE)
    assert count(any_context, QueuedMail) == 5


@pytest.mark.usefixtures("any_cast")
def test_a_wish_for_letters_is_taken_as_it_was_written(any_context: Context) -> None:
    post = ("product-news", Channel.POST)
    sign_up(any_context, "", post, postal_address="1 Example Street", phone="+359 2 123 4567")
    sign_up(any_context, "", post, postal_address="Elsewhere", phone="+35921234567")
    with any_context.db.reading() as session:
        person = subscribers.find_by_phone(session, any_context, "+35921234567")
        assert person is not None
        assert person.postal_address == "1 Example Street"
        (view,) = consents.consents_of(session, person.id or 0)
    assert (view.channel, view.state) == (Channel.POST, ConsentState.GRANTED)
    assert count(any_context, QueuedMail) == 0


@pytest.mark.usefixtures("any_cast")
def test_a_number_without_its_country_is_one_of_the_country_in_the_settings(
    any_context: Context,
) -> None:
    at_home = replace(
        any_context, settings=any_context.settings.model_copy(update={"phone_country": "BG"})
    )
    call = ("product-news", Channel.POST)
    for typed in ("088 812 3456", "+359 88 812 3456"):
        sign_up(at_home, "", call, phone=typed, postal_address=typed)
    with any_context.db.reading() as session:
        person = subscribers.find_by_phone(session, any_context, "+359888123456")
        assert person is not None
        assert person.postal_address == "088 812 3456"
    abroad = SignUp(places=frozenset([call]), phone="088 812 3456", postal_address="1 Street")
    assert signups.problems(any_context, abroad) == [Problem.BAD_PHONE]


@pytest.fixture
def calls(any_context: Context) -> tuple[str, Channel]:
    with any_context.db.writing() as session:
        make_topic(session, any_context, "calls", channels=["email", "phone", "sms"])
    return "calls", Channel.PHONE


def state_of(context: Context, number: str) -> dict[str, ConsentState]:
    with context.db.reading() as session:
        person = subscribers.find_by_phone(session, context, number)
        assert person is not None
        views = consents.consents_of(session, person.id or 0)
        return {f"{view.topic_key}:{view.channel}": view.state for view in views}


def test_a_number_that_somebody_wrote_waits_until_it_is_shown_to_be_theirs(
    any_context: Context, calls: tuple[str, Channel]
) -> None:
    sign_up(any_context, "", calls, ("calls", Channel.SMS), phone="+359 2 123 4567")
    pending = {"calls:phone": ConsentState.PENDING, "calls:sms": ConsentState.PENDING}
    assert state_of(any_context, "+35921234567") == pending


def test_who_reads_a_mailbox_has_not_shown_that_the_number_is_theirs(
    any_context: Context, calls: tuple[str, Channel]
) -> None:
    with any_context.db.writing() as session:
        for scope in ("calls:email", "calls:phone"):
            suppression.suppress(
                session, any_context, email=ZOE, scope=scope, reason=Reason.TOPIC, source="test"
            )
    sign_up(any_context, ZOE, calls, ("calls", Channel.EMAIL), phone="+359 2 123 4567")
    done = confirm(any_context, newest(any_context))
    assert done is not None
    assert done.granted == (("calls", Channel.EMAIL),)
    assert states(any_context) == {
        "calls:email": ConsentState.GRANTED,
        "calls:phone": ConsentState.PENDING,
    }
    with any_context.db.reading() as session:
        left = [entry.scope for entry in suppression.check(session, any_context, ZOE)]
    assert left == ["calls:phone"]


@pytest.mark.usefixtures("any_cast")
def test_what_is_recorded_is_the_moment_at_which_the_form_was_sent(
    any_context: Context, clock: FrozenClock
) -> None:
    sent = clock.now()
    form = SignUp(places=frozenset([NEWS]), email=ZOE)
    with any_context.db.writing() as session:
        waiting.hand_in(session, any_context, form, FORM)
    clock.advance(seconds=30)
    assert waiting.work_off(any_context)
    assert not waiting.work_off(any_context)
    with any_context.db.reading() as session:
        person = subscribers.find(session, any_context, ZOE)
        assert person is not None
        (event,) = consents.history(session, any_context, person)
    assert (event["at"], event["recorded_at"]) == (sent, clock.now())
    assert (event["ip"], event["user_agent"]) == ("192.0.2.7", "Browser")
    assert count(any_context, PageRequest) == 0, "what was typed is not kept"


def test_what_can_not_be_done_is_given_up_and_keeps_nobody_waiting(
    any_context: Context, clock: FrozenClock
) -> None:
    with any_context.db.writing() as session:
        now = clock.now()
        session.add(
            PageRequest(
                kind=PageRequestKind.LINK,
                payload={"email": "no address"},
                language="en",
                at=now,
                not_before=now,
            )
        )
    tries = 0
    while count(any_context, PageRequest):
        tries += waiting.work_off(any_context)
        clock.advance(minutes=3)
    assert tries == waiting.MOST_TRIES


@pytest.mark.usefixtures("any_cast")
def test_an_old_link_is_counted_by_itself_and_then_by_the_mailbox(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    for public_id in [any_cast.ada.public_id, 4711] * 5:
        with any_context.db.writing() as session:
            waiting.ask_for_fresh_link(session, any_context, public_id, FORM)
    assert count(any_context, PageRequest) == 6, "three each, whoever it is"
    with any_context.db.writing() as session:
        waiting.ask_for_link(session, any_context, "ada@example.org", FORM)
    while waiting.work_off(any_context):
        clock.advance(seconds=1)
    assert count(any_context, QueuedMail) == 3, "both ways lead to one mailbox"


@pytest.mark.usefixtures("any_cast")
def test_links_go_to_who_we_know_and_are_counted_for_everybody(any_context: Context) -> None:
    for email in ("nobody@example.org", "ada@example.org"):
        with any_context.db.writing() as session:
            signups.mail_links(session, any_context, email, "192.0.2.7", "en")
    assert count(any_context, QueuedMail) == 1
    with any_context.db.writing() as session:
        spent = [signups.may_mail(session, any_context, "nobody@example.org", None) for _ in "abc"]
    assert spent == [True, True, False]


def test_a_form_says_what_is_wrong_with_it(context: Context) -> None:
    assert signups.problems(context, SignUp(places=frozenset())) == [Problem.NOTHING_CHOSEN]
    wrong = SignUp(places=frozenset([NEWS]), email="zoe@", phone="12", first_name="x" * 300)
    assert signups.problems(context, wrong) == [
        Problem.BAD_ADDRESS,
        Problem.BAD_PHONE,
        Problem.TOO_LONG,
    ]


@pytest.mark.usefixtures("any_cast")
def test_what_is_old_is_forgotten(any_context: Context, clock: FrozenClock) -> None:
    sign_up(any_context)
    people = count(any_context, Subscriber)
    clock.advance(days=40)
    with any_context.db.writing() as session:
        signups.forget_old(session, any_context)
    assert count(any_context, Confirmation) == 0
    assert count(any_context, MailRequest) == 0
    assert count(any_context, Subscriber) == people
