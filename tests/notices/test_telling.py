"""Who is told of a change, once each, past what they stopped and not past what forbids it; and consents to be renewed."""

from contextlib import suppress
from email import message_from_bytes, policy
from typing import Any

import pytest

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import Campaign
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, ConsentState
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.jobs import Clockwork
from prefcentre.notices import service as notices
from prefcentre.notices import telling
from prefcentre.notices.service import (
    NoticeForm,
    NoticeState,
    NoticeText,
)
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Visit
from prefcentre.reasons import Reason
from prefcentre.servicemail import rules as service_rules
from prefcentre.servicemail.models import QueuedMail
from prefcentre.servicemail.service import ServiceMailKind
from prefcentre.signups import waiting
from prefcentre.signups.service import SignUp
from prefcentre.subscribers import service as subscribers
from prefcentre.testing import FrozenClock, RecordingSmtpServer
from prefcentre.testing.makers import Cast, make_person, make_suppression
from prefcentre.tokens import LinkToken, TokenKind
from tests.delivery.conftest import start
from tests.signups import test_service as signing_up

WORDS = {
    "en": NoticeText("We keep orders for five years now."),
    "bg": NoticeText("Вече пазим поръчките пет години."),
}
# What somebody's own wish, or a register of such wishes, says about advertising does not keep a notice back.
PASSED = {
    Reason.OBJECTION,
    Reason.STOP_ALL,
    Reason.REGISTER,
    Reason.TOPIC,
    Reason.ROLE,
    Reason.RESTRICTED,
    Reason.NO_CONSENT,
    Reason.PAUSED,
    Reason.FREQUENCY,
    Reason.ADDRESS_CHANGED,
    Reason.TEMPLATE,
    Reason.BAD_ADDRESS,
}


class _CutOffError(Exception):
    """The process dies before its step is committed."""


def form(**fields: Any) -> NoticeForm:
    return NoticeForm(**({"holds_from": "2027-01-01", "texts": WORDS} | fields))


def publish(context: Context, **fields: Any) -> int:
    with context.db.writing() as session:
        number = notices.make(session, context, form(**fields), "staff").id or 0
    # Those who came at this very instant know it already.
    context.clock.advance(minutes=1)  # type: ignore[attr-defined]
    with context.db.writing() as session:
        notices.publish(session, context, number, "staff", sent_now=campaigns.sent_now(session))
    return number


def steps(context: Context) -> int:
    done = 0
    while True:
        with context.db.writing() as session:
            if not telling.step(session, context):
                return done
        done += 1


def tell_all(context: Context) -> None:
    while steps(context):
        delivery.post_waiting(context)


def progress(context: Context, number: int) -> dict[str, int]:
    with context.db.reading() as session:
        return {
            state.value: people
            for state, people in notices.progress(session, number).items()
            if people
        }


def states(context: Context, person: Any) -> dict[tuple[str, str], ConsentState]:
    with context.db.reading() as session:
        found = consent.consents_of(session, person.id or 0)
        return {(view.topic_key, view.channel.value): view.state for view in found}


@pytest.mark.parametrize("reason", list(Reason))
def test_a_notice_passes_what_is_about_advertising_and_nothing_else(reason: Reason) -> None:
    """R185, D35: each reason by itself, at the one place that decides for service mails."""
    assert service_rules.may_go(ServiceMailKind.NOTICE, [reason]) is (reason in PASSED)


