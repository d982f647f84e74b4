"""All statements about the queue of service mails."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.servicemail.models import QueuedMail, ServiceMailKind, ServiceMailState


def is_known(session: Session, key: str) -> bool:
    """Whether a mail with this key has been queued before, whatever became of it."""
    return session.execute(select(QueuedMail.id).where(QueuedMail.key == key)).first() is not None


def add(session: Session, mail: QueuedMail) -> None:
    """Put a mail into the queue."""
    session.add(mail)
    session.flush()


def take(session: Session, now: datetime, until: datetime, limit: int) -> list[QueuedMail]:
    """Mails whose time has come, kept from others until then; each counts as tried.

    Whoever waits for a confirmation comes before those who wait for nothing, such as for notices.
    """
    due = (
        select(QueuedMail)
        .where(sa.text("state = 'waiting'"), col(QueuedMail.not_before) <= now)
        .order_by(col(QueuedMail.kind) == ServiceMailKind.NOTICE, col(QueuedMail.not_before))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = list(session.exec(due))
    for mail in found:
        mail.not_before = until
        mail.attempts += 1
        session.add(mail)
    session.flush()
    return found


def change(session: Session, mail_id: int, **columns: Any) -> None:
    """Write down what became of a mail that still waits."""
    session.execute(
        sa.update(QueuedMail)
        .where(col(QueuedMail.id) == mail_id, col(QueuedMail.state) == ServiceMailState.WAITING)
        .values(**columns)
    )


def forget(session: Session, before: datetime) -> None:
    """Drop what has been over since before then."""
    session.execute(sa.delete(QueuedMail).where(col(QueuedMail.ended_at) < before))


def of_person(session: Session, subscriber_id: int, limit: int) -> list[QueuedMail]:
    """The newest mails to one person that are not forgotten yet."""
    statement = select(QueuedMail).where(QueuedMail.subscriber_id == subscriber_id)
    return list(session.exec(statement.order_by(col(QueuedMail.id).desc()).limit(limit)))
