"""Use cases on the account of what staff did: add to it, read it."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from prefcentre.audit import queries, rules
from prefcentre.audit.models import AuditAction, AuditEvent
from prefcentre.context import Context

__all__ = [
    "Acts",
    "AuditAction",
    "AuditEvent",
    "Wanted",
    "actors",
    "append",
    "lists_taken",
    "newest",
    "note_look",
    "people_seen",
    "search",
    "watch",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which acts are looked for; what is None does not count. ``before`` is where the page before ended."""

    action: AuditAction | None = None
    actor: str | None = None
    subscriber_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Acts:
    """One page of acts; ``before`` leads to the next, and is None on the last."""

    rows: tuple[AuditEvent, ...]
    before: int | None


_LOOK = timedelta(hours=1)
_noted: ContextVar[list[AuditAction] | None] = ContextVar("noted_acts", default=None)


def watch() -> list[AuditAction]:
    """A list that gets what is noted from now on in this thread, until somebody else watches."""
    found: list[AuditAction] = []
    _noted.set(found)
    return found


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
    if (noted := _noted.get()) is not None:
        noted.append(action)
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


def note_look(session: Session, context: Context, subscriber_id: int, actor: str) -> None:
    """Note that somebody opened a person's page, once for all they open within an hour (R149)."""
    since = context.clock.now() - _LOOK
    if not queries.has_looked(session, actor, subscriber_id, since):
        append(session, context, AuditAction.LOOKED_AT, actor=actor, subscriber_id=subscriber_id)


def newest(
    session: Session, subscriber_id: int | None = None, limit: int = 100
) -> list[AuditEvent]:
    """The latest acts first: those about one person, or all."""
    return queries.newest(session, subscriber_id, limit)


def search(session: Session, wanted: Wanted, limit: int = 50) -> Acts:
    """One page of acts, the latest first."""
    found = queries.matching(
        session,
        actions=[wanted.action] if wanted.action else [],
        actor=wanted.actor,
        subscriber_id=wanted.subscriber_id,
        since=wanted.since,
        until=wanted.until,
        before=wanted.before,
        limit=limit + 1,
    )
    rows = tuple(found[:limit])
    return Acts(rows, rows[-1].id if len(found) > limit else None)


def people_seen(session: Session, actor: str, since: datetime, until: datetime) -> set[int]:
    """The numbers of people of whom somebody did something, or whose page they opened, in that time."""
    return queries.people_of(session, actor, since, until)


def lists_taken(
    session: Session, since: datetime, until: datetime, actor: str | None, limit: int = 1_000
) -> list[AuditEvent]:
    """Lists of people that were taken out in that time, the latest first: exports, and those not to be written to."""
    return queries.matching(
        session,
        actions=[AuditAction.EXPORTED, AuditAction.SUPPRESSIONS_EXPORTED],
        actor=actor,
        subscriber_id=None,
        since=since,
        until=until,
        before=None,
        limit=limit,
    )


def actors(session: Session) -> list[str]:
    """Everybody who ever did something, as the account calls them."""
    return queries.actors(session)
