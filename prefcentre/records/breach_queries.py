"""All SQL on whom a breach concerns, in stretches of people's numbers so that a million of them need little memory."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlmodel import Session, col

from prefcentre.contact.models import ContactRequest
from prefcentre.subscribers.models import Subscriber

STRETCH = 5_000

_COLUMNS: tuple[Any, ...] = tuple(
    col(getattr(Subscriber, name))
    for name in (
        "id",
        "public_id",
        "email",
        "phone",
        "postal_address",
        "name",
        "first_name",
        "last_name",
        "language",
        "attributes",
    )
)


def people(session: Session, until: datetime, among: set[int] | None) -> Iterator[list[Row[Any]]]:
    """Everybody who was on record by then, in stretches; ``among`` narrows to some numbers."""
    last = 0
    while True:
        statement = (
            sa.select(*_COLUMNS)
            .where(col(Subscriber.id) > last, col(Subscriber.created_at) <= until)
            .order_by(col(Subscriber.id))
            .limit(STRETCH)
        )
        if among is not None:
            left = sorted(number for number in among if number > last)[:STRETCH]
            if not left:
                return
            statement = statement.where(col(Subscriber.id).in_(left))
        found = list(session.execute(statement))
        if among is not None and not found:
            last = left[-1]
            continue
        if not found:
            return
        yield found
        last = left[-1] if among is not None else found[-1].id


def contact_requests(session: Session, since: datetime, until: datetime) -> int:
    """How many wrote on the contact form in that time; they need not be subscribers."""
    statement = sa.select(sa.func.count()).where(
        col(ContactRequest.created_at).between(since, until)
    )
    return int(session.execute(statement).scalar_one())
