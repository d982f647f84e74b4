"""All SQL on requests from the contact form."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.contact.models import ContactRequest


def add(session: Session, request: ContactRequest) -> None:
    session.add(request)
    session.flush()


def with_id(session: Session, request_id: int) -> ContactRequest | None:
    return session.get(ContactRequest, request_id)


def count_since(session: Session, moment: datetime, network: str | None = None) -> int:
    """How many came since then: from one network, or from everybody."""
    statement = (
        sa.select(sa.func.count())
        .select_from(ContactRequest)
        .where(col(ContactRequest.created_at) > moment)
    )
    if network is not None:
        statement = statement.where(col(ContactRequest.came_from) == network)
    return int(session.execute(statement).scalar_one())


def waiting(session: Session, *, closed_too: bool, limit: int) -> list[ContactRequest]:
    """Requests by the day they are due; those that are closed come last."""
    statement = select(ContactRequest)
    if not closed_too:
        statement = statement.where(col(ContactRequest.closed_at).is_(None))
    order = (
        col(ContactRequest.closed_at).is_not(None),
        col(ContactRequest.due_at),
        col(ContactRequest.id),
    )
    return list(session.exec(statement.order_by(*order).limit(limit)))
