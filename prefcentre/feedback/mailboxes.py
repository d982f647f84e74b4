"""Fetching what came back out of mailboxes: each mail is safe with us before it is moved, and taken in once (R71).

Part of the feedback service; ``service`` offers these functions to other packages.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from prefcentre.context import Context
from prefcentre.errors import NotFound, Unavailable
from prefcentre.feedback import arriving, boxes, mailbox_queries
from prefcentre.feedback.arriving import Arrival
from prefcentre.feedback.models import MailboxLook
from prefcentre.sections_feedback import Mailbox

_MOST_AT_ONCE = 500
_LONGEST_PAUSE = timedelta(hours=1)

log = structlog.get_logger()


@dataclass(slots=True)
class Fetched:
    """What one look at a mailbox came to; ``trouble`` says in words why it ended early, or why mails stay there."""

    mailbox: str
    done: int = 0
    waiting: int = 0
    known: int = 0
    left: int = 0
    more: bool = False
    trouble: str = ""


def poll(
    context: Context, name: str | None = None, *, stop: threading.Event | None = None
) -> list[Fetched]:
    """Look into every mailbox, or into one, now; at most 500 mails of each, and the rest the next time.

    What can't be taken in stays in the mailbox and keeps nothing behind it waiting. Raises NotFound for an unknown name;
    a mailbox that can't be read is told in its answer and keeps no other waiting. Raises Unavailable when our own
    database is away.
    """
    mailboxes = context.settings.feedback.mailboxes
    wanted = [one for one in mailboxes if name is None or one.name == name]
    if name is not None and not wanted:
        known = ", ".join(one.name for one in mailboxes) or "none"
        raise NotFound(f"There is no mailbox “{name}” in the settings; there are: {known}.")
    return [_look(context, one, stop or threading.Event()) for one in wanted]


def poll_due(context: Context, stop: threading.Event) -> list[Fetched]:
    """As ``poll``, for those whose time has come; one that fails is tried at growing distances, up to an hour."""
    known, now = looks(context), context.clock.now()
    due = [
        one
        for one in context.settings.feedback.mailboxes
        if one.name not in known or now >= _next_look(context, known[one.name])
    ]
    return [_look(context, one, stop) for one in due if not stop.is_set()]


def looks(context: Context) -> dict[str, MailboxLook]:
    """How the last look at each mailbox of the settings ended; one that nobody has looked at is not there."""
    named = {one.name for one in context.settings.feedback.mailboxes}
    if not named:
        return {}
    with context.db.reading() as session:
        found = mailbox_queries.looks(session)
        session.expunge_all()
    return {name: look for name, look in found.items() if name in named}


def failing(context: Context) -> Sequence[MailboxLook]:
    """The mailboxes of the settings that could not be read the last time, or where mails were left."""
    return [look for look in looks(context).values() if look.trouble or look.staying]


def _next_look(context: Context, look: MailboxLook) -> datetime:
    pause = timedelta(seconds=context.settings.feedback.poll_seconds)
    longer: timedelta = pause * 2 ** min(look.failures, 12)
    return look.looked_at + min(longer, max(_LONGEST_PAUSE, pause))


def _look(context: Context, mailbox: Mailbox, stop: threading.Event) -> Fetched:
    fetched = Fetched(mailbox.name)
    try:
        with boxes.opened(mailbox) as box:
            _fetch_new(context, mailbox, box, fetched, stop)
    except _OurOwn as error:
        raise error.trouble from error
    except Unavailable as error:
        fetched.trouble = str(error)
        log.warning("mailbox_not_read", mailbox=mailbox.name, why=fetched.trouble)
    with context.db.writing() as session:
        mailbox_queries.note_look(
            session,
            mailbox.name,
            context.clock.now(),
            trouble=fetched.trouble,
            staying=fetched.left,
        )
    return fetched


class _OurOwn(Exception):
    """Our database is away, which is not the mailbox's fault."""

    def __init__(self, trouble: Exception) -> None:
        self.trouble = trouble


def _fetch_new(
    context: Context, mailbox: Mailbox, box: boxes.Box, fetched: Fetched, stop: threading.Event
) -> None:
    there = box.mails()
    try:
        with context.db.writing() as session:
            seen = mailbox_queries.seen(session, mailbox.name)
            mailbox_queries.forget(session, mailbox.name, seen - there.keys())
    except Unavailable as error:
        raise _OurOwn(error) from error
    largest = context.settings.feedback.largest_mib << 20
    for uid in (uid for uid in there if uid in seen):
        # The connection broke after it was taken in and before it was moved.
        _put_away(box, uid, fetched)
    new = [uid for uid in there if uid not in seen]
    for place, uid in enumerate(new):
        if stop.is_set() or place >= _MOST_AT_ONCE:
            fetched.more = True
            return
        if there[uid] > largest:
            fetched.left += 1
            continue
        raw = box.fetch(uid)
        if raw and _take(context, mailbox, uid, raw, fetched):
            _put_away(box, uid, fetched)


def _put_away(box: boxes.Box, uid: str, fetched: Fetched) -> None:
    """Put it away unless the server refused to before: a folder that can't be made keeps no mail from being read."""
    if fetched.trouble:
        return
    try:
        box.put_away(uid)
    except boxes.StaysThere as error:
        fetched.trouble = str(error)
        log.warning("mail_not_put_away", mailbox=fetched.mailbox, why=fetched.trouble)


def _take(context: Context, mailbox: Mailbox, uid: str, raw: bytes, fetched: Fetched) -> bool:
    """Whether it is safe with us now."""
    try:
        arrival = arriving.take_in(context, raw, mailbox.name)
        with context.db.writing() as session:
            mailbox_queries.note_seen(session, mailbox.name, uid)
    except Unavailable as error:
        raise _OurOwn(error) from error
    except Exception:
        # One mail that we can't cope with keeps nobody behind it waiting; it stays where it is, and status says so.
        log.exception("mail_not_taken_in", mailbox=mailbox.name)
        fetched.left += 1
        return False
    fetched.done += arrival is Arrival.DONE
    fetched.waiting += arrival is Arrival.WAITING
    fetched.known += arrival is Arrival.KNOWN
    return True
