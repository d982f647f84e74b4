"""All statements about confirmations and asked-for mails."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.signups.models import Confirmation, MailRequest
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
