"""Use cases of the contact form: take a request in, list what waits, close what is answered."""

from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.contact import queries, rules
from prefcentre.contact.models import ContactKind, ContactRequest
from prefcentre.contact.rules import LONGEST_MESSAGE, Form, Problem
from prefcentre.context import Context
from prefcentre.errors import NotFound, Refused

__all__ = [
    "LONGEST_MESSAGE",
    "ContactKind",
    "ContactRequest",
    "Form",
    "Problem",
    "close",
    "problems",
    "requests",
    "take_in",
]


def problems(context: Context, form: Form) -> list[Problem]:
    """Everything that is wrong with a form, in the order of its fields."""
    return rules.problems(form, context.settings.phone_country)


def take_in(
    session: Session, context: Context, form: Form, *, ip: str | None, language: str
) -> bool:
    """Put a form without problems into the queue with the day by which it has to be answered (R103).

    False, and nothing is kept, when too many have come from the same network (T21). Looks nobody up, so its answer
    can't tell whether we know the person (T22).
    """
    now, network = context.clock.now(), rules.network(ip)
    if rules.is_too_much(
        hour=queries.count_since(session, now - rules.HOUR, network),
        day=queries.count_since(session, now - rules.DAY, network),
        everybody=queries.count_since(session, now - rules.DAY),
    ):
        return False
    written = rules.read(form, context.settings.phone_country)
    request = ContactRequest(
        kind=written.kind,
        name=written.name,
        email=written.email,
        phone=written.phone,
        message=written.message,
        language=language,
        came_from=network,
        created_at=now,
        due_at=rules.due(written.kind, now),
    )
    queries.add(session, request)
    return True


def requests(
    session: Session, *, closed_too: bool = False, limit: int = 200
) -> list[ContactRequest]:
    """What waits for an answer, the most urgent first."""
    return queries.waiting(session, closed_too=closed_too, limit=limit)


def close(
    session: Session, context: Context, request_id: int, *, note: str, actor: str
) -> ContactRequest:
    """Say that a request is answered, and how. Where it came from is forgotten.

    Raises NotFound for an unknown number, and Refused for one that is closed or without a note.
    """
    found = queries.with_id(session, request_id)
    if found is None:
        raise NotFound(f"There is no request with the number {request_id}.")
    if found.closed_at is not None:
        raise Refused(f"Request {request_id} was closed on {found.closed_at:%Y-%m-%d} already.")
    if not note.strip():
        raise Refused("Closing a request needs a note that says what was done.")
    found.closed_at, found.closed_by, found.note = context.clock.now(), actor, note.strip()
    found.came_from = ""
    session.add(found)
    details = {"request": request_id, "kind": found.kind.value}
    audit.append(session, context, AuditAction.ANSWERED, actor=actor, note=note, details=details)
    return found
