"""The program reads a real Dovecot's mailbox: every way in, and whatever goes wrong meanwhile."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefcentre.context import Context
from prefcentre.feedback import arriving, boxes, mailbox_queries, service
from prefcentre.sections_feedback import Feedback
from tests.dovecot.conftest import PASSWORD, Dovecot
from tests.feedback.conftest import rows
from tests.installation import Installation, installation
from tests.journeys.processes import Process, running

pytestmark = pytest.mark.full

MOVE, DELETE = {"move_to": "Taken in"}, {"delete": True}
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("imaps", MOVE),
    ("imap+starttls", {"move_to": "Zurückgekommen"}),
    ("imap", {}),
    ("pop3s", DELETE),
    ("pop3+starttls", {}),
]


def mails(count: int) -> list[bytes]:
    """Mails that nobody can read; one has a line of a single dot, and octets beyond ASCII."""
    return [
        f"Subject: {n}\r\nMessage-ID: <{n}@x.example>\r\n\r\nwörds {n}\r\n.\r\n..\r\n".encode()
        for n in range(count)
    ]


def with_mailbox(context: Context, dovecot: Dovecot, scheme: str, **more: Any) -> Context:
    """The installation with this mailbox in its settings."""
    more = {"url": dovecot.url(scheme)} | more
    sizes = {"largest_mib": more.pop("largest_mib", 20)}
    feedback = Feedback.model_validate({"mailboxes": [{"name": "returns", **more}], **sizes})
    return replace(context, settings=context.settings.model_copy(update={"feedback": feedback}))


def kept(context: Context) -> int:
    """How many mails were taken in."""
    with context.db.reading() as session:
        return len(rows(session, "inbound_message"))


@pytest.fixture(autouse=True)
def _trusted(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.certificate))


@pytest.mark.parametrize(("scheme", "options"), WAYS, ids=[scheme for scheme, _ in WAYS])
def test_every_mail_is_taken_in_once_and_put_away_as_wanted(
    context: Context, dovecot: Dovecot, scheme: str, options: dict[str, Any]
) -> None:
    """R71."""
    dovecot.put(*mails(3))
    here = with_mailbox(context, dovecot, scheme, **options)
    (look,) = service.poll(here)
    assert (look.waiting, look.trouble) == (3, "")
    (again,) = service.poll(here)
    assert (again.waiting, again.known, again.trouble) == (0, 0, "")
    stays = [] if options else ["0", "1", "2"]
    assert dovecot.there() == stays
    if name := options.get("move_to"):
        assert dovecot.there(name) == ["0", "1", "2"]
    # By IMAP a mail that we looked at is still new to others; POP3 knows no such thing.
    elif scheme == "imap":
        assert dovecot.subjects("unseen") == stays


def test_a_mail_is_the_same_by_imap_and_by_pop3(context: Context, dovecot: Dovecot) -> None:
    dovecot.put(*mails(3))
    service.poll(with_mailbox(context, dovecot, "imap"))
    (look,) = service.poll(with_mailbox(context, dovecot, "pop3", name="other"))
    assert (look.waiting, look.known, kept(context)) == (0, 3, 3)


def test_a_certificate_that_nobody_trusts_is_refused(
    context: Context, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    for scheme, _ in WAYS:
        (look,) = service.poll(with_mailbox(context, dovecot, scheme))
        assert ("certificate" in look.trouble) == (scheme != "imap"), look.trouble


@pytest.mark.parametrize("scheme", ["imaps", "pop3s"])
def test_a_wrong_password_is_said_without_it(
    context: Context, dovecot: Dovecot, scheme: str
) -> None:
    wrong = dovecot.url(scheme, password="another word")
    (look,) = service.poll(with_mailbox(context, dovecot, scheme, url=wrong))
    assert "Authentication failed" in look.trouble
    assert "another" not in look.trouble
    assert PASSWORD not in look.trouble


def test_a_folder_that_is_not_there_is_said(context: Context, dovecot: Dovecot) -> None:
    (look,) = service.poll(with_mailbox(context, dovecot, "imaps", folder="Bounces"))
    assert "Bounces" in look.trouble
    dovecot.admin("mailbox create", "Bounces")
    dovecot.put(*mails(2), folder="Bounces")
    here = with_mailbox(context, dovecot, "imaps", folder="Bounces", move_to="Old.2026")
    (look,) = service.poll(here)
    assert (look.waiting, look.trouble, dovecot.there("Bounces")) == (2, "", [])
    assert dovecot.there("Old.2026") == ["0", "1"]


def test_a_folder_that_can_not_be_made_keeps_no_mail_from_being_read(
    context: Context, dovecot: Dovecot
) -> None:
    """A name that this server does not allow; what is read stays where it is until somebody mends it."""
    dovecot.put(*mails(3))
    (look,) = service.poll(with_mailbox(context, dovecot, "imaps", move_to="Old/2026"))
    assert (look.waiting, kept(context)) == (3, 3)
    assert "can't be moved to Old/2026" in look.trouble
    assert [one.trouble for one in service.failing(with_mailbox(context, dovecot, "imap"))]
    dovecot.put(b"Subject: 3\r\n\r\nlater\r\n")
    (look,) = service.poll(with_mailbox(context, dovecot, "imaps", move_to="Old/2026"))
    assert (look.waiting, look.known, len(dovecot.there())) == (1, 0, 4)
    (look,) = service.poll(with_mailbox(context, dovecot, "imaps", move_to="Old.2026"))
    assert (look.waiting, look.trouble) == (0, "")
    assert (dovecot.there(), dovecot.there("Old.2026")) == ([], ["0", "1", "2", "3"])


def test_a_mail_that_is_too_large_stays_there(context: Context, dovecot: Dovecot) -> None:
    dovecot.put(b"Subject: large\r\n\r\n" + b"x\r\n" * (1 << 19), *mails(1))
    for scheme, options in (("imaps", MOVE), ("pop3s", DELETE)):
        (look,) = service.poll(
            with_mailbox(context, dovecot, scheme, largest_mib=1, name=scheme, **options)
        )
        assert (look.left, dovecot.there()) == (1, ["large"])


@pytest.mark.parametrize(("scheme", "options"), [WAYS[0], WAYS[3]], ids=["imaps", "pop3s"])
def test_a_connection_that_breaks_loses_nothing(
    context: Context,
    dovecot: Dovecot,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    options: dict[str, Any],
) -> None:
    """R71: the server throws us out between two mails."""
    dovecot.put(*mails(3))
    here, take = with_mailbox(context, dovecot, scheme, **options), arriving.take_in

    def is_thrown_out(context: Context, raw: bytes, source: str) -> Any:
        dovecot.kick()
        return take(context, raw, source)

    monkeypatch.setattr(arriving, "take_in", is_thrown_out)
    (look,) = service.poll(here)
    assert look.trouble
    assert kept(context) == 1
    assert len(dovecot.there()) == 3
    monkeypatch.undo()
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.certificate))
    (look,) = service.poll(here)
    assert (look.trouble, kept(context), dovecot.there()) == ("", 3, [])


# --- power cuts ---------------------------------------------------------------------------------


def _end(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_before_it_is_noted() -> None:
    """The mail is safe with us, and the mailbox's place in it is not."""
    mailbox_queries.note_seen = _end


