"""All SQL on what staff did."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from prefcentre.audit.models import AuditAction, AuditEvent


def append(session: Session, event: AuditEvent) -> None:
    session.add(event)
    session.flush()


def newest(session: Session, subscriber_id: int | None, limit: int) -> list[AuditEvent]:
    """The latest first; those about one person, or all."""
    statement = select(AuditEvent).order_by(col(AuditEvent.id).desc()).limit(limit)
    if subscriber_id is not None:
        statement = statement.where(AuditEvent.subscriber_id == subscriber_id)
    return list(session.exec(statement))


def matching(
    session: Session,
    *,
    actions: Collection[AuditAction],
    actor: str | None,
    subscriber_id: int | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
) -> list[AuditEvent]:
    """The latest acts that meet every condition that is given, those before a number first."""
    wanted = select(AuditEvent).order_by(col(AuditEvent.id).desc()).limit(limit)
    conditions: list[sa.ColumnElement[bool] | None] = [
        col(AuditEvent.action).in_(actions) if actions else None,
        col(AuditEvent.actor) == actor if actor is not None else None,
        col(AuditEvent.subscriber_id) == subscriber_id if subscriber_id is not None else None,
        col(AuditEvent.at) >= since if since is not None else None,
        col(AuditEvent.at) < until if until is not None else None,
        col(AuditEvent.id) < before if before is not None else None,
    ]
    return list(session.exec(wanted.where(*[one for one in conditions if one is not None])))


def has_looked(session: Session, actor: str, subscriber_id: int, since: datetime) -> bool:
    """Whether somebody's look at a person has been noted since then."""
    statement = sa.select(col(AuditEvent.id)).where(
        col(AuditEvent.subscriber_id) == subscriber_id,
        col(AuditEvent.action) == AuditAction.LOOKED_AT,
        col(AuditEvent.actor) == actor,
        col(AuditEvent.at) > since,
    )
    return session.execute(statement.limit(1)).first() is not None


def people_of(session: Session, actor: str, since: datetime, until: datetime) -> set[int]:
    """The numbers of people of whom somebody did or saw something in that time."""
    statement = (
        sa.select(col(AuditEvent.subscriber_id))
        .where(
            col(AuditEvent.actor) == actor,
            col(AuditEvent.at).between(since, until),
            col(AuditEvent.subscriber_id).is_not(None),
        )
        .distinct()
    )
    return {number for (number,) in session.execute(statement) if number is not None}


def actors(session: Session) -> list[str]:
    """Everybody who ever did something, as the account calls them."""
    found = session.execute(sa.select(col(AuditEvent.actor)).distinct().order_by("actor"))
    return list(found.scalars())