def test_a_new_policy_is_told_to_everybody_once(
    any_context: Context, any_cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    """R185: who left is told too; whose mailbox is dead, whose data is only stored, or who has no address is not."""
    with any_context.db.writing() as session:
        make_person(session, any_context, None, "Only By Post", postal_address="1 Mail Lane")
        eve = make_person(session, any_context, "eve@example.org")
        subscribers.restrict(session, any_context, eve, note="asked", actor="staff")
        make_suppression(session, any_context, "cleo@example.org", Reason.STOP_ALL)
        make_suppression(session, any_context, "cleo@example.org", Reason.OBJECTION)
    number = publish(any_context)
    tell_all(any_context)
    assert sorted(message.rcpt_to for message in smtpd.messages) == [
        "ada@example.org",
        "ben@example.org",
        "cleo@example.org",
    ]
    assert progress(any_context, number) == {"sent": 3, "withheld": 2, "no_address": 1}
    with any_context.db.reading() as session:
        notice = notices.get(session, number)
        assert notice.state is NoticeState.TOLD
        assert notice.policy_version == 1
    tell_all(any_context)
    assert len(smtpd.messages) == 3


def test_a_notice_counts_nothing_and_advertises_nothing(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    """D35: no pixel, no counted links, no List-Unsubscribe; in the person's language where it is written."""
    publish(context)
    tell_all(context)
    sent = {
        one.rcpt_to: message_from_bytes(one.data, policy=policy.default) for one in smtpd.messages
    }
    to_cleo = sent["cleo@example.org"]
    text = to_cleo.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert WORDS["bg"].summary in text
    assert "/changes/1" in text
    to_ben = sent["ben@example.org"].get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert WORDS["en"].summary in to_ben
    assert "<img" not in to_ben
    assert "/c/" not in to_ben
    assert "List-Unsubscribe" not in to_cleo


def test_telling_goes_on_where_it_was_cut_off(
    any_context: Context,
    any_cast: Cast,
    smtpd: RecordingSmtpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each step is one transaction; one that is lost is done again, and nobody is told twice."""
    monkeypatch.setattr(telling, "GATHERED_AT_ONCE", 1)
    monkeypatch.setattr(telling, "QUEUED_AT_ONCE", 1)
    number = publish(any_context)
    for _ in range(60):
        with suppress(_CutOffError), any_context.db.writing() as session:
            telling.step(session, any_context)
            raise _CutOffError
        with any_context.db.writing() as session:
            telling.step(session, any_context)
        with any_context.db.reading() as session:
            assert progress(any_context, number).get("queued", 0) <= 1
        delivery.post_waiting(any_context)
    assert sorted(message.rcpt_to for message in smtpd.messages) == [
        "ada@example.org",
        "ben@example.org",
        "cleo@example.org",
    ]
    assert progress(any_context, number) == {"sent": 3, "withheld": 1}


def test_who_waits_for_a_confirmation_comes_before_notices(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    publish(context)
    steps(context)
    with context.db.writing() as session:
        session.add(
            QueuedMail(
                key="links:1",
                kind=ServiceMailKind.LINKS,
                email="zoe@example.org",
                language="en",
                parts={"link": "https://news.example.com/p/1"},
                created_at=context.clock.now(),
                not_before=context.clock.now(),
            )
        )
    delivery.post_waiting(context)
    assert smtpd.messages[0].rcpt_to == "zoe@example.org"


def test_a_topics_notice_is_told_to_those_who_agreed(
    any_context: Context, any_cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    """Who left is not, and all consents stay as they are."""
    number = publish(any_context, about="product-news")
    tell_all(any_context)
    assert sorted(message.rcpt_to for message in smtpd.messages) == [
        "ada@example.org",
        "ben@example.org",
    ]
    assert progress(any_context, number) == {"sent": 2, "withheld": 1}
    assert states(any_context, any_cast.ada)["product-news", "email"] is ConsentState.GRANTED
    with any_context.db.reading() as session:
        assert notices.get(session, number).wording_versions == {"en": 1}


def test_another_purpose_needs_consent_anew(
    any_context: Context, any_cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    """R84, R97: old consents count no more, the gate says so, one press renews, and the ledger holds both words."""
    with any_context.db.writing() as session:
        session.add(
            Campaign(
                slug="spring",
                topic_id=any_cast.news.id or 0,
                created_at=any_context.clock.now(),
            )
        )
    number = publish(any_context, about="product-news", renews=True)
    tell_all(any_context)
    ada = any_cast.ada
    assert states(any_context, ada) == {
        ("product-news", "email"): ConsentState.WITHDRAWN,
        ("events", "email"): ConsentState.GRANTED,
    }
    with any_context.db.reading() as session:
        against = delivery.why(session, any_context, ada, "spring").against
        asked = notices.of_person(session, any_context, ada.id or 0, "en")
    assert [one.reason for one in against] == [Reason.NO_CONSENT]
    assert [(one.topic_key, one.asks) for one in asked] == [("product-news", (Channel.EMAIL,))]
    body = message_from_bytes(smtpd.messages[0].data, policy=policy.default).get_body(("plain",))
    assert body is not None
    assert "/p/" in body.get_content()

    token = LinkToken(TokenKind.PREFERENCES, ada.public_id, issued=any_context.clock.now().date())
    with any_context.db.writing() as session:
        how = Visit(Method.PREFERENCE_PAGE, None, None, "en")
        preferences.agree(session, any_context, token, [("product-news", Channel.EMAIL)], how)
    assert states(any_context, ada)["product-news", "email"] is ConsentState.GRANTED
    with any_context.db.reading() as session:
        assert notices.of_person(session, any_context, ada.id or 0, "en") == []
        assert consent.verify(session, any_context).problem is None
        sources = [row["source"] for row in consent.history_of(session, ada.consent_ref)]
    assert f"notice:{number}" in sources


def test_a_sign_up_by_the_old_words_can_not_be_confirmed(
    any_context: Context, any_cast: Cast
) -> None:
    """Neither while consents end nor afterwards; whoever wants the new purpose signs up anew."""
    signing_up.sign_up(any_context)
    asked = signing_up.newest(any_context)
    publish(any_context, about="product-news", renews=True)
    tell_all(any_context)
    assert signing_up.confirm(any_context, asked) is None
    assert signing_up.states(any_context) == {"product-news:email": ConsentState.WITHDRAWN}
    assert states(any_context, any_cast.ben)["product-news", "email"] is ConsentState.WITHDRAWN
    any_context.clock.advance(minutes=1)  # type: ignore[attr-defined]
    signing_up.sign_up(any_context)
    assert signing_up.confirm(any_context, signing_up.newest(any_context)) is not None
    assert signing_up.states(any_context) == {"product-news:email": ConsentState.GRANTED}


def test_an_undo_does_not_bring_the_old_purpose_back(context: Context, cast: Cast) -> None:
    how = Visit(Method.PREFERENCE_PAGE, None, None, "en")
    token = LinkToken(TokenKind.PREFERENCES, cast.ada.public_id, issued=context.clock.now().date())
    with context.db.writing() as session:
        undo = preferences.stop_everything(session, context, token, how).undo
    publish(context, about="product-news", renews=True)
    tell_all(context)
    with context.db.writing() as session:
        preferences.undo(session, context, token, undo or "", how)
    assert states(context, cast.ada) == {
        ("product-news", "email"): ConsentState.WITHDRAWN,
        ("events", "email"): ConsentState.GRANTED,
    }


def test_who_agreed_after_it_was_published_keeps_their_consent(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    publish(context, about="product-news", renews=True)
    clock.advance(minutes=1)
    token = LinkToken(TokenKind.PREFERENCES, cast.cleo.public_id, issued=clock.now().date())
    with context.db.writing() as session:
        how = Visit(Method.PREFERENCE_PAGE, None, None, "en")
        preferences.agree(session, context, token, [("product-news", Channel.EMAIL)], how)
    tell_all(context)
    assert states(context, cast.cleo)["product-news", "email"] is ConsentState.GRANTED


def test_what_is_published_stays(context: Context, cast: Cast) -> None:
    number = publish(context)
    with context.db.writing() as session:
        with pytest.raises(Refused, match="published"):
            notices.change(session, context, number, form(), "staff")
        with pytest.raises(Refused, match="published"):
            notices.discard(session, context, number, "staff")
        with pytest.raises(Refused, match="published"):
            notices.publish(session, context, number, "staff", sent_now=campaigns.sent_now(session))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"texts": {}}, "in English"),
        ({"texts": {"bg": WORDS["bg"]}}, "in English"),
        ({"texts": {"en": NoticeText("", "Whole text.")}}, "plain words"),
        ({"texts": WORDS | {"en": NoticeText("A", url="javascript:x")}}, "https://"),
        ({"texts": WORDS | {"no language": NoticeText("A")}}, "language code"),
        ({"holds_from": "tomorrow"}, "2027-01-31"),
        ({"banner_days": "1000"}, "0 to 365"),
        ({"renews": True}, "Choose the topic"),
    ],
)
def test_what_is_missing_is_said(context: Context, fields: dict[str, Any], words: str) -> None:
    with context.db.writing() as session, pytest.raises(InvalidInput, match=words):
        notices.make(session, context, form(**fields), "staff")


def test_pages_point_at_it_for_a_while_and_list_it_for_ever(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    with context.db.writing() as session:
        draft = notices.make(session, context, form(), "staff").id or 0
    number = publish(context, banner_days="10")
    tell_all(context)
    ada = cast.ada.id or 0
    with context.db.reading() as session:
        assert [one.number for one in notices.pointed_at(session, context, "bg")] == [number]
        assert [one.shown.number for one in notices.of_person(session, context, ada, "bg")] == [
            number
        ]
        assert notices.published_with(session, number, "de").language == "en"
        with pytest.raises(NotFound):
            notices.published_with(session, draft, "en")
    with context.db.writing() as session:
        assert notices.note_seen(session, context, number, ada)
        assert not notices.note_seen(session, context, draft, ada)
        assert notices.of_person(session, context, ada, "bg") == []
    clock.advance(days=10)
    with context.db.reading() as session:
        assert notices.pointed_at(session, context, "bg") == []
        assert notices.of_person(session, context, cast.cleo.id or 0, "bg") == []
        assert [one.language for one in notices.published(session, "bg")] == ["bg"]


def test_a_worker_tells_them_and_only_the_one_with_the_lease(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer
) -> None:
    """The clockwork goes on by itself, each time as far as the queue allows."""
    number = publish(context)
    clockwork = Clockwork(context, worker=None)  # type: ignore[arg-type]
    clockwork._tell()
    assert progress(context, number) == {}
    clockwork._epoch = 1
    clockwork._tell()
    assert progress(context, number) == {"queued": 4}
    clockwork._post()
    assert len(smtpd.messages) == 3
    clockwork._tell()
    with context.db.reading() as session:
        assert notices.get(session, number).state is NoticeState.TOLD


def test_pages_are_heeded_between_the_mails_of_a_notice(
    context: Context, cast: Cast, smtpd: RecordingSmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody signs up while mails are handed over; their confirmation goes out in the same turn."""
    publish(context)
    steps(context)
    clockwork = Clockwork(context, worker=None)  # type: ignore[arg-type]
    clockwork._epoch = 1
    post_waiting, asked = delivery.post_waiting, list[bool]()

    def post(given: Context) -> int:
        done = post_waiting(given)
        if not asked:
            asked.append(True)
            with context.db.writing() as session:
                form = SignUp(places=frozenset([signing_up.NEWS]), email="zoe@example.org")
                waiting.hand_in(session, context, form, signing_up.FORM)
        return done

    monkeypatch.setattr(delivery, "post_waiting", post)
    clockwork._post()
    assert smtpd.messages[-1].rcpt_to == "zoe@example.org"


def test_consents_do_not_end_under_a_campaign_that_is_being_sent(
    any_context: Context, any_cast: Cast
) -> None:
    """Nobody gets a mail because their turn in the renewal had just not come."""
    start(any_context)
    with pytest.raises(Refused, match="“spring”"):
        publish(any_context, about="product-news", renews=True)
    publish(any_context, about="events", renews=True)
    publish(any_context)
    with any_context.db.writing() as session:
        campaigns.pause(session, "spring")
    publish(any_context, about="product-news", renews=True)
    assert any_cast.ada.id
