"""All SQL on mailboxes: what was read of them, and how the last look ended."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.feedback.models import MailboxLook, MailboxSeen


def seen(session: Session, mailbox: str) -> set[str]:
    """What of a mailbox is safe with us."""
    return set(
        session.scalars(sa.select(col(MailboxSeen.uid)).where(col(MailboxSeen.mailbox) == mailbox))
    )


def note_seen(session: Session, mailbox: str, uid: str) -> None:
    """One more is safe with us."""
    session.merge(MailboxSeen(mailbox=mailbox, uid=uid))


def forget(session: Session, mailbox: str, uids: Collection[str]) -> None:
    """These are not there any more."""
    for uid in uids:
        session.execute(
            sa.delete(MailboxSeen).where(
                col(MailboxSeen.mailbox) == mailbox, col(MailboxSeen.uid) == uid
            )
        )


def looks(session: Session) -> dict[str, MailboxLook]:
    """How the last look at each mailbox ended, by name."""
    return {look.name: look for look in session.scalars(sa.select(MailboxLook))}


def note_look(
    session: Session, name: str, now: datetime, *, trouble: str = "", staying: int = 0
) -> None:
    """Write down how a look ended."""
    look = session.get(MailboxLook, name) or MailboxLook(name=name, looked_at=now)
    look.looked_at, look.trouble = now, trouble[:300]
    look.failures = look.failures + 1 if trouble else 0
    if not trouble:
        look.succeeded_at, look.staying = now, staying
    session.add(look)
    session.flush()
