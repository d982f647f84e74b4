"""Mailboxes: each mail is taken in once and lost nowhere, wherever the connection breaks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from prefcentre.campaigns.models import Campaign
from prefcentre.context import Context
from prefcentre.errors import NotFound, Unavailable
from prefcentre.feedback import arriving, service
from prefcentre.feedback.models import InboundMessage
from prefcentre.sections_feedback import Feedback
from prefcentre.testing import FrozenClock
from tests.feedback.conftest import reasons, rows
from tests.feedback.mailserver import ImapHandler, Pop3Handler, Store, serving
from tests.feedback.test_arriving import report, returned_to

MOVE = {"move_to": "Done"}
WAYS: list[tuple[str, Any, dict[str, Any]]] = [
    ("imap", ImapHandler, {}),
    ("imap", ImapHandler, MOVE),
    ("pop3", Pop3Handler, {}),
    ("pop3", Pop3Handler, {"delete": True}),
]
NAMES = ["imap-keep", "imap-move", "pop3-keep", "pop3-delete"]


def mails(count: int) -> list[bytes]:
    """Mails that nobody can read, each of its own; one has a line of a single dot."""
    return [
        f"From: a{n}@example.net\r\nSubject: {n}\r\n\r\nwords {n}\r\n.\r\nend\r\n".encode()
        for n in range(count)
    ]


@contextmanager
def mailbox(
    context: Context, way: tuple[str, Any, dict[str, Any]], store: Store, **more: Any
) -> Iterator[Context]:
    """The installation with this mailbox in its settings."""
    scheme, handler, options = way
    with serving(handler, store) as port:
        url = f"{scheme}://us%40example.com:s3cret%20word@127.0.0.1:{port}"
        feedback = Feedback.model_validate(
            {"mailboxes": [{"name": "returns", "url": url, **options}], **more}
        )
        yield replace(context, settings=context.settings.model_copy(update={"feedback": feedback}))


def kept(context: Context) -> list[bytes]:
    """What was taken in, each mail with plain line ends."""
    with context.db.reading() as session:
        found = rows(session, InboundMessage.__tablename__)
    return [one.digest for one in found]


@pytest.fixture(params=WAYS, ids=NAMES)
def way(request: pytest.FixtureRequest) -> tuple[str, Any, dict[str, Any]]:
    """Both protocols, with and without putting away."""
    found: tuple[str, Any, dict[str, Any]] = request.param
    return found


def test_every_mail_is_taken_in_once_and_put_away_as_wanted(
    context: Context, way: tuple[str, Any, dict[str, Any]]
) -> None:
    store = Store()
    store.add(*mails(3))
    with mailbox(context, way, store) as here:
        (look,) = service.poll(here)
        assert (look.waiting, look.trouble) == (3, "")
        assert len(kept(here)) == 3
        (again,) = service.poll(here)
        assert (again.done, again.waiting, again.known, again.trouble) == (0, 0, 0, "")
        fetches = [one for one in store.commands if "BODY" in one or "RETR" in one]
        assert len(fetches) == 3
    match way[2]:
        case {"delete": True}:
            assert store.all() == []
        case {"move_to": name}:
            assert (store.inbox, sorted(store.folders[name])) == ({}, mails(3))
        case _:
            assert list(store.inbox.values()) == mails(3)


@pytest.mark.parametrize("way", [WAYS[1], WAYS[3]], ids=[NAMES[1], NAMES[3]])
def test_wherever_the_connection_breaks_no_mail_is_lost_or_taken_in_twice(
    way: tuple[str, Any, dict[str, Any]], context: Context
) -> None:
    """R71: the server hangs up at each command of the conversation, one after the other."""
    whole = Store()
    whole.add(*mails(2))
    with mailbox(context, way, whole) as here:
        service.poll(here)
    digests, commands = kept(context), len(whole.commands)
    assert len(digests) == 2
    for cut in range(1, commands + 1):
        store = Store(cut_at=cut, can_move=bool(cut % 2), validity=cut + 1)
        store.add(*(mail.replace(b"words", b"cut %d" % cut) for mail in mails(2)))
        with mailbox(context, way, store) as here:
            before = len(kept(here))
            service.poll(here)
            safe = {bytes(one) for one in store.all()}
            # Nobody has forgotten a mail that we don't have.
            assert len(kept(here)) - before + len(safe) >= 2
            (look,) = service.poll(here)
            assert (look.trouble, len(kept(here))) == ("", before + 2), cut
        if way[2] == MOVE:
            assert (store.inbox, len(set(store.folders["Done"]))) == ({}, 2), cut


def test_a_genuine_report_in_a_mailbox_closes_the_address(
    any_context: Context, campaign: Campaign
) -> None:
    context, store = any_context, Store()
    store.add(report(to=returned_to(context, campaign)).replace(b"\n", b"\r\n"))
    with mailbox(context, WAYS[1], store) as here:
        (look,) = service.poll(here)
    assert look.done == 1
    assert "hard_bounce" in reasons(context)


def test_a_mail_that_can_not_be_taken_in_keeps_nobody_behind_it_waiting(
    context: Context, way: tuple[str, Any, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, take = Store(), arriving.take_in
    store.add(*mails(3))

    def fails_at_one(context: Context, raw: bytes, source: str) -> Any:
        if b"words 1" in raw:
            raise ValueError("a mistake of ours")
        return take(context, raw, source)

    with mailbox(context, way, store) as here:
        monkeypatch.setattr(arriving, "take_in", fails_at_one)
        (look,) = service.poll(here)
        assert (look.waiting, look.left) == (2, 1)
        assert [one.staying for one in service.failing(here)] == [1]
        assert any(b"words 1" in mail for mail in store.inbox.values())
        monkeypatch.undo()
        (look,) = service.poll(here)
        assert (look.waiting, look.left) == (1, 0)
        assert service.failing(here) == []


def test_a_mail_that_is_too_large_stays_there_and_is_not_loaded(
    context: Context, way: tuple[str, Any, dict[str, Any]]
) -> None:
    store = Store()
    store.add(b"Subject: large\r\n\r\n" + b"x" * (1 << 20), *mails(1))
    with mailbox(context, way, store, largest_mib=1) as here:
        (look,) = service.poll(here)
        assert (look.left, look.waiting) == (1, 1)
    assert len([one for one in store.commands if "BODY" in one or "RETR" in one]) == 1


def test_a_folder_that_can_not_be_made_keeps_no_mail_from_being_read(context: Context) -> None:
    """R71: what is read stays where it is, and is moved when somebody has mended it."""
    store = Store(can_create=False)
    store.add(*mails(3))
    with mailbox(context, WAYS[1], store) as here:
        (look,) = service.poll(here)
        assert (look.waiting, len(store.inbox)) == (3, 3)
        assert "can't be moved to Done" in look.trouble
        assert [one.trouble for one in service.failing(here)] == [look.trouble]
        store.add(b"Subject: later\r\n\r\nlater\r\n")
        (look,) = service.poll(here)
        assert (look.waiting, look.known) == (1, 0)
        store.can_create = True
        (look,) = service.poll(here)
        assert (look.waiting, look.trouble, len(store.folders["Done"])) == (0, "", 4)


def test_mails_that_got_new_numbers_are_known_again(context: Context) -> None:
    """RFC 3501 §2.3.1.1: the server has built its mailbox anew."""
    store = Store()
    store.add(*mails(2))
    with mailbox(context, WAYS[0], store) as here:
        service.poll(here)
        store.validity = 2
        (look,) = service.poll(here)
    assert (look.known, look.waiting) == (2, 0)


def test_a_wrong_password_is_said_without_it_and_tried_more_and_more_seldom(
    context: Context, clock: FrozenClock, way: tuple[str, Any, dict[str, Any]]
) -> None:
    store = Store(password="another")
    with mailbox(context, way, store) as here:
        (look,) = service.poll_due(here, Event())
        assert "returns can't be read" in look.trouble
        assert "s3cret" not in look.trouble
        assert [one.failures for one in service.failing(here)] == [1]
        clock.advance(seconds=61)
        assert service.poll_due(here, Event()) == []
        clock.advance(seconds=60)
        assert len(service.poll_due(here, Event())) == 1
        for _ in range(12):
            clock.advance(minutes=61)
            assert len(service.poll_due(here, Event())) == 1
        store.password = "s3cret word"
        clock.advance(minutes=61)
        service.poll_due(here, Event())
        assert service.failing(here) == []


def test_our_own_database_is_no_fault_of_the_mailbox(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    store.add(*mails(1))

    def is_away(*_: Any) -> Any:
        raise Unavailable("The database does not answer.")

    monkeypatch.setattr(arriving, "take_in", is_away)
    with mailbox(context, WAYS[1], store) as here:
        with pytest.raises(Unavailable, match="database"):
            service.poll(here)
        assert service.failing(here) == []
    assert len(store.inbox) == 1


def test_who_is_asked_to_stop_stops_between_two_mails(context: Context) -> None:
    store, stop = Store(), Event()
    store.add(*mails(2))
    stop.set()
    with mailbox(context, WAYS[0], store) as here:
        (look,) = service.poll(here, stop=stop)
    assert (look.more, look.waiting) == (True, 0)


def test_a_mailbox_that_is_not_in_the_settings_is_said(context: Context) -> None:
    with pytest.raises(NotFound, match="there are: none"):
        service.poll(context, "other")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "imap://u:p@mail.example.com"}, "without TLS"),
        ({"url": "https://u:p@mail.example.com"}, "must be like imaps://"),
        ({"url": "imaps://mail.example.com"}, "must be like imaps://"),
        ({"url": "imaps://u:p@mail.example.com:x"}, "must be like imaps://"),
        ({"url": "pop3s://u:p@mail.example.com", "move_to": "Done"}, "knows no folders"),
        ({"url": "imaps://u:p@mail.example.com", "delete": True}, "name the folder in move_to"),
        ({"url": "imaps://u:p@mail.example.com", "move_to": "INBOX"}, "another folder"),
        ({}, "url is missing"),
    ],
)
def test_a_wrong_mailbox_is_refused_with_words(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Feedback.model_validate({"mailboxes": [{"name": "returns", **given}]})


def test_two_mailboxes_have_two_names() -> None:
    one = {"name": "returns", "url": "imaps://u:p@mail.example.com"}
    with pytest.raises(ValueError, match="same name"):
        Feedback.model_validate({"mailboxes": [one, one]})
