"""All SQL on whom a breach concerns, in stretches of people's numbers so that a million of them need little memory."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlmodel import Session, col

from prefcentre.consent.models import Consent
from prefcentre.contact.models import ContactRequest
from prefcentre.delivery.models import Delivery
from prefcentre.preferences.models import Preference
from prefcentre.subscribers.models import Subscriber

STRETCH = 5_000

# Tables that say more of a person than who they are, each under the name of its class in the record of processing.
_MORE: tuple[tuple[str, Any], ...] = (
    ("what they chose", col(Preference.subscriber_id)),
    ("consents", col(Consent.subscriber_id)),
    ("mails", col(Delivery.subscriber_id)),
)
_COLUMNS: tuple[Any, ...] = tuple(
    col(getattr(Subscriber, name))
    for name in (
        "id",
        "public_id",
        "email",
        "phone",
        "postal_address",
        "name",
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


def classes(session: Session, rows: list[Row[Any]]) -> dict[int, list[str]]:
    """What else is held about each of a stretch of people."""
    first, last = rows[0].id, rows[-1].id
    found: dict[int, list[str]] = {row.id: [] for row in rows}
    for name, column in _MORE:
        statement = sa.select(column).where(column.between(first, last)).distinct()
        for (number,) in session.execute(statement):
            if number in found:
                found[number].append(name)
    return found


def contact_requests(session: Session, since: datetime, until: datetime) -> int:
    """How many wrote on the contact form in that time; they need not be subscribers."""
    statement = sa.select(sa.func.count()).where(
        col(ContactRequest.created_at).between(since, until)
    )
    return int(session.execute(statement).scalar_one())
