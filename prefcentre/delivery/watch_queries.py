"""Every statement for people who watch a campaign or settle what is uncertain in it.

A file of its own beside ``queries``, because nothing in it is ever asked by a sender.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from prefcentre.db import is_sqlite
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.delivery.queries import DELIVERY, rowcount
from prefcentre.subscribers.models import Subscriber

_TEXT_LENGTH = 512
_IS_UNKNOWN = sa.text("delivery.state = 'unknown'")
_IS_DEFERRED = sa.text("delivery.state = 'deferred'")


def unknown_rows(session: Session, campaign_id: int, limit: int) -> list[Any]:
    """Uncertain rows in order: id, attempts, at, smtp_text, and the person's address while there is one."""
    return list(
        session.execute(
            sa.select(
                DELIVERY.c.id,
                DELIVERY.c.attempts,
                DELIVERY.c.at,
                DELIVERY.c.smtp_text,
                col(Subscriber.email),
            )
            .select_from(
                sa.outerjoin(DELIVERY, Subscriber, col(Subscriber.id) == DELIVERY.c.subscriber_id)
            )
            .where(DELIVERY.c.campaign_id == campaign_id, _IS_UNKNOWN)
            .order_by(DELIVERY.c.id)
            .limit(limit)
        )
    )


def unknown_count(session: Session, campaign_id: int, only: Sequence[int] = ()) -> int:
    """How many rows are uncertain; of those that are named, when any are."""
    found = _unknown_ids(campaign_id, only).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def unknown_ids(
    session: Session, campaign_id: int, limit: int, only: Sequence[int] = ()
) -> list[int]:
    """Which rows are uncertain, the first ones; of those that are named, when any are."""
    wanted = _unknown_ids(campaign_id, only).order_by(DELIVERY.c.id).limit(limit)
    return [row.id for row in session.execute(wanted)]


def _unknown_ids(campaign_id: int, only: Sequence[int]) -> sa.Select[Any]:
    wanted = sa.select(DELIVERY.c.id).where(DELIVERY.c.campaign_id == campaign_id, _IS_UNKNOWN)
    return wanted.where(DELIVERY.c.id.in_(only)) if only else wanted


def settle(
    session: Session, campaign_id: int, ids: Sequence[int], state: DeliveryState, note: str
) -> int:
    """Compare and set uncertain rows, with a note before what was known; returns how many still were uncertain.

    The row is taken away from its former worker, whose answer can't change it any more. ``at`` remains the time of the
    attempt.
    """
    told = sa.literal(note) + sa.func.coalesce("; before: " + DELIVERY.c.smtp_text, "")
    return rowcount(
        session.execute(
            sa.update(DELIVERY)
            .where(DELIVERY.c.campaign_id == campaign_id, DELIVERY.c.id.in_(ids), _IS_UNKNOWN)
            .values(state=state, worker_id=None, smtp_text=sa.func.substr(told, 1, _TEXT_LENGTH))
        )
    )


def next_attempt(session: Session, campaign_id: int) -> datetime | None:
    """When the first of the deferred recipients is tried again."""
    return session.scalar(
        sa.select(sa.func.min(col(Delivery.not_before))).where(
            col(Delivery.campaign_id) == campaign_id, _IS_DEFERRED
        )
    )


def deferred_by_domain(session: Session, campaign_id: int, rows: int, limit: int) -> list[Any]:
    """Domain, people and next attempt of deferred recipients, most people first.

    Looks at the first ``rows`` only, because it is asked every second beside a sender at work.
    """
    first = (
        sa.select(DELIVERY.c.subscriber_id, DELIVERY.c.not_before)
        .where(DELIVERY.c.campaign_id == campaign_id, _IS_DEFERRED)
        .order_by(DELIVERY.c.not_before)
        .limit(rows)
        .subquery()
    )
    domain = domain_of(session, col(Subscriber.email)).label("domain")
    people = sa.func.count().label("people")
    return list(
        session.execute(
            sa.select(domain, people, sa.func.min(first.c.not_before).label("next_at"))
            .select_from(sa.join(first, Subscriber, col(Subscriber.id) == first.c.subscriber_id))
            .group_by(domain)
            .order_by(people.desc(), domain)
            .limit(limit)
        )
    )


def domain_of(session: Session, email: Any) -> Any:
    """The part of an address behind its @, in small letters."""
    if is_sqlite(session):
        return sa.func.lower(sa.func.substr(email, sa.func.instr(email, "@") + 1))
    return sa.func.lower(sa.func.substring(email, "[^@]*$"))
