"""Mails that come back: what they prove has its effect, once; all else changes nobody and waits."""

import secrets

import pytest

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, WrongState
from prefcentre.feedback import service
from prefcentre.feedback.models import FeedbackEvent
from prefcentre.feedback.service import Arrival
from prefcentre.subscribers import service as subscribers
from tests.feedback.conftest import reasons, rows

DEAD = ("5.1.1", "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown")


def report(
    to: str = "postmaster@example.com",
    message_id: str = "<1@example.com>",
    about: str = "ada@example.org",
    status: str = DEAD[0],
    text: str = DEAD[1],
) -> bytes:
    """A report as Postfix writes them."""
    return f"""Return-Path: <>
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

This is the mail system at host mx.example.net.

<{about}>: host mx.example.org said: {text}

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; {about}
Action: failed
Status: {status}
Diagnostic-Code: smtp; {text}

--b
Content-Type: text/rfc822-headers

Message-ID: {message_id}
Subject: Spring

--b--
""".encode()


def returned_to(context: Context, campaign: Campaign, delivery: int = 1) -> str:
    """The return path of one of our mails."""
    token = context.signer.sign_return_path(campaign.id or 0, delivery)
    return f"b-{token}@news.example.com"


def events(context: Context) -> int:
    """How many events are written down."""
    with context.db.reading() as session:
        return len(rows(session, FeedbackEvent.__tablename__))


def waiting(context: Context) -> list[int]:
    """The numbers of the mails that wait for a person."""
    with context.db.reading() as session:
        return [one.id or 0 for one in service.mails(session)]


def test_a_genuine_report_closes_the_dead_address(any_context: Context, campaign: Campaign) -> None:
    mail = report(to=returned_to(any_context, campaign))
    assert service.take_in(any_context, mail, "pipe") is Arrival.DONE
    assert reasons(any_context) == {"hard_bounce"}


def test_our_message_id_in_the_returned_headers_proves_it_as_well(
    context: Context, ours: Campaign
) -> None:
    own = context.signer.sign_delivery(ours.id or 0, 1)[1]
    mail = report(message_id=f"<{own}@news.example.com>")
    assert service.take_in(context, mail, "pipe") is Arrival.DONE
    assert reasons(context) == {"hard_bounce"}


@pytest.mark.parametrize("ends", [b"\r\n", b"\r"])
def test_a_mail_counts_once_whatever_its_line_ends(
    context: Context, ours: Campaign, ends: bytes
) -> None:
    mail = report(to=returned_to(context, ours))
    assert service.take_in(context, mail, "a") is Arrival.DONE
    assert service.take_in(context, mail.replace(b"\n", ends), "b") is Arrival.KNOWN
    assert events(context) == 1


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("5.7.1", "554 5.7.1 Message rejected because of spam content"),
        ("5.2.2", "552 5.2.2 mailbox full"),
        ("5.1.1", "550 5.1.1 Blocked: your IP is listed at Spamhaus"),
    ],
)
def test_a_refusal_for_another_cause_leaves_the_address_alone(
    context: Context, ours: Campaign, status: str, text: str
) -> None:
    mail = report(to=returned_to(context, ours), status=status, text=text)
    assert service.take_in(context, mail, "pipe") is Arrival.DONE
    assert events(context) == 1
    assert reasons(context) == set()


def test_forged_reports_change_nobody_and_wait(context: Context, ours: Campaign) -> None:
    genuine = context.signer.sign_return_path(ours.id or 0, 1)
    for number in range(500):
        token = genuine[:-2] + f"{(int(genuine[-2:], 16) + 1 + number % 255) % 256:02x}"
        to = f"b-{token}@news.example.com"
        mail = report(to=to, message_id=f"<{secrets.token_hex(24)}@news.example.com>")
        assert service.take_in(context, mail, "pipe") is Arrival.WAITING
    assert events(context) == 0
    assert reasons(context) == set()
    with context.db.reading() as session:
        assert service.how_many_wait(session) == 500


def test_a_list_behind_an_address_is_dead_only_when_all_its_members_are(
    context: Context, ours: Campaign
) -> None:
    mail = report(to=returned_to(context, ours), about="one@example.net").replace(
        b"\n--b\nContent-Type: text/rfc822-headers",
        b"\nFinal-Recipient: rfc822; two@example.net\nAction: failed\nStatus: 5.2.2\n"
        b"Diagnostic-Code: smtp; 552 5.2.2 mailbox full\n\n--b\nContent-Type: text/rfc822-headers",
    )
    assert service.take_in(context, mail, "pipe") is Arrival.DONE
    assert events(context) == 1
    assert reasons(context) == set()


def test_what_can_not_be_read_waits_and_is_settled_once(context: Context, ours: Campaign) -> None:
    assert service.take_in(context, b"Subject: Hello\n\nWhere is my \x1b[31morder?", "pipe")
    (number,) = waiting(context)
    with context.db.writing() as session:
        assert "·[31morder?" in (service.show(session, number).text or "")
        done = service.settle(session, context, number, actor="Eve", note="An order.")
        assert (done.state, done.settled_by, done.note) == ("settled", "Eve", "An order.")
    assert waiting(context) == []
    with context.db.writing() as session, pytest.raises(WrongState):
        service.settle(session, context, number, actor="Eve")


def test_a_person_may_close_the_address_that_an_unproved_mail_is_about(
    context: Context, ours: Campaign
) -> None:
    service.take_in(context, report(), "pipe")
    (number,) = waiting(context)
    with context.db.writing() as session, pytest.raises(InvalidInput, match="note"):
        service.settle(session, context, number, actor="Eve", suppress="ada@example.org")
    assert waiting(context) == [number]
    with context.db.writing() as session:
        service.settle(
            session, context, number, actor="Eve", suppress="Ada@example.org", note="She is gone."
        )
    assert reasons(context) == {"hard_bounce"}


def test_an_unproved_mail_about_somebody_goes_with_their_erasure(
    context: Context, ours: Campaign
) -> None:
    service.take_in(context, report(), "pipe")
    with context.db.writing() as session:
        ada = subscribers.find(session, context, "ada@example.org")
        assert ada is not None
        service.forget(session, ada.id or 0)
    (number,) = waiting(context)
    with context.db.reading() as session:
        assert service.show(session, number).text is None


def test_a_mail_that_is_not_there_is_not_found(context: Context) -> None:
    with context.db.reading() as session, pytest.raises(NotFound):
        service.show(session, 7)
