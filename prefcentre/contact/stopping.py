"""Heeds a request such as "stop calling me" and closes it in the same step.

A file apart from ``service``, because it is the one place where a request changes what may be sent.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import Session

from prefcentre.consent import service as consents
from prefcentre.consent.service import Act, Channel, ConsentAction, ConsentState
from prefcentre.contact import service
from prefcentre.contact.service import ContactRequest
from prefcentre.context import Context
from prefcentre.db import lock_keys
from prefcentre.errors import InvalidInput
from prefcentre.lookup import LookupKind
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression

METHOD = "staff"
_LIVING = frozenset({ConsentState.GRANTED, ConsentState.PENDING})


@dataclass(frozen=True, slots=True)
class Stopped:
    """What came of it: the closed request, how many consents ended, and whose keys to wait for at the final dot."""

    request: ContactRequest
    withdrawn: int
    keys: tuple[bytes, ...]


def close_and_stop(
    session: Session,
    context: Context,
    request_id: int,
    channels: Collection[Channel],
    *,
    note: str,
    actor: str,
) -> Stopped:
    """End every consent by these channels of whoever the request is from, object for them, and close it (R79, R103).

    The objection stands for the address and the number that were written, known or not, so that no later list or import
    brings them back. One transaction: a request is never closed with nothing done. Raises InvalidInput without a
    channel, and what ``service.close`` raises.
    """
    if not channels:
        raise InvalidInput("Name what they do not want any more, such as phone.")
    closed = service.close(session, context, request_id, note=note, actor=actor)
    people = _people(session, context, closed)
    keys = _keys(session, context, closed, people)
    # The gate takes these locks, so whoever is being decided about is decided about once.
    lock_keys(session, keys)
    source = f"contact request {request_id}"
    acts = [
        _act(context, person, view, source, actor)
        for person in people
        for view in consents.consents_of(session, person.id or 0)
        if view.channel in channels and view.state in _LIVING
    ]
    consents.record(session, context, acts)
    emails = {closed.email, *(person.email for person in people)} - {None}
    phones = {closed.phone, *(person.phone for person in people)} - {None}
    whom = [{"email": email} for email in emails] + [{"phone": phone} for phone in phones]
    for channel in sorted(channels):
        for who in whom:
            suppression.suppress(
                session,
                context,
                email=who.get("email"),
                phone=who.get("phone"),
                scope=channel.value,
                reason=Reason.OBJECTION,
                source=source,
            )
    return Stopped(closed, len(acts), tuple(keys))


def _people(session: Session, context: Context, request: ContactRequest) -> list[Subscriber]:
    """Whoever has the address or the number that was written; they may be two records of one person."""
    found = [
        subscribers.find(session, context, request.email) if request.email else None,
        subscribers.find_by_phone(session, context, request.phone) if request.phone else None,
    ]
    return list({person.id: person for person in found if person is not None}.values())


def _keys(
    session: Session, context: Context, request: ContactRequest, people: list[Subscriber]
) -> list[bytes]:
    found = {key for person in people for key in subscribers.keys_of(session, person.id or 0)}
    if request.email:
        found |= {key for _, key in suppression.keys_of_address(context, request.email)}
    if request.phone:
        found |= set(context.lookup.all(LookupKind.PHONE, request.phone))
    return sorted(found)


def _act(
    context: Context, person: Subscriber, view: consents.ConsentView, source: str, actor: str
) -> Act:
    return Act(
        subscriber_id=person.id or 0,
        subscriber_ref=person.consent_ref,
        topic_id=view.topic_id,
        channel=view.channel,
        action=ConsentAction.WITHDRAWN,
        method=METHOD,
        source=source,
        at=context.clock.now(),
        actor=actor,
    )
