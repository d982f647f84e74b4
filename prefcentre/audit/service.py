"""Use cases on the account of what staff did: add to it, read it."""

from typing import Any

from sqlmodel import Session

from prefcentre.audit import queries, rules
from prefcentre.audit.models import AuditAction, AuditEvent
from prefcentre.context import Context

__all__ = ["AuditAction", "AuditEvent", "append", "newest"]


def append(
    session: Session,
    context: Context,
    action: AuditAction,
    *,
    actor: str,
    subscriber_id: int | None = None,
    note: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Note what somebody did, with the act in one transaction; addresses in the note are masked."""
    queries.append(
        session,
        AuditEvent(
            at=context.clock.now(),
            actor=actor,
            action=action,
            subscriber_id=subscriber_id,
            note=rules.without_addresses(note),
            details=details or {},
        ),
    )


def newest(
    session: Session, subscriber_id: int | None = None, limit: int = 100
) -> list[AuditEvent]:
    """The latest acts first: those about one person, or all."""
    return queries.newest(session, subscriber_id, limit)