def dies_before_it_is_put_away() -> None:
    """The mail is safe with us and noted."""
    boxes._ImapBox.put_away = boxes._Pop3Box.put_away = _end  # type: ignore[method-assign]


def dies_after_it_is_put_away() -> None:
    """The mail was moved, or was marked for deletion, which POP3 does only at the end."""
    for box in (boxes._ImapBox, boxes._Pop3Box):
        put_away: Callable[..., None] = box.put_away

        def and_ends(self: Any, uid: str, put_away: Callable[..., None] = put_away) -> None:
            put_away(self, uid)
            _end()

        box.put_away = and_ends  # type: ignore[method-assign]


POINTS = [dies_before_it_is_noted, dies_before_it_is_put_away, dies_after_it_is_put_away]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("scheme", "options"), [WAYS[0], WAYS[3]], ids=["imaps", "pop3s"])
def test_a_power_cut_loses_nothing_and_takes_nothing_in_twice(
    dovecot: Dovecot,
    tmp_path: Path,
    scheme: str,
    options: dict[str, Any],
    point: Callable[[], None],
) -> None:
    """R71: ``feedback poll`` is killed at each mail, until it has come through them all."""
    dovecot.put(*mails(3))
    with installation(tmp_path / "site", "smtp://127.0.0.1:9", in_process=True) as site:
        box = {"name": "returns", "url": dovecot.url(scheme), **options}
        site.more["PREFCENTRE_FEEDBACK__MAILBOXES"] = json.dumps([box])
        site.more["SSL_CERT_FILE"] = str(dovecot.certificate)
        site.set_up()
        with running(Process(site, "feedback", "poll", before=point)) as process:
            assert process.wait() == -signal.SIGKILL, process.said()
        assert waiting(site) == 1
        (look,) = site.ask("feedback", "poll")["mailboxes"]
        assert (look["trouble"], waiting(site), dovecot.there()) == ("", 3, [])
        if name := options.get("move_to"):
            assert dovecot.there(name) == ["0", "1", "2"]


def waiting(site: Installation) -> int:
    """How many mails were taken in."""
    found: int = site.ask("feedback", "list", "--all")["waiting"]
    return found
