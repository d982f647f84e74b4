"""The queue of service mails, on both databases."""

from email import message_from_bytes, policy

import pytest

from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.reasons import Reason
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.models import QueuedMail, ServiceMailState
from prefcentre.servicemail.service import ServiceMail, ServiceMailKind
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock, RecordingSmtpServer

ZOE = "zoe@example.org"
WITHOUT_LINK = {
    ServiceMailKind.NOTHING_HELD,
    ServiceMailKind.REQUEST_REFUSED,
    ServiceMailKind.REQUEST_EXTENDED,
    ServiceMailKind.REQUEST_WAITS,
}


def enqueue(
    context: Context, kind: ServiceMailKind, key: str = "one", language: str = "en"
) -> bool:
    values = {
        "link": "https://news.example.com/k/x",
        "topics": ["Product <news>"],
        "days": 7,
        "hours": 72,
        "date": "2026-11-02",
        "until": "2027-02-02",
        "what": "access",
        "topic": "Product news",
        "renews": False,
        "summary": ["We keep orders for five years now."],
        "reason": "Many letters.",
        "authority": "The Commission",
        "old_masked": "z•••@example.org",
        "new_masked": "y•••@example.org",
    }
    with context.db.writing() as session:
        return servicemail.enqueue(session, context, ServiceMail(kind, ZOE, language, values, key))


def row(context: Context, number: int = 1) -> QueuedMail:
    with context.db.reading() as session:
        found = session.get(QueuedMail, number)
        assert found is not None
        return found


def test_a_mail_goes_out_once_and_is_forgotten(
    any_context: Context, smtpd: RecordingSmtpServer
) -> None:
    assert enqueue(any_context, ServiceMailKind.LINKS)
    assert not enqueue(any_context, ServiceMailKind.LINKS), "one key is one mail"
    assert delivery.post_waiting(any_context) == 1
    assert delivery.post_waiting(any_context) == 0
    assert [message.rcpt_to for message in smtpd.messages] == [ZOE]
    over = row(any_context)
    assert (over.state, over.email, over.parts) == (ServiceMailState.SENT, None, {})


def test_what_was_not_taken_is_tried_again_with_the_same_octets(
    any_context: Context, clock: FrozenClock
) -> None:
    enqueue(any_context, ServiceMailKind.CONFIRM_SIGN_UP)
    octets = []
    for _ in range(2):
        with any_context.db.writing() as session:
            (mail,) = servicemail.take(session, any_context)
            assert servicemail.take(session, any_context) == [], "somebody has it in hand"
        octets.append(servicemail.compose(any_context, mail).data)
        with any_context.db.writing() as session:
            servicemail.record(session, any_context, mail, 451)
        clock.advance(minutes=6)
    assert octets[0] == octets[1]
    clock.advance(days=2)
    with any_context.db.writing() as session:
        (mail,) = servicemail.take(session, any_context)
        servicemail.record(session, any_context, mail, None)
    assert row(any_context).state is ServiceMailState.FAILED


@pytest.mark.parametrize(
    ("language", "day"),
    [("en", "2 November 2026"), ("de", "2. November 2026"), ("bg", "2 ноември 2026")],
)
def test_days_are_written_as_people_write_them(
    any_context: Context, smtpd: RecordingSmtpServer, language: str, day: str
) -> None:
    enqueue(any_context, ServiceMailKind.REQUEST_EXTENDED, language=language)
    delivery.post_waiting(any_context)
    mail = message_from_bytes(smtpd.messages[0].data, policy=policy.SMTP)
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert day in text
    assert "2026-11-02" not in text


def test_a_process_that_dies_leaves_its_mails_to_the_next(
    any_context: Context, clock: FrozenClock
) -> None:
    enqueue(any_context, ServiceMailKind.LINKS)
    for _ in range(2):
        with any_context.db.writing() as session:
            assert len(servicemail.take(session, any_context)) == 1
        clock.advance(minutes=3)


@pytest.mark.parametrize(
    ("reason", "kind", "goes"),
    [
        (Reason.STOP_ALL, ServiceMailKind.LINKS, True),
        (Reason.HARD_BOUNCE, ServiceMailKind.LINKS, False),
        (Reason.HARD_BOUNCE, ServiceMailKind.CONFIRM_SIGN_UP, True),
        (Reason.COMPLAINT, ServiceMailKind.CONFIRM_SIGN_UP, False),
    ],
)
def test_an_unsubscribe_keeps_no_service_mail_back_and_a_dead_address_does(
    any_context: Context,
    smtpd: RecordingSmtpServer,
    reason: Reason,
    kind: ServiceMailKind,
    goes: bool,  # noqa: FBT001 - a column of the table
) -> None:
    with any_context.db.writing() as session:
        suppression.suppress(
            session, any_context, email=ZOE, scope="all", reason=reason, source="test"
        )
    enqueue(any_context, kind)
    delivery.post_waiting(any_context)
    assert len(smtpd.messages) == goes
    assert row(any_context).state is (ServiceMailState.SENT if goes else ServiceMailState.WITHHELD)


@pytest.mark.parametrize("language", ["en", "bg", "de", "fr"])
@pytest.mark.parametrize("kind", list(ServiceMailKind))
def test_every_mail_is_whole_in_every_language(
    context: Context, kind: ServiceMailKind, language: str
) -> None:
    enqueue(context, kind, language=language)
    with context.db.writing() as session:
        (mail,) = servicemail.take(session, context)
    composed = servicemail.compose(context, mail)
    read = message_from_bytes(composed.data, policy=policy.default)
    plain, page = read.get_body(("plain",)), read.get_body(("html",))
    assert plain is not None
    assert page is not None
    if kind not in WITHOUT_LINK:
        assert mail.parts["link"] in plain.get_content()
        assert f'href="{mail.parts["link"]}"' in page.get_content()
    assert f'lang="{language}"' in page.get_content()
    assert "%(" not in plain.get_content() + page.get_content() + read["Subject"]
    assert "<news>" not in page.get_content()
    assert (read["Auto-Submitted"], read["Content-Language"]) == ("auto-generated", language)
    # Neither counted nor a list's mail.
    assert "/o/" not in page.get_content()
    assert "List-Unsubscribe" not in read
