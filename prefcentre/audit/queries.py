"""All SQL on what staff did."""

from sqlmodel import Session, col, select

from prefcentre.audit.models import AuditEvent


def append(session: Session, event: AuditEvent) -> None:
    session.add(event)
    session.flush()


def newest(session: Session, subscriber_id: int | None, limit: int) -> list[AuditEvent]:
    """The latest first; those about one person, or all."""
    statement = select(AuditEvent).order_by(col(AuditEvent.id).desc()).limit(limit)
    if subscriber_id is not None:
        statement = statement.where(AuditEvent.subscriber_id == subscriber_id)
    return list(session.exec(statement))
