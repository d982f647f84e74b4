"""All statements about confirmations and asked-for mails."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.signups.models import Confirmation, MailRequest, PageRequest
from prefcentre.signups.rules import Counted


def counted(
    session: Session, address_key: bytes, mailbox_key: bytes, network: str, since: datetime
) -> Counted:
    """How many mails were asked for since then."""

    def count(*condition: sa.ColumnElement[bool]) -> int:
        wanted = sa.select(sa.func.count()).where(col(MailRequest.at) > since, *condition)
        return int(session.execute(wanted.select_from(MailRequest)).scalar_one())

    return Counted(
        count(col(MailRequest.address_key) == address_key),
        count(col(MailRequest.mailbox_key) == mailbox_key),
        count(col(MailRequest.network) == network),
        count(),
    )


def add_request(session: Session, request: MailRequest) -> None:
    """Remember that a mail was asked for."""
    session.add(request)
    session.flush()


def add(session: Session, confirmation: Confirmation) -> int:
    """Keep a question; returns its number."""
    session.add(confirmation)
    session.flush()
    return confirmation.id or 0


def find(session: Session, confirmation_id: int) -> Confirmation | None:
    """The question with this number, or None when it is forgotten."""
    return session.get(Confirmation, confirmation_id)


def use(session: Session, confirmation_id: int, now: datetime) -> bool:
    """Use a question up; False when it was used before or is too old."""
    # Two presses at the same moment: the row count says which of them was first.
    done = session.execute(
        sa.update(Confirmation)
        .where(
            col(Confirmation.id) == confirmation_id,
            col(Confirmation.used_at).is_(None),
            col(Confirmation.expires_at) > now,
        )
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount) == 1  # type: ignore[attr-defined]


def forget_requests(session: Session, before: datetime) -> None:
    """Drop what is too old to count."""
    session.execute(sa.delete(MailRequest).where(col(MailRequest.at) < before))


def forget_confirmations(session: Session, before: datetime) -> None:
    """Drop questions that ran out before then."""
    session.execute(sa.delete(Confirmation).where(col(Confirmation.expires_at) < before))


def add_asked(session: Session, request: PageRequest) -> None:
    """Keep what somebody asked for on a page."""
    session.add(request)
    session.flush()


def is_asked(session: Session, now: datetime) -> bool:
    """Whether anything waits to be done."""
    due = select(PageRequest.id).where(col(PageRequest.not_before) <= now).limit(1)
    return session.execute(due).first() is not None


def take_asked(session: Session, now: datetime, until: datetime) -> PageRequest | None:
    """The oldest thing that was asked for, kept from others until then; it counts as tried."""
    due = (
        select(PageRequest)
        .where(col(PageRequest.not_before) <= now)
        .order_by(col(PageRequest.not_before), col(PageRequest.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = session.exec(due).first()
    if found is not None:
        found.not_before = until
        found.attempts += 1
        session.add(found)
        session.flush()
    return found


def forget_asked(session: Session, request_id: int) -> None:
    """It is done, or given up."""
    session.execute(sa.delete(PageRequest).where(col(PageRequest.id) == request_id))
