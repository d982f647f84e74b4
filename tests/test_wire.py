"""The reader of mails refuses what it is there to refuse."""

from datetime import UTC, datetime

import pytest

from prefcentre.testing import Received
from tests import wire

PUBLIC_URL = "https://news.example.com"
GOOD = (
    'From: Acme <news@example.com>\r\nTo: "Ada" <ada@example.org>\r\n'
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n"
    "Message-ID: <abc@example.com>\r\nMIME-Version: 1.0\r\n"
    "List-Id: News <news.lists.example.com>\r\n"
    "List-Unsubscribe: <https://news.example.com/u/AAAA>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    "Feedback-ID: c1:acme:news:acmesend\r\n"
    'Content-Type: multipart/alternative; boundary="=_b"\r\n\r\n'
    "--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    "Hello canary-ada. https://news.example.com/u/AAAA\r\n"
    "--=_b\r\nContent-Type: text/html; charset=utf-8\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    '<a href=3D"https://news.example.com/u/AAAA">Leave</a>'
    '<img src=3D"https://news.example.com/o/x"><a href=3D"https://news.example.com/c/x/1">y</a>\r\n'
    "--=_b--\r\n"
)


def received(data: str) -> Received:
    at = datetime(2026, 11, 2, 10, 0, 5, tzinfo=UTC)
    return Received("b-1@example.com", ("ada@example.org",), data.encode(), at, 0.0, 1)


def test_a_good_mail_is_read() -> None:
    mail = wire.read(received(GOOD), PUBLIC_URL)
    assert (mail.subject, mail.token, mail.canaries) == ("Grüße", "AAAA", {"canary-ada"})
    assert (len(mail.opens), len(mail.clicks)) == (1, 1)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("To:", "X-To:"),
        ("Message-ID: <abc@example.com>", "Message-ID: abc"),
        ("Subject:", "Subject: twice\r\nSubject:"),
        ("Hello", "Hello {{ subscriber.name }}"),
        ("Hello", "Hello None"),
        ("/u/AAAA>", "/u/BBBB>"),
        ("/u/AAAA\r\n--=_b", "\r\n--=_b"),
        ("<https://news.example.com/u/AAAA>", "=?utf-8?q?=3Chttps=3A//news?="),
        ("<https://news.example.com/u/AAAA>", "<http://news.example.com/u/AAAA>"),
        ("<https://news.example.com/u/AAAA>", "<https://news.example.com\r\n /u/AAAA>"),
        ("One-Click", "one-click"),
        ("+0000", "GMT"),
        ("10:00:00", "09:00:00"),
        ("Gr=C3=BC=C3=9Fe", "Gr=C3"),
        ("Gr=C3=BC=C3=9Fe", "a" * 80),
        ("text/plain", "text/enriched"),
        ("Hello", "Hello\n"),
        ("Hello", "x" * 999),
        ("Hello", "ü"),
        ("c1:acme:news:acmesend", "c1:acme"),
        ("Feedback-ID: c1", f"X-Long: {'word ' * 20}\r\nFeedback-ID: c1"),
        ("<news.lists.example.com>", "news"),
        ("Acme <news@example.com>", "Acme <news@example.com>, <b@example.com>"),
    ],
)
def test_a_mail_with_a_mistake_is_refused(good: str, bad: str) -> None:
    assert good in GOOD
    with pytest.raises((AssertionError, UnicodeDecodeError)):
        wire.read(received(GOOD.replace(good, bad, 1)), PUBLIC_URL)


def test_mails_that_share_what_must_differ_are_refused() -> None:
    mail = wire.read(received(GOOD), PUBLIC_URL)
    wire.check_together([mail])
    with pytest.raises(AssertionError, match="Message-ID"):
        wire.check_together([mail, mail])
